"""Workers: they project what is committed, checkpoint behind the effects, hand over, and go on where one stopped."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

import msgspec
import pytest

from projector.leases import LEASES, LeaseDocument, Timing
from projector.orders import CUSTOMER_ORDERS, PRODUCT_SALES, PROJECTIONS, Change
from projector.worker import AnyProjection, Worker
from read_model.orders import CUSTOMER_VIEWS, CustomerView
from store import Changes, Conflict, Document, Replace, Scope, Start, Store, Unavailable, Write
from tests.projector.delegates import Through, With
from tests.projector.expected import views_of, without_sentences
from tests.projector.test_leases import process_that_ended
from tests.projector.world import PATIENCE_S, World, documents, order_id, running, until

EAGER = Timing(acquire_s=0.005, renew_s=0.01, expiry_s=3600)
A = order_id("ada")

Loops = list[Callable[[], Awaitable[None]]]


class Read(Through):
    """Notes from where the feed was read, what it gave, and how many loops wait for more."""

    def __init__(self, inner: Through) -> None:
        super().__init__(inner)
        self.positions: list[str | Start] = []
        self.given: list[Document] = []
        self.waiting = 0

    async def wait_for_changes(self, seen: int, timeout: float) -> int:
        self.waiting += bool(seen)
        try:
            return await super().wait_for_changes(seen, timeout)
        finally:
            self.waiting -= bool(seen)

    async def changes(self, scope: Scope, after: str | Start, limit: int = 100) -> Changes:
        page = await super().changes(scope, after, limit)
        self.positions.append(after)
        self.given += page.documents
        return page


class Held(Through):
    """Holds commits until they are let go."""

    def __init__(self, inner: Through) -> None:
        super().__init__(inner)
        self.waiting = asyncio.Event()
        self.go = asyncio.Event()

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str | None]:
        self.waiting.set()
        await self.go.wait()
        return await super().commit(partition, writes)


async def loops(store: Store, projections: Sequence[AnyProjection] = PROJECTIONS, timing: Timing = EAGER) -> Loops:
    worker = Worker(store, projections, timing)
    await worker.start()
    return [loop for _, loop in worker.loops()]


async def leases(world: World) -> dict[tuple[str, str], LeaseDocument]:
    found = await documents(world.store, LEASES.name)
    return {(document.partition, document.id): document.decode(LeaseDocument) for document in found}


async def is_drained(world: World) -> bool:
    return without_sentences(await world.views()) == without_sentences(views_of(await world.feed()))


async def is_checkpointed(world: World) -> bool:
    """Whether every lease's cursor has nothing behind it."""
    behind = [
        (await world.aggregates.container.changes(range_, lease.cursor)).documents
        for range_ in await world.aggregates.container.feed_ranges()
        for (_, id), lease in (await leases(world)).items()
        if id == range_.id and lease.cursor
    ]
    return len(behind) == await loop_count(world) and not any(behind)


async def loop_count(world: World) -> int:
    """How many loops a worker has."""
    return len(PROJECTIONS) * len(await world.aggregates.container.feed_ranges())


async def shop(world: World, *customers: str) -> None:
    for customer in customers:
        await world.submitted(order_id(customer))


async def test_a_loop_is_named_after_projection_and_range(world: World) -> None:
    worker = Worker(world.store, PROJECTIONS)
    await worker.start()
    names = [name for name, _ in worker.loops()]
    ranges = await world.aggregates.container.feed_ranges()
    assert names == [f"projector {p.key}/{range_.id}" for p in PROJECTIONS for range_ in ranges]


async def test_a_worker_projects_what_was_and_what_comes(shared_world: World) -> None:
    await shop(shared_world, "ada", "bob")
    async with running(*await loops(shared_world.store)):
        await until(lambda: is_drained(shared_world))
        await shop(shared_world, "cy", "dee")
        await until(lambda: is_drained(shared_world))


async def test_a_worker_projects_what_another_process_commits(shared_world: World, other_world: World) -> None:
    async with running(*await loops(shared_world.store)):
        await shop(other_world, "ada")
        await until(lambda: is_drained(shared_world))


async def test_checkpoints_follow_the_effects(shared_world: World) -> None:
    await shop(shared_world, "ada", "bob", "cy")
    async with running(*await loops(shared_world.store)):
        await until(lambda: is_checkpointed(shared_world))
        assert await is_drained(shared_world)


async def test_a_checkpoint_does_not_move_before_the_effects_are_stored(shared_world: World) -> None:
    await shop(shared_world, "ada")
    held = Held(Through(shared_world.store.container(CUSTOMER_VIEWS.name)))
    async with running(*await loops(With(shared_world.store, held))):
        await until(held.waiting.is_set)
        (range_,) = [r for r in await shared_world.aggregates.container.feed_ranges() if await _holds(shared_world, r)]
        assert (await leases(shared_world))[CUSTOMER_ORDERS.key, range_.id].cursor is None
    after = (await leases(shared_world))[CUSTOMER_ORDERS.key, range_.id]
    assert (after.owner, after.cursor) == (None, None)
    async with running(*await loops(shared_world.store)):
        await until(lambda: is_drained(shared_world))


async def _holds(world: World, scope: Scope) -> bool:
    return bool((await world.aggregates.container.changes(scope, Start.BEGINNING)).documents)


async def test_a_worker_continues_at_the_checkpoint_of_the_one_before(shared_world: World) -> None:
    await shop(shared_world, "ada", "bob", "cy", "dee")
    async with running(*await loops(shared_world.store)):
        await until(lambda: is_checkpointed(shared_world))
    cursors = {lease.cursor for lease in (await leases(shared_world)).values()}
    await shop(shared_world, "eve")
    source = Read(Through(shared_world.aggregates.container))
    async with running(*await loops(With(shared_world.store, source))):
        await until(lambda: is_drained(shared_world))
    assert set(source.positions[: len(cursors)]) <= cursors
    assert {document.partition for document in source.given} == {"eve"}


async def test_cancellation_hands_over_what_was_applied(shared_world: World) -> None:
    await shop(shared_world, "ada", "bob")
    source = Read(Through(shared_world.aggregates.container))
    seldom, count = replace(EAGER, renew_s=3600), await loop_count(shared_world)
    async with running(*await loops(With(shared_world.store, source), timing=seldom)):
        await until(lambda: source.waiting == count)
        assert {lease.cursor for lease in (await leases(shared_world)).values()} == {None}
    assert await is_checkpointed(shared_world)
    assert {lease.owner for lease in (await leases(shared_world)).values()} == {None}


@pytest.mark.parametrize("looks", range(8))
async def test_cancellation_leaves_no_lease_behind_whenever_it_comes(shared_world: World, looks: int) -> None:
    await shop(shared_world, "ada")
    async with running(*await loops(shared_world.store, timing=replace(EAGER, renew_s=0.001))):
        for _ in range(looks):
            await asyncio.sleep(0)
    assert {lease.owner for lease in (await leases(shared_world)).values()} <= {None}


async def test_a_second_worker_waits_and_takes_over(shared_world: World, other_world: World) -> None:
    await shop(shared_world, "ada", "bob", "cy")
    source = Read(Through(other_world.aggregates.container))
    async with AsyncExitStack() as second:
        async with running(*await loops(shared_world.store)):
            await until(lambda: is_checkpointed(shared_world))
            await second.enter_async_context(running(*await loops(With(other_world.store, source))))
            await shop(shared_world, "dee", "eve")
            await until(lambda: is_checkpointed(shared_world))
            assert source.given == []
        await shop(shared_world, "fay")
        await until(lambda: is_drained(shared_world))
        assert {document.partition for document in source.given} == {"fay"}
    assert {lease.epoch for lease in (await leases(shared_world)).values()} == {2}


async def test_two_workers_without_regard_for_each_other_still_count_once(
    shared_world: World, other_world: World
) -> None:
    """With an expiry of nothing, each steals from the other all the time."""
    thieves = Timing(acquire_s=0, renew_s=0.1, expiry_s=0)
    both = [loop for world in (shared_world, other_world) for loop in await loops(world.store, timing=thieves)]
    async with running(*both):
        await shop(shared_world, "ada", "bob", "cy")
        await until(lambda: is_drained(shared_world))
        await until(lambda: _epochs_above(shared_world, 3))
        assert await is_drained(shared_world)


async def _epochs_above(world: World, epoch: int) -> bool:
    return all(lease.epoch > epoch for lease in (await leases(world)).values())


async def test_a_worker_whose_lease_was_stolen_lets_go_and_takes_it_again_when_it_is_free(shared_world: World) -> None:
    async def steal() -> bool:
        for document in await documents(shared_world.store, LEASES.name):
            lease = document.decode(LeaseDocument)
            taken = msgspec.structs.replace(lease, owner=dead, epoch=lease.epoch + 1)
            if (document.partition, document.id) == key and lease.owner:
                try:
                    await shared_world.store.container(LEASES.name).commit(
                        document.partition, [Replace(document.id, taken, document.etag)]
                    )
                except Conflict:  # it was renewed meanwhile
                    return False
                return True
        return False

    async def is_back() -> bool:
        lease = (await leases(shared_world))[key]
        return lease.epoch == 3 and lease.owner != dead

    dead = f"{socket.gethostname()}/{process_that_ended()}/thief"
    first, *_ = await shared_world.aggregates.container.feed_ranges()
    key = (CUSTOMER_ORDERS.key, first.id)
    async with running(*await loops(shared_world.store)):
        await until(steal)
        await until(is_back)
        await shop(shared_world, "ada", "bob", "cy")
        await until(lambda: is_drained(shared_world))


async def test_a_poisoned_projection_raises_out_of_its_loop_and_the_loop_can_be_run_again(world: World) -> None:
    poison = {"bob"}

    def project(change: Change, customer: str, known: Mapping[str, CustomerView]) -> Iterator[CustomerView]:
        if customer in poison:
            raise ZeroDivisionError(customer)
        yield from CUSTOMER_ORDERS.project(change, customer, known)

    await shop(world, "ada", "bob")
    poisoned = await loops(world.store, [replace(CUSTOMER_ORDERS, project=project)])
    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match="bob"):
            async with running(*poisoned) as tasks:
                await asyncio.wait(tasks, timeout=PATIENCE_S, return_when=asyncio.FIRST_EXCEPTION)
    assert {lease.owner for lease in (await leases(world)).values()} == {None}
    poison.clear()
    async with running(*poisoned, *await loops(world.store, [PRODUCT_SALES])):
        await until(lambda: is_drained(world))


async def test_a_loop_that_failed_with_the_store_and_could_not_let_go_takes_its_lease_again(world: World) -> None:
    class Failing(Through):
        broken = False

        async def commit(self, partition: str, writes: Sequence[Write]) -> list[str | None]:
            if self.broken:
                raise Unavailable("for a while")
            return await super().commit(partition, writes)

    container = Failing(world.store.container(LEASES.name))
    loop, *_ = await loops(With(world.store, container))
    task = asyncio.ensure_future(loop())
    await until(lambda: leases(world))
    container.broken = True
    with pytest.raises(Unavailable):
        await asyncio.wait_for(task, PATIENCE_S)
    container.broken = False
    async with running(loop):
        await until(lambda: _epochs_above(world, 1))
