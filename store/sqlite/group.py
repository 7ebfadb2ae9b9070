"""The statements of a group of commits, in a transaction that somebody else begins and ends."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence

import msgspec

from store.errors import Conflict, ConflictReason, OutcomeUnknown, StoreError, Unavailable
from store.port import Create, Delete, Etag, Replace, Upsert, Write
from store.sqlite import sql

PURGE_EVERY_S = 60.0
PURGE_ROWS = 500

Numbers = dict[str, tuple[int, int]]
"""By container: its last lsn before a group of commits, and after it."""
UNTRIED = OutcomeUnknown("the commit was not tried")


class Job(msgspec.Struct):
    """A commit on its way: what to write, the JSON of each write, and the future that hears of the outcome."""

    container: str
    partition: str
    range: int
    writes: Sequence[Write]
    bodies: list[bytes]
    done: asyncio.Future[list[Etag | None]]
    outcome: list[Etag | None] | StoreError = UNTRIED


class _Halfway(Exception):
    """A condition does not hold, and writes of the same commit are there already."""


class Group:
    """Applies commits; one whose condition does not hold leaves the others alone."""

    def __init__(self, connection: sqlite3.Connection, clock: Callable[[], float]) -> None:
        self._db = connection.cursor()
        self._clock = clock
        self._purge_at = 0.0

    def apply(self, jobs: list[Job]) -> Numbers:
        """Write what may be written, and give each job its outcome. Raises sqlite3.Error, with a part done.

        Returns how the feeds of the containers that were written to are numbered now.
        Each write checks its own condition. Few fail; when one does behind others of its commit, which are there
        already, all is undone and done again, the conditions of each commit checked before anything is written.
        """
        self._db.execute("SAVEPOINT begun")
        try:
            return self._apply(jobs, checked=False)
        except _Halfway:
            self._db.execute("ROLLBACK TO begun")
            return self._apply(jobs, checked=True)

    def _apply(self, jobs: list[Job], *, checked: bool) -> Numbers:
        now = self._clock()
        numbers: Numbers = {}
        for job in jobs:
            if job.container not in numbers:
                lsn = self._lsn(job.container)
                if lsn is None:
                    job.outcome = Unavailable(f"container {job.container!r} was dropped by another process")
                    continue
                numbers[job.container] = lsn, lsn
            before, lsn = numbers[job.container]
            job.outcome = (checked and self._conflict(job, now)) or self._written(job, lsn + 1, now)
            if not isinstance(job.outcome, Conflict):
                numbers[job.container] = before, lsn + 1
        self._purge(now)
        for container, (_, lsn) in numbers.items():
            self._db.execute("UPDATE containers SET lsn = ? WHERE name = ?", (lsn, container))
        return numbers

    def _lsn(self, container: str) -> int | None:
        row = self._db.execute("SELECT lsn FROM containers WHERE name = ?", (container,)).fetchone()
        return int(row[0]) if row else None

    def _written(self, job: Job, lsn: int, now: float) -> list[Etag | None] | Conflict:
        """Apply a commit. Raises _Halfway where there is something to be undone."""
        for write, body in zip(job.writes, job.bodies, strict=True):
            if not self._write(job, write, body, lsn, now):
                if write is not job.writes[0]:
                    raise _Halfway
                conflict = self._conflict(job, now)
                assert conflict
                return conflict
        return [None if isinstance(write, Delete) else lsn for write in job.writes]

    def _write(self, job: Job, write: Write, body: bytes, lsn: int, now: float) -> bool:
        """Whether the condition holds: then it is written."""
        key, version = (job.partition, write.id), (lsn, body, _expiry(write, now))
        values: tuple[object, ...]
        match write:
            case Create():
                text, values = sql.create, (*key, *version, job.range, now)
            case Upsert(etag=None):
                text, values = sql.upsert, (*key, *version, job.range)
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
        return None if found[0] == write.etag else "changed"

    def _conflict(self, job: Job, now: float) -> Conflict | None:
        """The first condition of a commit that does not hold."""
        faults = (self._fault(job, write, now) for write in job.writes)
        return next((Conflict(index, fault) for index, fault in enumerate(faults) if fault), None)

    def _purge(self, now: float) -> None:
        """Now and then remove what has expired; until then readers pass it over."""
        if now < self._purge_at:
            return
        self._purge_at = now + PURGE_EVERY_S
        for (container,) in self._db.execute("SELECT name FROM containers").fetchall():
            self._db.execute(sql.purge(container), (now, PURGE_ROWS))


def _expiry(write: Write, now: float) -> float | None:
    return None if isinstance(write, Delete) or write.ttl is None else now + write.ttl
