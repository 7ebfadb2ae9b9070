"""Whatever is commanded, and however it is delivered: drained read documents are the write model, projected."""

import asyncio
from collections.abc import Sequence

from hypothesis import strategies as st

from projector.apply import apply
from projector.orders import CUSTOMER_ORDERS, PRODUCT_SALES
from read_model.orders import CUSTOMER_VIEWS, PRODUCT_VIEWS
from store import Document
from tests.engines import Engine, on_engines
from tests.projector.expected import views_of, without_sentences
from tests.projector.scripts import Recorder, Step, deliveries, play, scripts
from tests.projector.world import Bodies, World, open_world


async def deliver(world: World, page: Sequence[Document]) -> None:
    await apply(CUSTOMER_ORDERS, world.store.container(CUSTOMER_VIEWS.name), page)
    await apply(PRODUCT_SALES, world.store.container(PRODUCT_VIEWS.name), page)


async def assert_drained(world: World) -> None:
    assert without_sentences(await world.views()) == without_sentences(views_of(await world.feed()))


def assert_nothing_went_back(before: Bodies, after: Bodies) -> None:
    assert before.keys() <= after.keys()
    back = [key for key, body in before.items() if body["version"] > after[key]["version"]]
    assert not back
    changed = [key for key, body in before.items() if body["version"] == after[key]["version"] and body != after[key]]
    assert not changed


@on_engines(scripts(), memory=60, cosmos=10)
async def test_drained_read_documents_equal_a_recomputation_from_the_write_model(
    engine: Engine, script: list[Step]
) -> None:
    world = await open_world(engine)
    for number, step in enumerate(script):
        await play(world, number, step)
    await world.drain()
    await assert_drained(world)


@on_engines(scripts(), st.sets(st.integers(0, 40)), memory=60, cosmos=10)
async def test_draining_between_commands_or_again_makes_no_difference(
    engine: Engine, script: list[Step], pauses: set[int]
) -> None:
    world = await open_world(engine)
    for number, step in enumerate(script):
        await play(world, number, step)
        if number in pauses:
            await world.drain()
            await assert_drained(world)
    await world.drain()
    then = await world.views()
    await world.drain()
    assert await world.views() == then
    await assert_drained(world)


@on_engines(scripts(), st.sets(st.integers(0, 40)), st.data(), memory=60, cosmos=10)
async def test_pages_mixed_repeated_and_cut_anyhow_end_at_the_same_and_never_go_back(
    engine: Engine, script: list[Step], looks: set[int], data: st.DataObject
) -> None:
    world = await open_world(engine)
    recorder = Recorder(world)
    for number, step in enumerate(script):
        await play(world, number, step)
        if number in looks:
            await recorder.look()
    await recorder.look()
    before: Bodies = {}
    for page in data.draw(deliveries(recorder.seen)):
        await deliver(world, page)
        after = await world.views()
        assert_nothing_went_back(before, after)
        before = after
    await assert_drained(world)


@on_engines(scripts(), st.data(), file=15, cosmos=10)
async def test_two_workers_that_race_through_the_feed_end_at_the_same(
    engine: Engine, script: list[Step], data: st.DataObject
) -> None:
    world = await open_world(engine)
    recorder = Recorder(world)
    for number, step in enumerate(script):
        await play(world, number, step)
        await recorder.look()
    pages = [data.draw(deliveries(recorder.seen)) for _ in range(2)]

    async def work(pages: list[list[Document]]) -> None:
        for page in pages:
            await deliver(world, page)

    await asyncio.gather(*map(work, pages))
    await assert_drained(world)
