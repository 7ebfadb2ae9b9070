"""The one writer of a SQLite store: queued commits share a transaction, and hear of it when it is durable.

While one transaction is being flushed, the next commits gather; the more there are, the more share a flush.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from store.errors import Conflict, OutcomeUnknown, StoreError, Throttled, Unavailable
from store.port import Create, Delete, Replace, Upsert
from store.sqlite import sql

log = logging.getLogger(__name__)

MAX_GROUP = 512
PURGE_EVERY_S = 60.0
PURGE_ROWS = 500

Outcome = list[str | None] | StoreError


@dataclass(frozen=True, slots=True)
class Encoded:
    """A write with its body encoded: the document's id, its condition, and the JSON (None to delete)."""

    id: str
    condition: type[Create] | type[Replace] | type[Upsert]
    etag: str | None
    body: bytes | None
    ttl: int | None

    @classmethod
    def of(cls, write: Create | Replace | Upsert | Delete, encode: Callable[[object], bytes]) -> "Encoded":
        match write:
            case Create(id, body, ttl):
                return cls(id, Create, None, encode(body), ttl)
            case Replace(id, body, etag, ttl):
                return cls(id, Replace, etag, encode(body), ttl)
            case Upsert(id, body, etag, ttl):
                return cls(id, Upsert if etag is None else Replace, etag, encode(body), ttl)
            case Delete(id, etag):
                return cls(id, Replace, etag, None, None)


@dataclass(slots=True)
class Job:
    """A commit on its way: what to write, and the future that hears of the outcome."""

    container: str
    partition: str
    writes: list[Encoded]
    done: asyncio.Future[list[str | None]]
    outcome: Outcome = field(default_factory=lambda: OutcomeUnknown("the commit was not tried"))


class Writer:
    """Commits jobs in groups: on a thread of its own, or inline on the loop for a database in memory."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        ranges: int,
        clock: Callable[[], float],
        committed: Callable[[set[str]], None],
        *,
        inline: bool,
    ) -> None:
        self._db = connection
        self._ranges = ranges
        self._clock = clock
        self._committed = committed
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._purge_at = 0.0
        self._closed = False
        self._thread: threading.Thread | None = None
        if not inline:
            self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
            self._thread.start()

    async def commit(self, job: Job) -> list[str | None]:
        """Queue the job and wait until it is durable. Raises its StoreError."""
        if self._closed:
            raise Unavailable("the store is closed")
        if self._thread:
            self._queue.put(job)
        else:
            self._apply_group([job])
            self._settle([job])
        return await job.done

    async def close(self) -> None:
        """Finish the queued jobs and close the connection."""
        self._closed = True
        if self._thread:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
        self._db.close()

    def _run(self) -> None:
        last = False
        while not last:
            with_end = [self._queue.get()]
            while len(with_end) < MAX_GROUP and not self._queue.empty():
                with_end.append(self._queue.get())
            jobs = [job for job in with_end if job is not None]
            last = len(jobs) < len(with_end)
            if jobs:
                self._apply_group(jobs)
                self._loop.call_soon_threadsafe(self._settle, jobs)

    def _settle(self, jobs: list[Job]) -> None:
        for job in jobs:
            if job.done.done():  # the caller was cancelled
                continue
            if isinstance(job.outcome, StoreError):
                job.done.set_exception(job.outcome)
            else:
                job.done.set_result(job.outcome)
        applied = {job.container for job in jobs if not isinstance(job.outcome, StoreError)}
        if applied:
            self._committed(applied)

    def _apply_group(self, jobs: list[Job]) -> None:
        """One transaction for all jobs; a job whose condition does not hold leaves the others alone."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._apply(jobs)
        except sqlite3.Error as error:
            self._fail(jobs, error, _not_applied)
            return
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._fail(jobs, error, _maybe_applied)

    def _fail(self, jobs: list[Job], cause: sqlite3.Error, translate: Callable[[sqlite3.Error], StoreError]) -> None:
        log.error("a group of %d commits failed: %s", len(jobs), cause)
        for job in jobs:
            job.outcome = translate(cause)
            job.outcome.__cause__ = cause
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _apply(self, jobs: list[Job]) -> None:
        now = self._clock()
        lsns: dict[str, int] = {}
        for job in jobs:
            if job.container not in lsns:
                (lsns[job.container],) = self._db.execute(
                    "SELECT lsn FROM containers WHERE name = ?", (job.container,)
                ).fetchone()
            try:
                self._check(job, now)
            except Conflict as conflict:
                job.outcome = conflict
                continue
            lsns[job.container] += 1
            job.outcome = self._write(job, lsns[job.container], now)
        self._purge(now)
        for container, lsn in lsns.items():
            self._db.execute("UPDATE containers SET lsn = ? WHERE name = ?", (lsn, container))

    def _check(self, job: Job, now: float) -> None:
        find = f"SELECT lsn FROM {sql.table(job.container)} WHERE partition = :partition AND id = :id AND {sql.ALIVE}"
        for index, write in enumerate(job.writes):
            if write.condition is Upsert:
                continue
            row = self._db.execute(find, {"partition": job.partition, "id": write.id, "now": now}).fetchone()
            if write.condition is Create:
                if row:
                    raise Conflict(index, "exists")
            elif not row:
                raise Conflict(index, "missing")
            elif str(row[0]) != write.etag:
                raise Conflict(index, "changed")

    def _write(self, job: Job, lsn: int, now: float) -> list[str | None]:
        name = sql.table(job.container)
        range_ = range_of(job.partition, self._ranges)
        etags: list[str | None] = []
        for write in job.writes:
            if write.body is None:
                self._db.execute(f"DELETE FROM {name} WHERE partition = ? AND id = ?", (job.partition, write.id))
                etags.append(None)
                continue
            expires = now + write.ttl if write.ttl is not None else None
            self._db.execute(
                f"""INSERT INTO {name} (partition, id, lsn, range, expires, body)
                VALUES (?, ?, ?, ?, ?, CAST(? AS TEXT))
                ON CONFLICT (partition, id) DO UPDATE SET
                lsn = excluded.lsn, expires = excluded.expires, body = excluded.body""",
                (job.partition, write.id, lsn, range_, expires, write.body),
            )
            etags.append(str(lsn))
        return etags

    def _purge(self, now: float) -> None:
        """Now and then remove what has expired; until then readers pass it over."""
        if now < self._purge_at:
            return
        self._purge_at = now + PURGE_EVERY_S
        for (container,) in self._db.execute("SELECT name FROM containers").fetchall():
            name = sql.table(container)
            self._db.execute(
                f"DELETE FROM {name} WHERE rowid IN (SELECT rowid FROM {name} WHERE expires <= ? LIMIT ?)",
                (now, PURGE_ROWS),
            )


def _not_applied(error: sqlite3.Error) -> StoreError:
    if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Throttled("another process is writing to the store", retry_after=0.05)
    return Unavailable(f"the store cannot write: {error}")


def _maybe_applied(error: sqlite3.Error) -> StoreError:
    return OutcomeUnknown(f"the store failed while committing: {error}")


def range_of(partition: str, ranges: int) -> int:
    """The feed range that a partition lies in, of so many."""
    return zlib.crc32(partition.encode()) % ranges
