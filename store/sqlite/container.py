"""One container of a SQLite store: reads run on the loop, commits go to the one writer, the feed is numbered."""

import asyncio
import re
import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import starmap
from typing import Any

import msgspec

from store.errors import CursorInvalid, TooLarge, Unavailable
from store.port import (
    MAX_COMMIT_BYTES,
    Changes,
    Condition,
    ContainerSpec,
    Delete,
    Document,
    Etag,
    FeedRange,
    Page,
    Partition,
    Query,
    Scope,
    Start,
    Write,
    check_writes,
)
from store.signal import Signal
from store.sqlite import sql
from store.sqlite.group import Job
from store.sqlite.queries import Queries
from store.sqlite.writer import Writer

_NUMBER = re.compile("[0-9]{1,18}")


class SQLiteContainer:
    """One container of a SQLite store; see `store.port.Container` for its promises."""

    def __init__(
        self,
        reader: sqlite3.Cursor,
        writer: Writer,
        looking_abroad: Callable[[], AbstractContextManager[None]],
        charges: Counter[tuple[str, str]],
        store_id: str,
        ranges: int,
        clock: Callable[[], float],
        spec: ContainerSpec,
    ) -> None:
        self.spec = spec
        self._signals = {None: Signal()} | {str(number): Signal() for number in range(ranges)}
        self._reader = reader
        self._writer = writer
        self._looking_abroad = looking_abroad
        self._store_id = store_id
        self._ranges = ranges
        self._clock = clock
        self._select = sql.read(spec.name)
        self._charges = charges
        self._reads = spec.name, "read"
        self._queries = Queries(spec)

    async def read(self, partition: str, id: str) -> Document | None:
        """The document as it is now, or None."""
        self._charges[self._reads] += 1
        rows = execute(self._reader, self._select, (partition, id, self._clock()))
        return Document(partition, *rows[0]) if rows else None

    async def query(self, query: Query) -> Page:
        """The page that `query` asks for."""
        self._count("query")
        rows = execute(self._reader, *self._queries.page(query, self._clock()))
        if more := len(rows) > query.limit:
            rows.pop()
        if query.partition is None:
            return Page(list(starmap(Document, rows)), more)
        return Page([Document(query.partition, *row) for row in rows], more)

    async def count(self, where: tuple[Condition, ...] = ()) -> int:
        """How many documents meet the conditions, over all partitions."""
        ((number,),) = execute(self._reader, *self._queries.count(where, self._clock()))
        return int(number)

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[Etag | None]:
        """Apply all `writes` or none; see the port. Returns after the transaction is durable."""
        check_writes(partition, writes)
        self._count("batch")
        bodies = [b"" if isinstance(write, Delete) else msgspec.json.encode(write.body) for write in writes]
        if sum(map(len, bodies)) > MAX_COMMIT_BYTES:
            raise TooLarge(f"a commit holds at most {MAX_COMMIT_BYTES} bytes of JSON")
        done: asyncio.Future[list[Etag | None]] = asyncio.get_running_loop().create_future()
        range_ = _range_of(partition, self._ranges)
        return await self._writer.commit(Job(self.spec.name, partition, range_, writes, bodies, done))

    async def feed_ranges(self) -> list[FeedRange]:
        """The ranges that together are the container."""
        return [FeedRange(str(number)) for number in range(self._ranges)]

    def range_of(self, partition: str, ranges: Sequence[FeedRange]) -> FeedRange:
        """The range that the partition lies in: a file has the same ones for ever."""
        return FeedRange(str(_range_of(partition, self._ranges)))

    async def parts_of(self, range: FeedRange) -> list[FeedRange]:
        """The range itself: ranges of a file are never split."""
        return [range]

    async def changes(self, scope: Scope, after: str | Start, limit: int = 100) -> Changes:
        """What changed in `scope` behind `after`; see the port."""
        self._count("feed")
        if after is Start.NOW:
            return Changes(self._cursor(self._last()))
        lsn = 0 if isinstance(after, Start) else self._lsn(after)
        column, key = ("partition", scope.key) if isinstance(scope, Partition) else ("range", int(scope.id))
        rows = execute(self._reader, sql.select_changes(self.spec.name, column), (key, lsn, self._clock(), limit))
        if not rows and lsn > self._last():
            raise CursorInvalid(f"the cursor is ahead of container {self.spec.name!r}: was an older file restored?")
        return Changes(self._cursor(rows[-1][2] if rows else lsn), list(starmap(Document, rows)), len(rows) < limit)

    async def backlog(self, scope: FeedRange, after: str | Start) -> int:
        """How many documents have changed in `scope` behind `after`."""
        if after is Start.NOW:
            return 0
        lsn = 0 if isinstance(after, Start) else self._lsn(after)
        ((number,),) = execute(self._reader, sql.count_changes(self.spec.name), (int(scope.id), lsn, self._clock()))
        return int(number)

    async def wait_for_changes(self, seen: int, timeout: float, range: FeedRange | None = None) -> int:
        """Wait for a commit here or in another process; see the port."""
        with self._looking_abroad():
            return await self._signals[range.id if range else None].wait(seen, timeout)

    def notify(self, number: int | None = None) -> None:
        """Wake those who wait for changes, in all ranges or in the one of that number."""
        for id in self._signals if number is None else (None, str(number)):
            self._signals[id].notify()

    def _count(self, kind: str) -> None:
        self._charges[self.spec.name, kind] += 1

    def _last(self) -> int:
        ((lsn,),) = execute(self._reader, "SELECT lsn FROM containers WHERE name = ?", (self.spec.name,))
        return int(lsn)

    def _cursor(self, lsn: int) -> str:
        return f"{self._store_id}.{self.spec.name}.{lsn}"

    def _lsn(self, cursor: str) -> int:
        store_id, _, rest = cursor.partition(".")
        name, _, lsn = rest.partition(".")
        if (store_id, name) != (self._store_id, self.spec.name) or not _NUMBER.fullmatch(lsn):
            raise CursorInvalid(f"the cursor is not one of container {self.spec.name!r} in this store")
        return int(lsn)


def _range_of(partition: str, ranges: int) -> int:
    """The feed range that a partition lies in, of so many."""
    return zlib.crc32(partition.encode()) % ranges


def execute(reader: sqlite3.Cursor, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows at once, so that one cursor serves everybody: to make one for each would cost a tenth of a read."""
    try:
        return reader.execute(statement, values).fetchall()
    except sqlite3.Error as error:
        raise Unavailable(f"the store cannot read: {error}") from error
