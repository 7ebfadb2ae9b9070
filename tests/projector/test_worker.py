"""Workers: they project what is committed, checkpoint behind the effects, hand over, and go on where one stopped."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import msgspec
import pytest

from projector.leases import LEASES, LeaseDocument, Timing
from projector.orders import CUSTOMER_ORDERS, PROJECTIONS, Change
from projector.worker import AnyProjection, Worker
from read_model.orders import CUSTOMER_VIEWS, CustomerView
from store import Changes, Conflict, Document, Replace, Scope, Start, Store, Unavailable, Write
from tests.projector.delegates import Through, With
from tests.projector.expected import views_of, without_sentences
from tests.projector.test_leases import process_that_ended
from tests.projector.world import PATIENCE_S, World, documents, open_world, order_id, running, until

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
    return len(behind) == len(PROJECTIONS) * 4 and not any(behind)


async def shop(world: World, *customers: str) -> None:
    for customer in customers:
        await world.submitted(order_id(customer))


async def test_a_loop_is_named_after_projection_and_range(world: World) -> None:
    worker = Worker(world.store, PROJECTIONS)
    await worker.start()
    names = [name for name, _ in worker.loops()]
    assert names == [f"projector {p.key}/{n}" for p in PROJECTIONS for n in range(4)]


async def test_a_worker_projects_what_was_and_what_comes(file_world: World) -> None:
    await shop(file_world, "ada", "bob")
    async with running(*await loops(file_world.store)):
        await until(lambda: is_drained(file_world))
        await shop(file_world, "cy", "dee")
        await until(lambda: is_drained(file_world))


async def test_a_worker_projects_what_another_process_commits(file_world: World, path: str) -> None:
    async with open_world(path) as other, running(*await loops(file_world.store)):
        await shop(other, "ada")
        await until(lambda: is_drained(file_world))


async def test_checkpoints_follow_the_effects(file_world: World) -> None:
    await shop(file_world, "ada", "bob", "cy")
    async with running(*await loops(file_world.store)):
        await until(lambda: is_checkpointed(file_world))
        assert await is_drained(file_world)


async def test_a_checkpoint_does_not_move_before_the_effects_are_stored(file_world: World) -> None:
    await shop(file_world, "ada")
    held = Held(Through(file_world.store.container(CUSTOMER_VIEWS.name)))
    async with running(*await loops(With(file_world.store, held))):
        await until(held.waiting.is_set)
        (range_,) = [r for r in await file_world.aggregates.container.feed_ranges() if await _holds(file_world, r)]
        assert (await leases(file_world))[CUSTOMER_ORDERS.key, range_.id].cursor is None
    after = (await leases(file_world))[CUSTOMER_ORDERS.key, range_.id]
    assert (after.owner, after.cursor) == (None, None)
    async with running(*await loops(file_world.store)):
        await until(lambda: is_drained(file_world))


async def _holds(world: World, scope: Scope) -> bool:
    return bool((await world.aggregates.container.changes(scope, Start.BEGINNING)).documents)


async def test_a_worker_continues_at_the_checkpoint_of_the_one_before(file_world: World) -> None:
    await shop(file_world, "ada", "bob", "cy", "dee")
    async with running(*await loops(file_world.store)):
        await until(lambda: is_checkpointed(file_world))
    cursors = {lease.cursor for lease in (await leases(file_world)).values()}
    await shop(file_world, "eve")
    source = Read(Through(file_world.aggregates.container))
    async with running(*await loops(With(file_world.store, source))):
        await until(lambda: is_drained(file_world))
    assert set(source.positions[:8]) <= cursors
    assert {document.partition for document in source.given} == {"eve"}


async def test_cancellation_hands_over_what_was_applied(file_world: World) -> None:
    await shop(file_world, "ada", "bob")
    source = Read(Through(file_world.aggregates.container))
    seldom = replace(EAGER, renew_s=3600)
    async with running(*await loops(With(file_world.store, source), timing=seldom)):
        await until(lambda: source.waiting == 8)
        assert {lease.cursor for lease in (await leases(file_world)).values()} == {None}
    assert await is_checkpointed(file_world)
    assert {lease.owner for lease in (await leases(file_world)).values()} == {None}


@pytest.mark.parametrize("looks", range(8))
async def test_cancellation_leaves_no_lease_behind_whenever_it_comes(file_world: World, looks: int) -> None:
    await shop(file_world, "ada")
    async with running(*await loops(file_world.store, timing=replace(EAGER, renew_s=0.001))):
        for _ in range(looks):
            await asyncio.sleep(0)
    assert {lease.owner for lease in (await leases(file_world)).values()} <= {None}


async def test_a_second_worker_waits_and_takes_over(file_world: World, path: str) -> None:
    await shop(file_world, "ada", "bob", "cy")
    async with open_world(path) as other:
        source = Read(Through(other.aggregates.container))
        async with running(*await loops(file_world.store)):
            await until(lambda: is_checkpointed(file_world))
            second = running(*await loops(With(other.store, source)))
            await second.__aenter__()
            await shop(file_world, "dee", "eve")
            await until(lambda: is_checkpointed(file_world))
            assert source.given == []
        try:
            await shop(file_world, "fay")
            await until(lambda: is_drained(file_world))
            assert {document.partition for document in source.given} == {"fay"}
        finally:
            await second.__aexit__(None, None, None)
    assert {lease.epoch for lease in (await leases(file_world)).values()} == {2}


async def test_two_workers_without_regard_for_each_other_still_count_once(file_world: World, path: str) -> None:
    """With an expiry of nothing, each steals from the other all the time."""
    thieves = Timing(acquire_s=0, renew_s=0.001, expiry_s=0)
    async with open_world(path) as other:
        both = [*await loops(file_world.store, timing=thieves), *await loops(other.store, timing=thieves)]
        async with running(*both):
            await shop(file_world, "ada", "bob", "cy")
            await until(lambda: is_drained(file_world))
            await until(lambda: _epochs_above(file_world, 3))
            assert await is_drained(file_world)


async def _epochs_above(world: World, epoch: int) -> bool:
    return all(lease.epoch > epoch for lease in (await leases(world)).values())


async def test_a_worker_whose_lease_was_stolen_lets_go_and_takes_it_again_when_it_is_free(file_world: World) -> None:
    async def steal() -> bool:
        for document in await documents(file_world.store, LEASES.name):
            lease = document.decode(LeaseDocument)
            taken = msgspec.structs.replace(lease, owner=dead, epoch=lease.epoch + 1)
            if (document.partition, document.id) == key and lease.owner:
                try:
                    await file_world.store.container(LEASES.name).commit(
                        document.partition, [Replace(document.id, taken, document.etag)]
                    )
                except Conflict:  # it was renewed meanwhile
                    return False
                return True
        return False

    async def is_back() -> bool:
        lease = (await leases(file_world))[key]
        return lease.epoch == 3 and lease.owner != dead

    dead = f"{socket.gethostname()}/{process_that_ended()}/thief"
    key = (CUSTOMER_ORDERS.key, "0")
    async with running(*await loops(file_world.store)):
        await until(steal)
        await until(is_back)
        await shop(file_world, "ada", "bob", "cy")
        await until(lambda: is_drained(file_world))


async def test_a_poisoned_projection_raises_out_of_its_loop_and_the_loop_can_be_run_again(file_world: World) -> None:
    poison = {"bob"}

    def project(change: Change, customer: str, known: Mapping[str, CustomerView]) -> Iterator[CustomerView]:
        if customer in poison:
            raise ZeroDivisionError(customer)
        yield from CUSTOMER_ORDERS.project(change, customer, known)

    async with open_world(ranges=1) as world:
        await shop(world, "ada", "bob")
        (loop,) = await loops(world.store, [replace(CUSTOMER_ORDERS, project=project)])
        for _ in range(2):
            with pytest.raises(ZeroDivisionError, match="bob"):
                await asyncio.wait_for(loop(), PATIENCE_S)
        assert {lease.owner for lease in (await leases(world)).values()} == {None}
        poison.clear()
        async with running(loop, *(await loops(world.store))[1:]):
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
