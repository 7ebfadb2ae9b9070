"""The embedded engine: one SQLite file in WAL mode, shared by any number of processes.

Reads run on the event loop and never wait for a writer; commits go to the one writer of the process. The feed is a
number per container (`lsn`) that rises with each commit, so commits appear in it in the order in which they became
visible. Facts: https://sqlite.org/wal.html, https://sqlite.org/pragma.html#pragma_data_version.
"""

import asyncio
import re
import sqlite3
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import starmap
from typing import Any

import msgspec

from store.errors import CursorInvalid, StoreUnusable, TooLarge, Unavailable
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
from store.sqlite.group import Job, Numbers
from store.sqlite.opening import (
    connect,
    drop_container,
    explain,
    in_transaction,
    on_own_connection,
    prepare,
    prepare_container,
)
from store.sqlite.queries import Queries
from store.sqlite.writer import Writer

DEFAULT_RANGES = 4
_NUMBER = re.compile("[0-9]{1,18}")
POLL_S = 0.025
"""How often a waiting task looks whether another process has committed."""


async def open_sqlite(
    path: str,
    containers: Iterable[ContainerSpec],
    *,
    ranges: int = DEFAULT_RANGES,
    clock: Callable[[], float] = time.time,
) -> "SQLiteStore":
    """Open, or make, the store in the file `path` (":memory:" for one that lives as long as the process).

    `ranges` is the number of feed ranges of a new file; an existing one keeps its own. `clock` gives seconds since
    the epoch and judges expiry. Raises StoreUnusable if the file cannot be opened or is not a store.
    """
    specs = {spec.name: spec for spec in containers}
    reader = connect(path)
    try:
        store_id, ranges = prepare(reader, path, specs.values(), ranges)
        writer = reader if path == ":memory:" else connect(path)
        writer.execute("PRAGMA synchronous = FULL")
    except BaseException as error:
        reader.close()
        if isinstance(error, sqlite3.Error):
            raise StoreUnusable(explain(path, error)) from error
        raise
    return SQLiteStore(path, reader, writer, specs, store_id, ranges, clock)


class SQLiteStore:
    """An open store. All its calls belong to the event loop that opened it. Requests are counted, and cost nothing."""

    def __init__(
        self,
        path: str,
        reader: sqlite3.Connection,
        writer: sqlite3.Connection,
        specs: dict[str, ContainerSpec],
        store_id: str,
        ranges: int,
        clock: Callable[[], float],
    ) -> None:
        self._path = path
        self.charges: Counter[tuple[str, str]] = Counter()
        self.units: dict[tuple[str, str], float] = {}
        self._db = reader
        self._reader = reader.cursor()
        self._writer = Writer(writer, clock, self._committed, inline=writer is reader)
        self._data_version: int = reader.execute("PRAGMA data_version").fetchone()[0]
        self._open = partial(SQLiteContainer, self, self._reader, self._writer, store_id, ranges, clock)
        self._containers = {name: self._open(spec) for name, spec in specs.items()}
        self._lsns: dict[str, int] = dict(reader.execute("SELECT name, lsn FROM containers").fetchall())
        """How far each container's feed is known to have come."""
        self._closed = False
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None

    def container(self, name: str) -> "SQLiteContainer":
        """The container of that name. Raises KeyError if the store was opened without it."""
        return self._containers[name]

    async def make(self, spec: ContainerSpec) -> "SQLiteContainer":
        """The container of that specification, made if it is missing; see the port."""
        if spec.name not in self._containers:
            await self._change(lambda db: prepare_container(db, spec))
        return self._containers.setdefault(spec.name, self._open(spec))

    async def drop(self, name: str) -> None:
        """Remove a container with all that is in it. Idempotent."""
        self._containers.pop(name, None)
        await self._change(lambda db: drop_container(db, name))

    async def _change(self, change: Callable[[sqlite3.Connection], None]) -> None:
        """Change the schema in a transaction of its own, which may have to wait for the writers of other processes."""
        if self._path == ":memory:":
            in_transaction(self._db, change)
        else:
            await asyncio.to_thread(on_own_connection, self._path, change)

    async def ping(self) -> None:
        """Return if the file can be read; raise Unavailable if not."""
        _execute(self._reader, "SELECT lsn FROM containers LIMIT 1")

    async def close(self) -> None:
        """Finish the queued commits and close the file. Idempotent."""
        if not self._closed:
            self._closed = True
            if self._timer:
                self._timer.cancel()
            await self._writer.close()
            self._db.close()

    def look_abroad(self) -> None:
        """Notify those who wait for what another process has committed since the last look."""
        ((version,),) = _execute(self._reader, "PRAGMA data_version")
        if version == self._data_version:
            return
        self._data_version = version  # which our own writer changes too
        for name, lsn in _execute(self._reader, "SELECT name, lsn FROM containers"):
            if lsn != self._lsns.get(name):
                self._lsns[name] = lsn
                if container := self._containers.get(name):
                    container.notify()

    @contextmanager
    def looking_abroad(self) -> Iterator[None]:
        """While in the context, look for commits of other processes: one timer serves all who wait."""
        if not self._waiting:
            self.look_abroad()
        self._waiting += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(POLL_S, self._tick)
        try:
            yield
        finally:
            self._waiting -= 1

    def _tick(self) -> None:
        self._timer = None
        if self._waiting:
            with suppress(Unavailable):  # who waits will hear of it from the next read
                self.look_abroad()
            self._timer = asyncio.get_running_loop().call_later(POLL_S, self._tick)

    def _committed(self, numbers: Numbers, places: set[tuple[str, int]]) -> None:
        """Notify those who wait for what was committed here, or elsewhere just before."""
        abroad = {name for name, (before, _) in numbers.items() if before > self._lsns.get(name, 0)}
        self._lsns |= {name: after for name, (_, after) in numbers.items()}
        for name, number in places:
            if container := self._containers.get(name):
                container.notify(None if name in abroad else number)


class SQLiteContainer:
    """One container of a SQLite store; see `store.port.Container` for its promises."""

    def __init__(
        self,
        store: SQLiteStore,
        reader: sqlite3.Cursor,
        writer: Writer,
        store_id: str,
        ranges: int,
        clock: Callable[[], float],
        spec: ContainerSpec,
    ) -> None:
        self.spec = spec
        self._signals = {None: Signal()} | {str(number): Signal() for number in range(ranges)}
        self._store = store
        self._reader = reader
        self._writer = writer
        self._store_id = store_id
        self._ranges = ranges
        self._clock = clock
        self._select = sql.read(spec.name)
        self._charges = store.charges
        self._reads = spec.name, "read"
        self._queries = Queries(spec)

    async def read(self, partition: str, id: str) -> Document | None:
        """The document as it is now, or None."""
        self._charges[self._reads] += 1
        rows = _execute(self._reader, self._select, (partition, id, self._clock()))
        return Document(partition, *rows[0]) if rows else None

    async def query(self, query: Query) -> Page:
        """The page that `query` asks for."""
        self._count("query")
        rows = _execute(self._reader, *self._queries.page(query, self._clock()))
        if more := len(rows) > query.limit:
            rows.pop()
        if query.partition is None:
            return Page(list(starmap(Document, rows)), more)
        return Page([Document(query.partition, *row) for row in rows], more)

    async def count(self, where: tuple[Condition, ...] = ()) -> int:
        """How many documents meet the conditions, over all partitions."""
        ((number,),) = _execute(self._reader, *self._queries.count(where, self._clock()))
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
        rows = _execute(self._reader, sql.select_changes(self.spec.name, column), (key, lsn, self._clock(), limit))
        if not rows and lsn > self._last():
            raise CursorInvalid(f"the cursor is ahead of container {self.spec.name!r}: was an older file restored?")
        return Changes(self._cursor(rows[-1][2] if rows else lsn), list(starmap(Document, rows)), len(rows) < limit)

    async def backlog(self, scope: FeedRange, after: str | Start) -> int:
        """How many documents have changed in `scope` behind `after`."""
        if after is Start.NOW:
            return 0
        lsn = 0 if isinstance(after, Start) else self._lsn(after)
        ((number,),) = _execute(self._reader, sql.count_changes(self.spec.name), (int(scope.id), lsn, self._clock()))
        return int(number)

    async def wait_for_changes(self, seen: int, timeout: float, range: FeedRange | None = None) -> int:
        """Wait for a commit here or in another process; see the port."""
        with self._store.looking_abroad():
            return await self._signals[range.id if range else None].wait(seen, timeout)

    def notify(self, number: int | None = None) -> None:
        """Wake those who wait for changes, in all ranges or in the one of that number."""
        for id in self._signals if number is None else (None, str(number)):
            self._signals[id].notify()

    def _count(self, kind: str) -> None:
        self._store.charges[self.spec.name, kind] += 1

    def _last(self) -> int:
        ((lsn,),) = _execute(self._reader, "SELECT lsn FROM containers WHERE name = ?", (self.spec.name,))
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


def _execute(reader: sqlite3.Cursor, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows at once, so that one cursor serves everybody: to make one for each would cost a tenth of a read."""
    try:
        return reader.execute(statement, values).fetchall()
    except sqlite3.Error as error:
        raise Unavailable(f"the store cannot read: {error}") from error
