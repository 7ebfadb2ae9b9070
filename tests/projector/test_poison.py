"""What cannot be projected stops its own key and nobody else, is never lost, and is made good once it can be."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st

from projector.apply import key_of
from projector.leases import LEASES
from projector.orders import CUSTOMER_ORDERS, PRODUCT_SALES, PROJECTIONS, Change
from projector.projection import Route, View
from read_model.orders import CUSTOMER_VIEWS
from store import Container, ContainerDelegate, Delete, Document, Page, Query, Unavailable, Upsert
from tests.engines import Engine, on_engines
from tests.projector.delegates import With
from tests.projector.expected import views_of, without_sentences
from tests.projector.scripts import CUSTOMERS, Step, play, scripts
from tests.projector.workers import (
    AnyProjection,
    Held,
    about,
    is_checkpointed,
    is_drained,
    letters_of,
    parked,
    poisoned,
    retry,
    working,
)
from tests.projector.world import World, open_world, order_id, until
from tests.store.notes import MEGABYTE
from write_model import orders

BOB = order_id("bob")


def is_bob(change: Any) -> bool:
    return about(change) == BOB


def failing_to_project() -> list[AnyProjection]:
    return [poisoned(projection, is_bob) for projection in PROJECTIONS]


def failing_to_route() -> list[AnyProjection]:
    def routing(projection: AnyProjection) -> Callable[[Any], Iterable[Route]]:
        def route(change: Any) -> Iterable[Route]:
            if is_bob(change):
                raise KeyError("route")
            return projection.route(change)

        return route

    return [replace(projection, route=routing(projection)) for projection in PROJECTIONS]


def failing_to_decode() -> list[AnyProjection]:
    class Unlike(msgspec.Struct):
        """What an order is not."""

        nowhere: int

    def undecodable(projection: AnyProjection) -> AnyProjection:
        def route(change: Any) -> Iterable[Route]:
            if is_bob(change):
                msgspec.convert({}, Unlike)
            return projection.route(change)

        return replace(projection, route=route)

    return [undecodable(projection) for projection in PROJECTIONS]


def growing_too_large() -> list[AnyProjection]:
    def projecting(projection: AnyProjection) -> Any:
        def project(change: Change, partition: str, known: Mapping[str, View]) -> Iterator[View]:
            for view in projection.project(change, partition, known):
                large = {
                    name: "x" * 2 * MEGABYTE for name in ("customer_name", "summary", "title") if hasattr(view, name)
                }
                yield msgspec.structs.replace(view, **large) if is_bob(change) else view

        return project

    return [replace(projection, project=projecting(projection)) for projection in PROJECTIONS]


async def shop(world: World, *customers: str) -> None:
    for customer in customers:
        await world.submitted(order_id(customer))


async def has_all_but(world: World, *keys: str) -> bool:
    """Whether the read model is what it is without some orders."""
    left = [document for document in await world.feed() if key_of(CUSTOMER_ORDERS, document) not in keys]
    return without_sentences(await world.views()) == without_sentences(views_of(left))


def of_bob(feed: Iterable[Document]) -> list[str]:
    return [document.id for document in feed if key_of(CUSTOMER_ORDERS, document) == BOB]


def commands(ids: Iterable[str]) -> list[str]:
    return [id for id in ids if id.startswith("cmd:")]


@pytest.mark.parametrize("poison", [failing_to_project, failing_to_route, failing_to_decode, growing_too_large])
async def test_only_the_poisoned_key_is_parked_all_of_it_waits_in_order_and_a_better_program_makes_it_good(
    shared_world: World, poison: Callable[[], list[AnyProjection]]
) -> None:
    async def all_wait() -> bool:
        feed = of_bob(await shared_world.feed())
        waiting = [(await parked(shared_world, projection)).get(BOB) for projection in PROJECTIONS]
        return all(letter and len(letter.documents) == len(feed) for letter in waiting)

    await shop(shared_world, "ada", "bob", "cy")
    async with working(shared_world.store, poison()):
        await until(all_wait)
        await shared_world.give(orders.record_payment, BOB)
        await shared_world.give(orders.cancel, BOB)
        await shop(shared_world, "dee")
        await until(all_wait)
        await until(lambda: is_checkpointed(shared_world))
    feed = await shared_world.feed()
    for projection in PROJECTIONS:
        (letter,) = (await parked(shared_world, projection)).values()
        assert set(letter.documents) == set(of_bob(feed))
        assert commands(letter.documents) == commands(of_bob(feed))
        assert letter.attempts >= 1
    if poison is not growing_too_large:
        assert await has_all_but(shared_world, BOB)
    async with working(shared_world.store):
        await until(lambda: is_drained(shared_world))
        await until(lambda: _is_empty(shared_world))


async def _is_empty(world: World) -> bool:
    return [await parked(world, projection) for projection in PROJECTIONS] == [{}, {}]


async def test_a_document_that_is_none_is_parked_by_its_own_name_and_others_of_its_customer_flow(
    shared_world: World,
) -> None:
    async with working(shared_world.store):
        await shared_world.aggregates.container.commit("bob", [Upsert("odd", {"kind": "unheard of"})])
        await shop(shared_world, "bob")
        await until(lambda: parked(shared_world, CUSTOMER_ORDERS))
        await until(lambda: _has(shared_world, "bob", BOB))
        await until(lambda: is_checkpointed(shared_world))
    for projection in PROJECTIONS:
        (letter,) = (await parked(shared_world, projection)).values()
        assert (letter.key, letter.documents, letter.document["kind"]) == ("odd", ("odd",), "unheard of")
        assert letter.error.startswith("ValidationError: ")


async def _has(world: World, partition: str, id: str) -> bool:
    return await world.store.container(CUSTOMER_VIEWS.name).read(partition, id) is not None


async def test_a_corrupt_read_document_parks_its_key_until_it_is_mended(shared_world: World) -> None:
    target = shared_world.store.container(CUSTOMER_VIEWS.name)
    other = order_id("bob", 2)
    await target.commit("bob", [Upsert(BOB, {"kind": "order", "version": "many"})])
    async with working(shared_world.store):
        await shop(shared_world, "ada", "bob")
        await shared_world.submitted(other)
        await until(lambda: parked(shared_world, CUSTOMER_ORDERS))
        await until(lambda: _has(shared_world, "bob", other))
        assert set(await parked(shared_world, CUSTOMER_ORDERS)) == {BOB}
    found = await target.read("bob", BOB)
    assert found is not None
    await _remove(shared_world, found)
    async with working(shared_world.store):
        await until(lambda: is_drained(shared_world))
        await until(lambda: _is_empty(shared_world))


async def _remove(world: World, document: Document) -> None:
    container = world.store.container(CUSTOMER_VIEWS.name)
    await container.commit(document.partition, [Delete(document.id, document.etag)])


async def test_poison_that_a_later_try_can_project_is_not_parked(shared_world: World) -> None:
    tries = iter([True, True])
    flaky = poisoned(CUSTOMER_ORDERS, lambda change: is_bob(change) and next(tries, False))
    async with working(shared_world.store, [flaky, PRODUCT_SALES]):
        await shop(shared_world, "ada", "bob")
        await until(lambda: is_drained(shared_world))
    assert await _is_empty(shared_world)


class Closed(ContainerDelegate):
    """Leases that cannot be looked at until they are opened; `refused` are the projections that tried."""

    def __init__(self, inner: Container) -> None:
        super().__init__(inner)
        self.open = False
        self.refused: set[str | None] = set()

    async def query(self, query: Query) -> Page:
        if not self.open:
            self.refused.add(query.partition)
            raise Unavailable("closed")
        return await super().query(query)


async def test_who_takes_over_a_range_knows_what_is_parked_there(shared_world: World, other_world: World) -> None:
    """Else a later change of the key would be counted before an earlier one, which then never would be."""
    table = Closed(other_world.store.container(LEASES.name))
    async with working(With(other_world.store, table)):
        await until(lambda: table.refused == {projection.key for projection in PROJECTIONS})
        await shop(shared_world, "bob")
        async with working(shared_world.store, failing_to_project()):
            await until(lambda: _all_parked(shared_world))
        table.open = True
        await shared_world.give(orders.record_payment, BOB)
        await shared_world.give(orders.cancel, BOB)
        await until(lambda: is_checkpointed(shared_world))
        for projection in PROJECTIONS:
            assert await retry(other_world, projection, BOB) is None
    assert await is_drained(shared_world)


async def test_once_a_key_is_retried_or_given_up_its_later_changes_flow_again(shared_world: World) -> None:
    poison = {BOB}
    some = [poisoned(projection, lambda change: about(change) in poison) for projection in PROJECTIONS]
    async with working(shared_world.store, some):
        await shop(shared_world, "ada", "bob")
        await until(lambda: _all_parked(shared_world))
        poison.clear()
        for projection in PROJECTIONS:
            assert await retry(shared_world, projection, BOB) is None
        await shared_world.give(orders.record_payment, BOB)
        await until(lambda: is_drained(shared_world))
        poison.add(BOB)
        await shared_world.give(orders.ship, BOB)
        await until(lambda: parked(shared_world, CUSTOMER_ORDERS))
        assert await letters_of(shared_world, CUSTOMER_ORDERS).discard(BOB, "never mind")
        poison.clear()
        await shared_world.give(orders.deliver, BOB)
        await until(lambda: _status(shared_world, "DELIVERED"))
        assert await _is_empty(shared_world)


async def _all_parked(world: World) -> bool:
    return all([BOB in await parked(world, projection) for projection in PROJECTIONS])


async def _status(world: World, status: str) -> bool:
    view = await world.store.container(CUSTOMER_VIEWS.name).read("bob", BOB)
    return view is not None and view.decode(dict)["status"] == status


async def test_a_letter_grows_while_it_is_retried_and_nothing_of_it_is_lost(shared_world: World) -> None:
    async with working(shared_world.store, failing_to_project()):
        await shop(shared_world, "bob")
        await until(lambda: _all_parked(shared_world))
        held = Held(shared_world.store.container(CUSTOMER_VIEWS.name))
        letters = letters_of(shared_world, CUSTOMER_ORDERS)
        retrying = asyncio.create_task(letters.retry(BOB, CUSTOMER_ORDERS, shared_world.aggregates.container, held))
        await until(held.waiting.is_set)
        await shared_world.give(orders.record_payment, BOB)
        await until(lambda: _waits_for_all(shared_world))
        held.go.set()
        assert await retrying is None
    async with working(shared_world.store):
        await until(lambda: is_drained(shared_world))


async def _waits_for_all(world: World) -> bool:
    letter = (await parked(world, CUSTOMER_ORDERS))[BOB]
    return set(letter.documents) == set(of_bob(await world.feed()))


# ---------------------------------------------------------------------------------------------------- anything

ORDERS = [order_id(customer, number) for customer in CUSTOMERS for number in (1, 2)]


@on_engines(
    scripts(),
    st.dictionaries(st.sampled_from(ORDERS), st.integers(1, 4), max_size=3),
    st.dictionaries(st.sampled_from(ORDERS), st.integers(1, 4), max_size=2),
    memory=20,
    file=8,
    cosmos=2,
)
async def test_what_was_poison_and_was_mended_leaves_no_trace(
    engine: Engine, script: list[Step], poison: dict[str, int], left: dict[str, int]
) -> None:
    """Orders fail from some version on; a second program mends some of them, a third one all."""
    world = await open_world(engine)

    def spoiled(by: dict[str, int]) -> list[AnyProjection]:
        return [
            poisoned(projection, lambda change: change.version >= by.get(about(change), 99))
            for projection in PROJECTIONS
        ]

    third = -(-len(script) // 3)
    for part, by in enumerate((poison, left, {})):
        async with working(world.store, spoiled(by)):
            for number, step in enumerate(script[part * third : (part + 1) * third], part * third):
                await play(world, number, step)
            await until(lambda: is_checkpointed(world))
            if part == 2:
                await until(lambda: is_drained(world))
    assert await _is_empty(world)
