"""The loops that project: each follows one feed range of one projection, under a lease."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from projector.apply import apply
from projector.leases import DEFAULT_TIMING, LEASES, Lease, LeaseLost, Timing, acquire, worker_name
from projector.projection import Projection
from store import Container, FeedRange, Start, Store, Turns

PAGE = 100
CHECKPOINT_S = 1.0
IDLE_S = 1.0

AnyProjection = Projection[Any, Any]


class Worker:
    """A projector of this process: one endless loop for each feed range of each projection.

    Whoever runs the process supervises the loops. A loop that raised may be run again: it takes its lease anew and
    continues at the checkpoint; what it had applied behind that is recognised.
    """

    def __init__(self, store: Store, projections: Sequence[AnyProjection], timing: Timing = DEFAULT_TIMING) -> None:
        self._store = store
        self._projections = projections
        self._timing = timing
        self._owner = worker_name()
        self._turns = Turns()
        self._ranges: dict[str, list[FeedRange]] = {}

    async def start(self) -> None:
        """Learn the feed ranges."""
        for projection in self._projections:
            self._ranges[projection.key] = await self._store.container(projection.source).feed_ranges()

    def loops(self) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        """A name and an endless coroutine function for each range of each projection; call `start` first."""
        for projection in self._projections:
            for range_ in self._ranges[projection.key]:
                yield f"projector {projection.key}/{range_.id}", partial(self._run, projection, range_)

    async def _run(self, projection: AnyProjection, range_: FeedRange) -> None:
        leases = self._store.container(LEASES.name)
        while True:
            lease = await acquire(leases, projection, range_, self._owner, self._timing)
            try:
                await self._follow(projection, range_, lease)
            except LeaseLost:
                continue

    async def _follow(self, projection: AnyProjection, range_: FeedRange, lease: Lease) -> None:
        """Project what comes, for as long as the lease is ours; the checkpoint moves only after the effects."""
        source = self._store.container(projection.source)
        target = self._store.container(projection.target)
        loop = asyncio.get_running_loop()
        cursor, saved, saved_at, seen = lease.position, lease.position, loop.time(), 0
        try:
            while True:
                changes = await source.changes(range_, cursor, PAGE)
                await apply(projection, target, changes.documents, self._turns)
                cursor = changes.cursor
                since = loop.time() - saved_at
                if since >= self._timing.renew_s or (cursor != saved and since >= CHECKPOINT_S):
                    await lease.renew(cursor)
                    saved, saved_at = cursor, loop.time()
                if not changes.documents:
                    seen = await source.wait_for_changes(seen, min(IDLE_S, self._timing.renew_s))
        finally:
            # On the way out, cancelled or failed: what was applied is checkpointed, and another worker may go on.
            with suppress(LeaseLost):
                await lease.release(cursor if isinstance(cursor, str) else None)


async def drain(store: Store, projections: Sequence[AnyProjection]) -> None:
    """Project all that there is now, from the beginning and without leases: for tests and tools."""
    for projection in projections:
        source: Container = store.container(projection.source)
        for range_ in await source.feed_ranges():
            cursor: str | Start = Start.BEGINNING
            while (changes := await source.changes(range_, cursor, PAGE)).documents:
                await apply(projection, store.container(projection.target), changes.documents)
                cursor = changes.cursor
