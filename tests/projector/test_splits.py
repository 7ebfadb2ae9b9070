"""Physical partitions that split and merge under leases: nothing is lost or doubled, and no lease's range widens."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from projector.leases import LEASES, LeaseDocument
from projector.orders import PROJECTIONS
from store import Container, FeedRange, OutcomeUnknown, Start
from store.cosmos import connect, open_cosmos, provision
from tests.emulator import Emulator, emulator
from tests.projector.delegates import With
from tests.projector.test_leases import Looker, Troubled, stored
from tests.projector.workers import Read, is_checkpointed, is_drained, leases, working
from tests.projector.world import SPECS, World, order_id, until
from write_model import orders

DATABASE = "tests"
SOURCE = orders.CONTAINER.name
CUSTOMERS = [f"customer{number}" for number in range(6)]


@pytest.fixture
async def server() -> AsyncIterator[Emulator]:
    async with emulator(partitions=2) as server:
        yield server


@pytest.fixture
async def world(server: Emulator) -> AsyncIterator[World]:
    async with connect(server.url, server.key) as client:
        await provision(client, DATABASE, SPECS)
    store = await open_cosmos(server.url, server.key, DATABASE, SPECS)
    yield World(store)
    await store.close()


async def shop(world: World, number: int = 1) -> None:
    for customer in CUSTOMERS:
        await world.submitted(order_id(customer, number))


async def lease_ranges(world: World) -> set[str]:
    return {id for _, id in await leases(world)}


async def is_divided(world: World) -> bool:
    """Whether there is a lease for each range as it is now, and for no other."""
    return await lease_ranges(world) == {range_.id for range_ in await world.aggregates.container.feed_ranges()}


def cover_all(ranges: set[str]) -> bool:
    """Whether the ranges lie side by side from one end to the other."""
    bounds = sorted(range_.split("-") for range_ in ranges)
    ends = [high for _, high in bounds]
    return [low for low, _ in bounds] == ["", *ends[:-1]] and ends[-1] == "FF"


# ---------------------------------------------------------------------------------------------------- workers


async def test_a_split_under_a_worker_divides_its_leases_and_loses_nothing(server: Emulator, world: World) -> None:
    async with working(world.store):
        await shop(world)
        await until(lambda: is_checkpointed(world))
        server.split(DATABASE, SOURCE, "0")
        await shop(world, 2)
        await until(lambda: is_drained(world))
        await until(lambda: is_divided(world))
        await shop(world, 3)
        await until(lambda: is_drained(world))
    assert len(await lease_ranges(world)) == 3


async def test_parts_continue_where_the_whole_stood(server: Emulator, world: World) -> None:
    await shop(world)
    async with working(world.store):
        await until(lambda: is_checkpointed(world))
    server.split(DATABASE, SOURCE, "0")
    server.split(DATABASE, SOURCE, "1")
    await world.submitted(order_id("eve"))
    source = Read(world.aggregates.container)
    async with working(With(world.store, source)):
        await until(lambda: is_drained(world))
        await until(lambda: is_divided(world))
        await world.submitted(order_id("fay"))
        await until(lambda: is_drained(world))
    assert {document.partition for document in source.given} == {"eve", "fay"}
    assert len(await lease_ranges(world)) == 4


async def test_a_merge_leaves_the_leases_as_they_are_and_loses_nothing(server: Emulator, world: World) -> None:
    async with working(world.store):
        await shop(world)
        await until(lambda: is_checkpointed(world))
        before = await lease_ranges(world)
        server.merge(DATABASE, SOURCE, "0", "1")
        await shop(world, 2)
        await until(lambda: is_drained(world))
    assert await lease_ranges(world) == before
    async with working(world.store):
        await shop(world, 3)
        await until(lambda: is_drained(world))
    assert await lease_ranges(world) == before


async def test_splits_and_merges_in_any_order_under_several_workers_lose_and_double_nothing(
    server: Emulator, world: World
) -> None:
    async with working(world.store), working(world.store):
        await shop(world)
        await until(lambda: is_drained(world))
        known = await lease_ranges(world)
        server.split(DATABASE, SOURCE, "0")  # into 2 and 3
        await shop(world, 2)
        server.merge(DATABASE, SOURCE, "2", "3")  # perhaps before anybody has noticed
        await shop(world, 3)
        server.split(DATABASE, SOURCE, "1")
        await shop(world, 4)
        await until(lambda: is_drained(world))

        for projection in PROJECTIONS:  # each divides its leases when its own workers notice
            found = {id for key, id in await leases(world) if key == projection.key}
            assert cover_all(found)
            assert all(any(_within(range_, whole) for whole in known) for range_ in found)


def _within(part: str, whole: str) -> bool:
    (low, high), (first, last) = part.split("-"), whole.split("-")
    return first <= low and high <= last


# ---------------------------------------------------------------------------------------------------- leases


@pytest.fixture
def table(world: World) -> Troubled:
    return Troubled(world.store.container(LEASES.name))


@pytest.fixture
def source(world: World) -> Container:
    return world.aggregates.container


async def split(server: Emulator, source: Container) -> tuple[str, list[str]]:
    """Split the first range; it, and its parts. The next request to the range tells the client."""
    first = min(range_.id for range_ in await source.feed_ranges())
    server.split(DATABASE, SOURCE, "0")
    await source.changes(FeedRange(first), Start.BEGINNING)
    return first, [part.id for part in await source.parts_of(FeedRange(first))]


async def test_a_lease_is_divided_at_once_and_once_whoever_looks(
    server: Emulator, table: Troubled, source: Container
) -> None:
    first = Looker(table, source)
    await first.take_share()
    for lease in first.held.values():
        lease.advance("here", applied=1)
        await lease.release()
    whole, parts = await split(server, source)
    lookers = [Looker(table, source) for _ in range(4)]
    await asyncio.gather(*(looker.look() for looker in lookers))
    found = await stored(table)
    assert len(parts) == 2
    assert whole not in found
    assert [found[part] for part in parts] == [LeaseDocument(part, None, epoch=1, cursor="here") for part in parts]
    assert cover_all(set(found))


async def test_a_lease_with_an_owner_is_divided_only_after_it_let_go(
    server: Emulator, table: Troubled, source: Container
) -> None:
    owner, other = Looker(table, source), Looker(table, source)
    await owner.take_share()
    whole, parts = await split(server, source)
    for looker in (owner, other):
        await looker.look()
        assert looker.table.split == {whole}
    await owner.held.pop(whole).release()
    await other.look()
    assert other.table.split == set()
    assert set(parts) <= (await stored(table)).keys()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_unclear_outcome_of_dividing_is_settled_at_the_next_look(
    server: Emulator, table: Troubled, source: Container, when: str
) -> None:
    me = Looker(table, source)
    await me.look()
    whole, parts = await split(server, source)
    setattr(table, when, iter([OutcomeUnknown("cut")]))
    await me.look()
    assert cover_all(set(await stored(table)))
    await me.look()
    found = set(await stored(table))
    assert whole not in found
    assert set(parts) <= found
    assert cover_all(found)
