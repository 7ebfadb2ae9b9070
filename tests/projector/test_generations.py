"""Generations: built beside the one that serves, compared, switched to and back from, whoever dies meanwhile."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
import pytest

from projector import compare, rebuild
from projector.generations import Generations, Refused, State
from projector.leases import LEASES, LeaseTable
from projector.orders import CUSTOMER_ORDERS, PRODUCT_SALES, PROJECTIONS, Change
from projector.overview import Overview, Row
from projector.projection import View
from projector.rebuild import bring_to_serve, catch_up, leases_of, wait_until_served
from read_model import live as live_view_module
from read_model.live import Live
from read_model.orders import (
    CUSTOMER_VIEWS,
    PRODUCT_VIEWS,
    CustomerView,
    FrameKind,
    OrderView,
    customer_of,
    order_frames,
)
from read_model.serving import Serving
from read_model.signing import Signer
from store import Document, Query, Start, Store, Upsert
from tests.projector.workers import EAGER, AnyProjection, working
from tests.projector.world import PATIENCE_S, Decide, World, bodies, moment, order_id, running, until
from write_model import orders

SECOND = CUSTOMER_VIEWS.of_generation(2).name
A = order_id("ada")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "PAUSE_S", 0.01)
    monkeypatch.setattr(rebuild, "LOOK_S", 0.01)
    monkeypatch.setattr(live_view_module, "SWITCH_S", 0.005)


def generations(world: World, projection: AnyProjection = CUSTOMER_ORDERS) -> Generations:
    return Generations(world.store, projection)


async def state(world: World, projection: AnyProjection = CUSTOMER_ORDERS) -> State:
    return (await generations(world, projection).read()).state


async def rebuilt(world: World, projection: AnyProjection = CUSTOMER_ORDERS) -> int:
    """Begin to build a generation, and wait until it serves."""
    building = (await generations(world, projection).rebuild()).building
    assert building
    await served(world, building, projection)
    return building


async def served(world: World, generation: int, projection: AnyProjection = CUSTOMER_ORDERS) -> None:
    async with asyncio.timeout(PATIENCE_S):
        assert await wait_until_served(world.store, projection, generation, lambda reached: None) is None


async def views(world: World, container: str) -> dict[tuple[str, str], Any]:
    return {key[1:]: body for key, body in (await bodies(world.store, container)).items()}


async def shop(world: World, *customers: str) -> None:
    for customer in customers:
        await world.submitted(order_id(customer))


@asynccontextmanager
async def reading(store: Store) -> AsyncIterator[tuple[Serving, Live]]:
    """The read side of a gateway."""
    serving = Serving(store, (CUSTOMER_VIEWS, PRODUCT_VIEWS))
    await serving.start()
    live = Live(serving, [CUSTOMER_VIEWS.name, PRODUCT_VIEWS.name], Signer(b"key"))
    await live.start()
    async with running(*[loop for _, loop in live.loops()]):
        yield serving, live


# ---------------------------------------------------------------------------------------------------- building anew


async def test_a_projection_that_is_built_anew_is_the_same_and_serves(shared_world: World) -> None:
    await shop(shared_world, "ada", "bob", "cy")
    async with working(shared_world.store):
        assert await rebuilt(shared_world) == 2
        await until(lambda: same(shared_world))
    assert await state(shared_world) == State(
        serving=2, previous=1, latest=2, versions={"1": CUSTOMER_ORDERS.version, "2": CUSTOMER_ORDERS.version}
    )


async def same(world: World) -> bool:
    return await views(world, CUSTOMER_VIEWS.name) == await views(world, SECOND)


async def test_both_generations_go_on_being_followed(shared_world: World) -> None:
    async with working(shared_world.store):
        await rebuilt(shared_world)
        await shop(shared_world, "ada")
        await until(lambda: has_order(shared_world, CUSTOMER_VIEWS.name))
        await until(lambda: has_order(shared_world, SECOND))


async def has_order(world: World, container: str) -> bool:
    return await world.store.container(container).read("ada", A) is not None


async def test_the_other_projection_is_left_alone(shared_world: World) -> None:
    async with working(shared_world.store):
        await rebuilt(shared_world)
        assert (await state(shared_world, PRODUCT_SALES)).serving == 1


async def test_readers_never_see_an_older_or_a_half_built_document_while_commands_go_on(
    shared_world: World, other_world: World
) -> None:
    ids = [order_id(customer, number) for customer in ("ada", "bob", "cy") for number in (1, 2)]
    for id in ids:
        await shared_world.submitted(id)
    done = asyncio.Event()

    async def write() -> None:
        steps: list[Decide] = [orders.record_payment, orders.ship, orders.deliver]
        for id in ids:
            for step in steps:
                await shared_world.give(step, id)
        done.set()

    async def read(serving: Serving) -> None:
        seen = dict.fromkeys(ids, 2)
        while not done.is_set():
            for id in ids:
                found = await serving.container(CUSTOMER_VIEWS.name).read(customer_of(id), id)
                assert found, f"{id} has gone"
                version = found.decode(OrderView).version
                assert version >= seen[id]
                seen[id] = version
                await asyncio.sleep(0)

    async with working(shared_world.store), working(other_world.store):
        await until(lambda: drained(shared_world, ids))
        async with reading(other_world.store) as (serving, _):
            readers = [asyncio.create_task(read(serving)) for _ in range(2)]
            writer = asyncio.create_task(write())
            await rebuilt(shared_world)
            await rebuilt(shared_world)
            await until(lambda: serving.generation(CUSTOMER_VIEWS.name) == 3)
            await asyncio.gather(writer, *readers)


async def drained(world: World, ids: list[str]) -> bool:
    place = world.store.container(CUSTOMER_VIEWS.name)
    return all([await place.read(customer_of(id), id) for id in ids])


async def test_subscribers_get_a_reset_and_a_snapshot(shared_world: World, other_world: World) -> None:
    await shop(shared_world, "ada")
    async with working(shared_world.store):
        await until(lambda: has_order(shared_world, CUSTOMER_VIEWS.name))
        async with reading(other_world.store) as (serving, live):
            frames = order_frames(serving, live, "ada")
            async with asyncio.timeout(PATIENCE_S):
                assert (await anext(frames)).kind is FrameKind.SNAPSHOT
                following = asyncio.create_task(_until_snapshot(frames))
                await rebuilt(shared_world)
                kinds, listed = await following
            assert kinds[-2:] == [FrameKind.RESET, FrameKind.SNAPSHOT]
            assert listed == [A]
            await frames.aclose()


async def _until_snapshot(frames: Any) -> tuple[list[FrameKind], list[str]]:
    kinds: list[FrameKind] = []
    while FrameKind.RESET not in kinds[:-1]:
        frame = await anext(frames)
        kinds.append(frame.kind)
    return kinds, [order.id for order in frame.orders]


# ---------------------------------------------------------------------------------------------------- interruptions


async def test_whoever_dies_while_it_is_built_another_finishes(shared_world: World) -> None:
    # A lease that was being taken when its worker died may have an owner that is gone: it is taken when it expires.
    timing = replace(EAGER, expiry_s=0.5)
    await shop(shared_world, *(f"customer{number}" for number in range(10)))
    await generations(shared_world).rebuild()
    lifetime = 0.05
    while (await state(shared_world)).serving == 1:
        with suppress(TimeoutError):
            async with asyncio.timeout(lifetime), working(shared_world.store, timing=timing):
                await served(shared_world, 2)
        lifetime *= 1.3
    async with working(shared_world.store, timing=timing):
        await until(lambda: same(shared_world))


async def test_a_switch_that_was_begun_is_finished_by_another(shared_world: World) -> None:
    await shop(shared_world, "ada")
    await generations(shared_world).rebuild()
    await generations(shared_world).hold(2)
    async with working(shared_world.store):
        await served(shared_world, 2)
        await until(lambda: same(shared_world))


async def test_nobody_follows_the_generation_that_is_held(shared_world: World) -> None:
    async with working(shared_world.store, [CUSTOMER_ORDERS]):
        await until(lambda: leases_of(shared_world.store, CUSTOMER_ORDERS.key))
        await generations(shared_world).rebuild()
    await generations(shared_world).hold(2)
    stream = CUSTOMER_ORDERS.of_generation(2)
    assert (await state(shared_world)).followed_by(CUSTOMER_ORDERS.version) == {2}
    assert await bring_to_serve(shared_world.store, CUSTOMER_ORDERS, 2, EAGER)
    assert not await bring_to_serve(shared_world.store, CUSTOMER_ORDERS, 2, EAGER)
    assert all(lease.owner is None for lease in await leases_of(shared_world.store, stream.key))


async def test_of_several_that_bring_a_generation_to_serve_one_does_and_none_waits_for_ever(
    shared_world: World, other_world: World
) -> None:
    await shop(shared_world, "ada", "bob")
    async with working(shared_world.store), working(other_world.store):
        for _ in range(3):
            building = (await generations(shared_world).rebuild()).building
            assert building
            stream = CUSTOMER_ORDERS.of_generation(building)
            await until(partial(leases_of, shared_world.store, stream.key))
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(
                    *(
                        bring_to_serve(world.store, CUSTOMER_ORDERS, building, EAGER)
                        for world in (shared_world, other_world) * 2
                    )
                )
            await served(shared_world, building)


async def test_who_comes_to_a_switch_too_late_lets_go_of_what_it_has_taken(shared_world: World) -> None:
    async with working(shared_world.store, [CUSTOMER_ORDERS]):
        await rebuilt(shared_world)
    assert not await generations(shared_world).switch(3)
    looks = 0

    async def due() -> bool:
        nonlocal looks
        looks += 1
        return looks < 3

    table = LeaseTable(shared_world.store.container(LEASES.name), CUSTOMER_ORDERS.key, "host/1/late", EAGER)
    async with table.all_taken(shared_world.aggregates.container, due) as taken:
        assert not taken
        assert "host/1/late" in {lease.owner for lease in await leases_of(shared_world.store, CUSTOMER_ORDERS.key)}
    assert {lease.owner for lease in await leases_of(shared_world.store, CUSTOMER_ORDERS.key)} == {None}


async def test_catching_up_beside_the_workers_counts_nothing_twice(shared_world: World) -> None:
    await shop(shared_world, "ada", "bob")
    async with working(shared_world.store):
        await until(lambda: leases_of(shared_world.store, PRODUCT_SALES.key))
        await asyncio.gather(*(catch_up(shared_world.store, PRODUCT_SALES) for _ in range(3)))
        assert await rebuilt(shared_world, PRODUCT_SALES) == 2
    assert await rebuild.compare(shared_world.store, PRODUCT_SALES.of_generation(2), None) == []


# ---------------------------------------------------------------------------------------------------- new versions


def second_version(projection: AnyProjection = CUSTOMER_ORDERS) -> AnyProjection:
    """The projection as a later program has it: orders are shown in another way."""

    def project(change: Change, partition: str, known: Mapping[str, View]) -> Iterator[View]:
        for view in projection.project(change, partition, known):
            yield msgspec.structs.replace(view, status_display="!") if isinstance(view, OrderView) else view

    return replace(projection, version=projection.version + 1, project=project)


async def display(world: World, container: str) -> str | None:
    found = await world.store.container(container).read("ada", A)
    return found.decode(OrderView).status_display if found else None


async def test_a_new_version_builds_itself_and_the_old_one_serves_until_it_is_ready(
    shared_world: World, other_world: World
) -> None:
    await shop(shared_world, "ada")
    async with working(shared_world.store, [CUSTOMER_ORDERS]):
        await until(lambda: has_order(shared_world, CUSTOMER_VIEWS.name))
        async with working(other_world.store, [second_version()]):
            await served(other_world, 2, second_version())
            assert await display(other_world, SECOND) == "!"
            assert await display(other_world, CUSTOMER_VIEWS.name) != "!"
            await shop(shared_world, "bob")  # the program of the old version goes on with the old generation
            for container in (CUSTOMER_VIEWS.name, SECOND):
                await until(lambda name=container: is_there(other_world, name, "bob"))  # type: ignore[misc]
    assert (await state(shared_world)).versions == {"1": 1, "2": 2}


async def is_there(world: World, container: str, customer: str) -> bool:
    return await world.store.container(container).read(customer, order_id(customer)) is not None


async def test_the_old_program_begins_nothing_once_the_new_version_serves(shared_world: World) -> None:
    await generations(shared_world).ensure()
    async with working(shared_world.store, [second_version()]):
        await served(shared_world, 2, second_version())
    before = await state(shared_world)
    assert (await generations(shared_world).ensure()).state == before


async def test_going_back_to_another_version_needs_its_program(shared_world: World) -> None:
    await generations(shared_world).ensure()
    async with working(shared_world.store, [second_version()]):
        await served(shared_world, 2, second_version())
        with pytest.raises(Refused, match="of version 1: deploy that version first"):
            await generations(shared_world, second_version()).roll_back()
    async with working(shared_world.store, [CUSTOMER_ORDERS]):
        assert await generations(shared_world).roll_back() == 1
        await served(shared_world, 1)


async def test_a_generation_that_is_not_what_the_write_model_makes_does_not_serve(shared_world: World) -> None:
    numbers = itertools.count()

    def project(change: Change, partition: str, known: Mapping[str, CustomerView]) -> Iterator[CustomerView]:
        for view in CUSTOMER_ORDERS.project(change, partition, known):
            if isinstance(view, OrderView):
                yield msgspec.structs.replace(view, status_display=str(next(numbers)))
            else:
                yield view

    changing: AnyProjection = replace(CUSTOMER_ORDERS, project=project)
    await shop(shared_world, "ada")
    async with working(shared_world.store, [changing]):
        await generations(shared_world, changing).rebuild()
        problem = await wait_until_served(shared_world.store, changing, 2, lambda reached: None)
    assert problem
    assert "differs in status_display" in problem
    assert ((await state(shared_world)).serving, (await state(shared_world)).switching) == (1, None)
    assert await generations(shared_world).drop_old() == [2]
    assert (await state(shared_world)).problem is None


# ---------------------------------------------------------------------------------------------------- going back


async def test_going_back_shows_what_has_been_followed_all_the_time(shared_world: World) -> None:
    async with working(shared_world.store):
        await rebuilt(shared_world)
        await shop(shared_world, "ada")
        assert await generations(shared_world).roll_back() == 1
        await served(shared_world, 1)
        assert await has_order(shared_world, CUSTOMER_VIEWS.name)
        assert (await state(shared_world)).previous == 2


async def test_what_does_not_serve_is_dropped_with_all_that_belongs_to_it(shared_world: World) -> None:
    async with working(shared_world.store):
        await rebuilt(shared_world)
    assert await generations(shared_world).drop_old() == [1]
    assert await generations(shared_world).drop_old() == []
    with pytest.raises(KeyError):
        shared_world.store.container(CUSTOMER_VIEWS.name)
    leases = await shared_world.store.container(LEASES.name).query(Query(CUSTOMER_ORDERS.key))
    assert leases.documents == []
    async with reading(shared_world.store) as (serving, _), working(shared_world.store):
        await shop(shared_world, "ada")
        await until(lambda: serving.container(CUSTOMER_VIEWS.name).read("ada", A))


async def test_numbers_are_never_used_again(shared_world: World) -> None:
    async with working(shared_world.store):
        assert await rebuilt(shared_world) == 2
        await generations(shared_world).roll_back()
        await served(shared_world, 1)
        await generations(shared_world).drop_old()
        assert await rebuilt(shared_world) == 3


# ---------------------------------------------------------------------------------------------------- what is refused


async def test_one_generation_is_built_at_a_time(world: World) -> None:
    await generations(world).rebuild()
    with pytest.raises(Refused, match="generation 2 is being built already"):
        await generations(world).rebuild()


async def test_there_must_be_a_generation_to_go_to(world: World) -> None:
    with pytest.raises(Refused, match="no previous generation"):
        await generations(world).roll_back()
    with pytest.raises(Refused, match="no generation 7"):
        await generations(world).hold(7)


async def test_while_one_is_about_to_serve_nothing_else_is_begun(world: World) -> None:
    await generations(world).rebuild()
    await generations(world).hold(2)
    await generations(world).hold(2)
    with pytest.raises(Refused, match="generation 2 is being built"):
        await generations(world).rebuild()
    with pytest.raises(Refused, match="generation 2 is about to serve"):
        await generations(world).drop_old()
    await generations(world).give_up(None)
    assert not await generations(world).switch(2)


async def test_changes_of_the_state_by_several_at_once_happen_once(shared_world: World, other_world: World) -> None:
    outcomes = await asyncio.gather(
        *(generations(world).rebuild() for world in (shared_world, other_world, shared_world)), return_exceptions=True
    )
    assert sum(isinstance(outcome, State) for outcome in outcomes) == 1
    assert (await state(shared_world)).building == 2


# ---------------------------------------------------------------------------------------------------- comparing


@pytest.fixture
async def projected(world: World) -> World:
    await shop(world, "ada", "bob", "cy", "dee")
    await world.drain()
    return world


async def differing(world: World, projection: AnyProjection = CUSTOMER_ORDERS, sample: int | None = None) -> list[str]:
    return [str(found) for found in await rebuild.compare(world.store, projection, sample)]


async def test_what_is_projected_does_not_differ(projected: World) -> None:
    assert [await differing(projected, projection) for projection in PROJECTIONS] == [[], []]


async def spoil(world: World, change: Callable[[Document], list[Any]]) -> None:
    place = world.store.container(CUSTOMER_VIEWS.name)
    document = await place.read("ada", A)
    assert document
    await place.commit("ada", change(document))


async def test_each_difference_is_named(projected: World) -> None:
    document = await projected.store.container(CUSTOMER_VIEWS.name).read("ada", A)
    assert document
    view = document.decode(OrderView)
    wrong = msgspec.structs.replace(view, version=9, status_display="wrong")
    await spoil(projected, lambda document: [Upsert(A, wrong), Upsert(order_id("ada", 9), view)])
    assert await differing(projected) == [
        f"ada / {A}: differs in status_display, version",
        f"ada / {order_id('ada', 9)}: unexpected",
    ]


async def test_a_missing_and_a_foreign_document_are_differences(projected: World) -> None:
    from store import Delete

    await spoil(projected, lambda document: [Delete(A, document.etag), Upsert("customer:ada", {"kind": "nonsense"})])
    assert await differing(projected) == ["ada / customer:ada: differs in its type", f"ada / {A}: missing"]


async def test_what_comes_in_time_is_no_difference(shared_world: World) -> None:
    await shop(shared_world, "ada")
    comparing = asyncio.create_task(differing(shared_world))
    async with working(shared_world.store):
        await until(lambda: has_order(shared_world, CUSTOMER_VIEWS.name))
        assert await differing(shared_world) == []
    await comparing


@pytest.mark.parametrize("sample", [1, 2, 3, 4, 9])
async def test_a_sample_is_compared_whole(projected: World, sample: int) -> None:
    place = projected.store.container(CUSTOMER_VIEWS.name)
    for customer in ("ada", "bob", "cy", "dee"):
        document = await place.read(customer, order_id(customer))
        assert document
        await place.commit(customer, [Upsert("event:x:1", document.decode(Any))])
    found = await differing(projected, sample=sample)
    assert len(found) == min(sample, 4)
    assert all("unexpected" in line for line in found)


# ---------------------------------------------------------------------------------------------------- seen


async def test_the_overview_tells_of_each_generation(shared_world: World) -> None:
    await shop(shared_world, "ada")
    before = {(row.name, row.generation): row for row in await look(shared_world, PROJECTIONS)}
    assert set(before) == {("customer_orders", 1), ("product_sales", 1)}
    backlog = sum([
        await shared_world.aggregates.container.backlog(range_, Start.BEGINNING)
        for range_ in await shared_world.aggregates.container.feed_ranges()
    ])  # fmt: skip
    assert (before["customer_orders", 1].applied, before["customer_orders", 1].behind) == (0, backlog)
    async with working(shared_world.store):
        await rebuilt(shared_world)
        await until(lambda: caught_up(shared_world))
        rows = {(row.name, row.generation): row.state for row in await look(shared_world, PROJECTIONS)}
    assert rows == {
        ("customer_orders", 1): "previous",
        ("customer_orders", 2): "serving",
        ("product_sales", 1): "serving",
    }
    await generations(shared_world).rebuild()
    await generations(shared_world).hold(3)
    states = [row.state for row in await look(shared_world, [CUSTOMER_ORDERS])]
    assert states == ["previous", "held", "about to serve"]
    await generations(shared_world).give_up("it is wrong")
    states = [row.state for row in await look(shared_world, [CUSTOMER_ORDERS])]
    assert states == ["previous", "serving", "failed: it is wrong"]


async def look(world: World, projections: Sequence[AnyProjection]) -> list[Row]:
    return await Overview(world.store, projections, EAGER, lambda: moment(0)).rows()


async def caught_up(world: World) -> bool:
    return all(row.behind == 0 and row.applied > 0 for row in await look(world, PROJECTIONS))
