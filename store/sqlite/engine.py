"""The embedded engine: one SQLite file in WAL mode, shared by any number of processes.

Reads run on the event loop and never wait for a writer; commits go to the one writer of the process. The feed is a
number per container (`lsn`) that rises with each commit, so commits appear in it in the order in which they became
visible. Facts: https://sqlite.org/wal.html, https://sqlite.org/pragma.html#pragma_data_version.
"""

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from store.errors import StoreUnusable, Unavailable
from store.port import ContainerSpec
from store.sqlite.container import SQLiteContainer, execute
from store.sqlite.group import Numbers
from store.sqlite.opening import (
    connect,
    drop_container,
    explain,
    in_transaction,
    on_own_connection,
    prepare,
    prepare_container,
)
from store.sqlite.writer import Writer

DEFAULT_RANGES = 4
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
        self._open = partial(
            SQLiteContainer, self._reader, self._writer, self._looking_abroad, self.charges, store_id, ranges, clock
        )
        self._containers = {name: self._open(spec) for name, spec in specs.items()}
        self._lsns: dict[str, int] = dict(reader.execute("SELECT name, lsn FROM containers").fetchall())
        """How far each container's feed is known to have come."""
        self._closed = False
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None

    def container(self, name: str) -> SQLiteContainer:
        """The container of that name. Raises KeyError if the store was opened without it."""
        return self._containers[name]

    async def make(self, spec: ContainerSpec) -> SQLiteContainer:
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
        execute(self._reader, "SELECT lsn FROM containers LIMIT 1")

    async def close(self) -> None:
        """Finish the queued commits and close the file. Idempotent."""
        if not self._closed:
            self._closed = True
            if self._timer:
                self._timer.cancel()
            await self._writer.close()
            self._db.close()

    def _look_abroad(self) -> None:
        """Notify those who wait for what another process has committed since the last look."""
        ((version,),) = execute(self._reader, "PRAGMA data_version")
        if version == self._data_version:
            return
        self._data_version = version  # which our own writer changes too
        for name, lsn in execute(self._reader, "SELECT name, lsn FROM containers"):
            if lsn != self._lsns.get(name):
                self._lsns[name] = lsn
                if container := self._containers.get(name):
                    container.notify()

    @contextmanager
    def _looking_abroad(self) -> Iterator[None]:
        """While in the context, look for commits of other processes: one timer serves all who wait."""
        if not self._waiting:
            self._look_abroad()
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
                self._look_abroad()
            self._timer = asyncio.get_running_loop().call_later(POLL_S, self._tick)

    def _committed(self, numbers: Numbers, places: set[tuple[str, int]]) -> None:
        """Notify those who wait for what was committed here, or elsewhere just before."""
        abroad = {name for name, (before, _) in numbers.items() if before > self._lsns.get(name, 0)}
        self._lsns |= {name: after for name, (_, after) in numbers.items()}
        for name, number in places:
            if container := self._containers.get(name):
                container.notify(None if name in abroad else number)
