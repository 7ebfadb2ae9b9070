"""One feed range of one projection, followed while its lease is ours: read ahead, apply, park, checkpoint."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from projector.apply import Failures, apply, key_of
from projector.dead_letters import DeadLetters
from projector.lag import seconds_between, time_of
from projector.leases import Lease, LeaseLost, Timing
from projector.patience import TRANSIENT, Patience
from projector.projection import Projection
from projector.tasks import ended, first_of, to_the_end
from store import Changes, Container, Document, Start, StoreError, Turns

log = logging.getLogger(__name__)

PAGE = 100
IDLE_S = 1.0
ATTEMPTS = 4
"""How often a document is tried before its key is parked."""
PAUSE_S = 0.05


@dataclass(frozen=True)
class Follower:
    """Follows one range. `run` ends when the lease is lost, or by cancellation, when it lets go of it."""

    projection: Projection[Any, Any]
    source: Container
    target: Container
    letters: DeadLetters
    lease: Lease
    timing: Timing
    turns: Turns
    now: Callable[[], str]
    patience: Patience

    @property
    def key(self) -> str:
        """Names the generation of the projection."""
        return self.projection.key

    async def run(self) -> None:
        """Project what comes; the checkpoint moves only after the effects.

        Raises LeaseLost, or what only an operator can mend (StoreError, CursorInvalid).
        """
        try:
            await first_of(self._project(), self._keep_alive())
        except LeaseLost:
            self.patience.observer.lease_moved(self.key, self.lease.range.id, "lost")
            raise
        finally:
            await to_the_end(self._let_go())

    async def _project(self) -> None:
        await self.patience(self.key, self.letters.load)  # the owner before may have parked keys
        clock = asyncio.get_running_loop()
        async with aclosing(self._pages()) as pages:
            async for page in pages:
                started = clock.time()
                self._begin(page)
                if page.documents:
                    await self._apply(page.documents)
                    self.patience.observer.applied(self.key, page.documents, clock.time() - started)
                self.lease.advance(page.cursor, len(page.documents))
                if page.documents and page.is_last:
                    self._begin(Changes(page.cursor))

    async def _pages(self) -> AsyncGenerator[Changes, None]:
        """The feed, page by page; while one is applied, the next is read if there may be one."""
        seen = 0
        page = await self._read(self.lease.position)
        while True:
            if page.is_last:
                yield page
                wait = partial(self.source.wait_for_changes, seen, IDLE_S, self.lease.range)
                seen = await self.patience(self.key, wait)
                page = await self._read(page.cursor)
                continue
            ahead = asyncio.create_task(self._read(page.cursor))
            try:
                yield page
                page = await ahead
            finally:
                await ended(ahead)

    def _begin(self, page: Changes) -> None:
        """Tell how old what comes now is: 0 when nothing has come."""
        oldest = time_of(self.projection, page.documents[0]) if page.documents else None
        self.lease.begin(oldest)
        lag = seconds_between(oldest, self.now()) if oldest else 0.0
        self.patience.observer.lag(self.key, self.lease.range.id, lag)

    async def _read(self, cursor: str | Start) -> Changes:
        range_ = self.lease.range
        return await self.patience(self.key, lambda: self.source.changes(range_, cursor, PAGE))

    async def _apply(self, documents: Sequence[Document]) -> None:
        """Project the documents; those that cannot be are parked, with what else of their key there is."""
        documents = await self._without_parked(documents)
        failures = await self._try(documents)
        attempts = 1
        while failures and attempts < ATTEMPTS:
            await asyncio.sleep(PAUSE_S * 2**attempts)
            self.patience.observer.retried(self.key, "poison")
            failures = await self._try(self._of_keys(documents, failures))
            attempts += 1
        for key, failure in failures.items():
            log.error("%s: %s is parked, for it cannot be projected", self.key, key, exc_info=failure.error)
            park = partial(self.letters.park, key, self._of_keys(documents, (key,)), failure, attempts)
            await self.patience(self.key, park)
            self.patience.observer.parked(self.key)

    async def _try(self, documents: Sequence[Document]) -> Failures:
        return await self.patience(self.key, lambda: apply(self.projection, self.target, documents, self.turns))

    async def _without_parked(self, documents: Sequence[Document]) -> Sequence[Document]:
        """The documents whose keys are not parked; the others wait behind theirs."""
        if not self.letters.parked:
            return documents
        for key in {key_of(self.projection, document) for document in documents} & self.letters.parked:
            waiting = self._of_keys(documents, (key,))
            if await self.patience(self.key, partial(self.letters.queue, key, waiting)):
                documents = [document for document in documents if document not in waiting]
        return documents

    def _of_keys(self, documents: Iterable[Document], keys: Iterable[str]) -> list[Document]:
        wanted = set(keys)
        return [document for document in documents if key_of(self.projection, document) in wanted]

    async def _keep_alive(self) -> None:
        """Renew the lease, and save how far it has come, until it is lost or its range is divided."""
        clock = asyncio.get_running_loop()
        renewed = clock.time()
        while True:
            await asyncio.sleep(min(self.timing.checkpoint_s, self.timing.renew_s))
            due = clock.time() - renewed >= self.timing.renew_s - self.timing.checkpoint_s / 2
            if not (self.lease.unsaved or due):
                continue
            try:
                await self.lease.renew()
                renewed = clock.time()
            except TRANSIENT as error:
                self.patience.observer.retried(self.key, type(error).__name__)
                if clock.time() - renewed >= self.timing.expiry_s:
                    raise LeaseLost(f"{self.key}/{self.lease.range.id} could not be renewed") from error

    async def _let_go(self) -> None:
        try:
            await self.lease.release()
            self.patience.observer.lease_moved(self.key, self.lease.range.id, "released")
        except LeaseLost:
            pass
        except StoreError as error:
            log.warning("%s: lease %s expires by itself: %s", self.key, self.lease.range.id, error)
