"""The one writer of a SQLite store: queued commits share a transaction, and hear of it when it is durable.

Statements run on the event loop, where they are cheap; only the flush to the disk waits, on a thread. A thread that ran
the statements would have to ask for the interpreter's lock after each of them, and so wait for a busy loop many times
in a transaction. While one transaction is flushed the next commits gather: the more there are, the more share a flush.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable

from store.errors import OutcomeUnknown, StoreError, Throttled, Unavailable
from store.port import Etag
from store.sqlite import opening
from store.sqlite.group import Group, Job, Numbers

log = logging.getLogger(__name__)

MAX_GROUP = 250
"""Writes after which a group is full: the loop does nothing else while it applies them."""
BUSY_PAUSE_S = 0.002
"""How often the write lock is tried while another process has it."""


class Writer:
    """Commits jobs in groups: flushed by a thread of its own, or inline on the loop for a database in memory."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        clock: Callable[[], float],
        committed: Callable[[Numbers, set[tuple[str, int]]], None],
        *,
        inline: bool,
    ) -> None:
        self._db = connection
        self._group = Group(connection, clock)
        self._committed = committed
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Job] = deque()
        self._idle = asyncio.Event()
        self._idle.set()
        self._busy_since: float | None = None
        self._closed = False
        self._applied: queue.SimpleQueue[tuple[list[Job], Numbers] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        if not inline:
            connection.execute("PRAGMA busy_timeout = 0")  # the loop must not stand still for another process
            self._thread = threading.Thread(target=self._flush_all, name="sqlite-writer", daemon=True)
            self._thread.start()

    def commit(self, job: Job) -> asyncio.Future[list[Etag | None]]:
        """Queue the job; its future tells when it is durable, or its StoreError. Raises Unavailable."""
        if self._closed:
            raise Unavailable("the store is closed")
        self._waiting.append(job)
        if self._idle.is_set():
            self._idle.clear()
            self._loop.call_soon(self._begin)  # whoever commits in this turn of the loop comes along
        return job.done

    async def close(self) -> None:
        """Finish the queued jobs and close the connection."""
        self._closed = True
        await self._idle.wait()
        if self._thread:
            self._applied.put(None)
            await asyncio.to_thread(self._thread.join)
        self._db.close()

    def _begin(self) -> None:
        """One transaction for those who wait; or none, if nobody does or another process is writing."""
        if not self._waiting:
            self._idle.set()
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if _is_busy(error) and self._may_wait():
                self._loop.call_later(BUSY_PAUSE_S, self._begin)
                return
            self._busy_since = None
            self._give_up(self._next_group(), error)
            return
        self._busy_since = None
        self._apply(self._next_group())

    def _may_wait(self) -> bool:
        now = self._loop.time()
        self._busy_since = self._busy_since or now
        return now - self._busy_since < opening.BUSY_MS / 1000

    def _next_group(self) -> list[Job]:
        jobs, writes = [], 0
        while self._waiting and writes < MAX_GROUP:
            jobs.append(self._waiting.popleft())
            writes += len(jobs[-1].writes)
        return jobs

    def _apply(self, jobs: list[Job]) -> None:
        try:
            numbers = self._group.apply(jobs)
        except sqlite3.Error as error:
            self._give_up(jobs, error)
            return
        if self._thread:
            self._applied.put((jobs, numbers))
        else:
            self._flush(jobs)
            self._settle(jobs, numbers)

    def _give_up(self, jobs: list[Job], error: sqlite3.Error) -> None:
        self._fail(jobs, error, _not_applied)
        self._settle(jobs, {})

    def _flush_all(self) -> None:
        while (applied := self._applied.get()) is not None:
            self._flush(applied[0])
            self._loop.call_soon_threadsafe(self._settle, *applied)

    def _flush(self, jobs: list[Job]) -> None:
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

    def _settle(self, jobs: list[Job], numbers: Numbers) -> None:
        for job in jobs:
            if job.done.done():  # the caller was cancelled
                continue
            if isinstance(job.outcome, StoreError):
                job.done.set_exception(job.outcome)
            else:
                job.done.set_result(job.outcome)
        if applied := {(job.container, job.range) for job in jobs if not isinstance(job.outcome, StoreError)}:
            self._committed(numbers, applied)
        self._loop.call_soon(self._begin)  # behind those who have just heard, and may go on to the next commit


def _is_busy(error: sqlite3.Error) -> bool:
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _not_applied(error: sqlite3.Error) -> StoreError:
    if _is_busy(error):
        return Throttled("another process is writing to the store", retry_after=0.05)
    return Unavailable(f"the store cannot write: {error}")


def _maybe_applied(error: sqlite3.Error) -> StoreError:
    return OutcomeUnknown(f"the store failed while committing: {error}")
