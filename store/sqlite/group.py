"""The statements of a group of commits, in a transaction that somebody else begins and ends."""

import asyncio
import sqlite3
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from store.errors import Conflict, ConflictReason, OutcomeUnknown, StoreError, Unavailable
from store.port import Create, Delete, Replace, Upsert, Write
from store.sqlite import sql

PURGE_EVERY_S = 60.0
PURGE_ROWS = 500

UNTRIED = OutcomeUnknown("the commit was not tried")


@dataclass(slots=True)
class Job:
    """A commit on its way: what to write, the JSON of each write, and the future that hears of the outcome."""

    container: str
    partition: str
    writes: Sequence[Write]
    bodies: list[bytes]
    done: asyncio.Future[list[str | None]]
    outcome: list[str | None] | StoreError = UNTRIED


class Group:
    """Applies commits; one whose condition does not hold leaves the others alone."""

    def __init__(self, connection: sqlite3.Connection, ranges: int, clock: Callable[[], float]) -> None:
        self._db = connection
        self._ranges = ranges
        self._clock = clock
        self._purge_at = 0.0

    def apply(self, jobs: list[Job]) -> None:
        """Write what may be written, and give each job its outcome. Raises sqlite3.Error, with a part done."""
        now = self._clock()
        lsns: dict[str, int] = {}
        for job in jobs:
            lsn = lsns.get(job.container) or self._lsn(job.container)
            if lsn is None:
                job.outcome = Unavailable(f"container {job.container!r} was dropped by another process")
                continue
            job.outcome = self._written(job, lsn + 1, now)
            lsns[job.container] = lsn if isinstance(job.outcome, Conflict) else lsn + 1
        self._purge(now)
        for container, lsn in lsns.items():
            self._db.execute("UPDATE containers SET lsn = ? WHERE name = ?", (lsn, container))

    def _lsn(self, container: str) -> int | None:
        row = self._db.execute("SELECT lsn FROM containers WHERE name = ?", (container,)).fetchone()
        return int(row[0]) if row else None

    def _written(self, job: Job, lsn: int, now: float) -> list[str | None] | Conflict:
        """Apply a commit. The first write checks its condition itself: if that fails, nothing is there to be undone."""
        if any(self._fault(job, write, now) for write in job.writes[1:]):
            return self._conflict(job, now)
        for write, body in zip(job.writes, job.bodies, strict=True):
            if not self._write(job, write, body, lsn, now):
                return self._conflict(job, now)
        return [None if isinstance(write, Delete) else str(lsn) for write in job.writes]

    def _write(self, job: Job, write: Write, body: bytes, lsn: int, now: float) -> bool:
        """Whether the condition holds: then it is written."""
        key, version = (job.partition, write.id), (lsn, body, _expiry(write, now))
        values: tuple[object, ...]
        match write:
            case Create():
                text, values = sql.create, (*key, *version, range_of(job.partition, self._ranges), now)
            case Upsert(etag=None):
                text, values = sql.upsert, (*key, *version, range_of(job.partition, self._ranges))
            case Replace(etag=etag) | Upsert(etag=etag):
                text, values = sql.replace, (*version, *key, etag, now)
            case Delete(etag=etag):
                text, values = sql.delete, (*key, etag, now)
        return self._db.execute(text(job.container), values).rowcount == 1

    def _fault(self, job: Job, write: Write, now: float) -> ConflictReason | None:
        """Why the condition of a write does not hold."""
        if isinstance(write, Upsert) and write.etag is None:
            return None
        found = self._db.execute(sql.find(job.container), (job.partition, write.id, now)).fetchone()
        if isinstance(write, Create):
            return "exists" if found else None
        if not found:
            return "missing"
        return None if str(found[0]) == write.etag else "changed"

    def _conflict(self, job: Job, now: float) -> Conflict:
        """The first condition of a commit that does not hold."""
        faults = (self._fault(job, write, now) for write in job.writes)
        return next(Conflict(index, fault) for index, fault in enumerate(faults) if fault)

    def _purge(self, now: float) -> None:
        """Now and then remove what has expired; until then readers pass it over."""
        if now < self._purge_at:
            return
        self._purge_at = now + PURGE_EVERY_S
        for (container,) in self._db.execute("SELECT name FROM containers").fetchall():
            self._db.execute(sql.purge(container), (now, PURGE_ROWS))


def _expiry(write: Write, now: float) -> float | None:
    return None if isinstance(write, Delete) or write.ttl is None else now + write.ttl


def range_of(partition: str, ranges: int) -> int:
    """The feed range that a partition lies in, of so many."""
    return zlib.crc32(partition.encode()) % ranges
