"""Workers to be watched: eager ones, on stores whose containers tell what is done to them, and poisoned projections."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from projector.dead_letters import DEAD_LETTERS, DeadLetter, DeadLetters
from projector.leases import LEASES, LeaseDocument, Timing
from projector.observe import LeaseMove, Observer
from projector.orders import PROJECTIONS, Change
from projector.projection import Projection, View
from projector.worker import Worker
from store import Changes, Container, ContainerDelegate, Document, Etag, FeedRange, Scope, Start, Store, Write
from tests.projector.expected import views_of, without_sentences
from tests.projector.world import World, documents, moment, running

EAGER = Timing(acquire_s=0.03, renew_s=0.06, expiry_s=3600, checkpoint_s=0.04)
NOW = moment(0)

AnyProjection = Projection[Any, Any]


class Noted(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []
        self.lags: list[tuple[str, float]] = []

    def applied(self, projection: str, page: Sequence[Document], seconds: float) -> None:
        self.told.append(("applied", projection))

    def retried(self, projection: str, reason: str) -> None:
        self.told.append(("retried", projection, reason))

    def parked(self, projection: str) -> None:
        self.told.append(("parked", projection))

    def lag(self, projection: str, range: str, seconds: float) -> None:
        self.lags.append((projection, seconds))

    def lease_moved(self, projection: str, range: str, how: LeaseMove) -> None:
        self.told.append(("lease", projection, how))


class Read(ContainerDelegate):
    """Notes from where the feed was read, what it gave, and how many followers wait for more."""

    def __init__(self, inner: Container) -> None:
        super().__init__(inner)
        self.positions: list[str | Start] = []
        self.given: list[Document] = []
        self.waiting = 0

    async def wait_for_changes(self, seen: int, timeout: float, range: FeedRange | None = None) -> int:
        self.waiting += bool(seen)
        try:
            return await super().wait_for_changes(seen, timeout, range)
        finally:
            self.waiting -= bool(seen)

    async def changes(self, scope: Scope, after: str | Start, limit: int = 100) -> Changes:
        page = await super().changes(scope, after, limit)
        self.positions.append(after)
        self.given += page.documents
        return page


class Held(ContainerDelegate):
    """Holds commits until they are let go."""

    def __init__(self, inner: Container) -> None:
        super().__init__(inner)
        self.waiting = asyncio.Event()
        self.go = asyncio.Event()

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[Etag | None]:
        self.waiting.set()
        await self.go.wait()
        return await super().commit(partition, writes)


class Failing(ContainerDelegate):
    """Every call raises `error` while there is one."""

    error: Exception | None = None
    failed = 0

    def _fail(self) -> None:
        if self.error:
            self.failed += 1
            raise self.error

    async def read(self, partition: str, id: str) -> Document | None:
        self._fail()
        return await super().read(partition, id)

    async def query(self, query: Any) -> Any:
        self._fail()
        return await super().query(query)

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[Etag | None]:
        self._fail()
        return await super().commit(partition, writes)

    async def feed_ranges(self) -> list[FeedRange]:
        self._fail()
        return await super().feed_ranges()

    async def parts_of(self, range: FeedRange) -> list[FeedRange]:
        self._fail()
        return await super().parts_of(range)

    async def changes(self, scope: Scope, after: str | Start, limit: int = 100) -> Changes:
        self._fail()
        return await super().changes(scope, after, limit)

    async def wait_for_changes(self, seen: int, timeout: float, range: FeedRange | None = None) -> int:
        self._fail()
        return await super().wait_for_changes(seen, timeout, range)


def worker(
    store: Store,
    projections: Sequence[AnyProjection] = PROJECTIONS,
    timing: Timing = EAGER,
    observer: Observer | None = None,
) -> Worker:
    return Worker(store, projections, timing, now=lambda: NOW, observer=observer)


@asynccontextmanager
async def working(
    store: Store,
    projections: Sequence[AnyProjection] = PROJECTIONS,
    timing: Timing = EAGER,
    observer: Observer | None = None,
) -> AsyncIterator[Worker]:
    """A worker while in the context."""
    one = worker(store, projections, timing, observer)
    async with running(*[loop for _, loop in one.loops()]):
        yield one


def poisoned(projection: AnyProjection, is_poison: Callable[[Any], bool]) -> AnyProjection:
    """The projection as it fails for some changes."""

    def project(change: Change, partition: str, known: Mapping[str, View]) -> Iterator[View]:
        if is_poison(change):
            raise ZeroDivisionError("poison")
        yield from projection.project(change, partition, known)

    return replace(projection, project=project)


def about(change: Any) -> str:
    """The order that a change is about."""
    return str(getattr(change, "order_id", change.id))


def letters_of(world: World, projection: AnyProjection) -> DeadLetters:
    return DeadLetters(world.store.container(DEAD_LETTERS.name), projection.key, lambda: NOW)


async def retry(world: World, projection: AnyProjection, key: str) -> DeadLetter | None:
    """Retry what is parked under a key; the letter, if it failed again."""
    source, target = (world.store.container(name) for name in (projection.source, projection.container.name))
    return await letters_of(world, projection).retry(key, projection, source, target)


async def parked(world: World, projection: AnyProjection) -> dict[str, DeadLetter]:
    return {letter.key: letter async for letter in letters_of(world, projection).all()}


async def leases(world: World) -> dict[tuple[str, str], LeaseDocument]:
    found = await documents(world.store, LEASES.name)
    return {(document.partition, document.id): document.decode(LeaseDocument) for document in found}


async def owners(world: World) -> set[str | None]:
    return {lease.owner for lease in (await leases(world)).values()}


async def is_drained(world: World) -> bool:
    return without_sentences(await world.views()) == without_sentences(views_of(await world.feed()))


async def is_checkpointed(world: World) -> bool:
    """Whether every lease's cursor has nothing behind it."""
    source, found = world.aggregates.container, (await leases(world)).values()
    if len(found) < await lease_count(world) or not all(lease.cursor for lease in found):
        return False
    behind = [(await source.changes(FeedRange(lease.id), str(lease.cursor))).documents for lease in found]
    return not any(behind)


async def lease_count(world: World) -> int:
    """How many leases there are for all projections."""
    return len(PROJECTIONS) * len(await world.aggregates.container.feed_ranges())
