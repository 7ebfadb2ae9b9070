"""Frames of a list of orders: a snapshot, then what is newer, the latest of each; and sums as they change."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from gateway.wiring import now
from projector.leases import Timing
from projector.orders import PROJECTIONS
from projector.worker import Worker
from read_model.live import Live
from read_model.orders import (
    CUSTOMER_VIEWS,
    CustomerOrderSummary,
    FrameKind,
    OrderFilter,
    OrdersFrame,
    OrderStatus,
    OrderView,
    order_frames,
    order_updates,
    sales_updates,
    summary_id,
    summary_updates,
)
from store import ContainerDelegate, Page, Query, Store
from tests.projector.delegates import With
from tests.projector.world import Decide, World, item, order_id, running, until
from tests.read_model.shelf import Stream, an_event, an_order, handed_out, living, put
from tests.read_model.test_live import EachPageTwice
from write_model import orders

A = order_id("ada")
DRAFT, SUBMITTED, PAID, *_ = OrderStatus
SNAPSHOT, CHANGES, RESET = FrameKind


def frames(store: Store, live: Live, customer: str | None = "ada", **arguments: Any) -> Stream[OrdersFrame]:
    return Stream(order_frames(store, live, customer, **arguments))


def shown(frame: OrdersFrame) -> tuple[FrameKind, list[tuple[str, int]]]:
    return frame.kind, [(order.id.removeprefix("order:"), order.version) for order in frame.orders]


async def following(stream: Stream[OrdersFrame]) -> tuple[FrameKind, list[tuple[str, int]]]:
    return shown(await anext(stream))


async def test_a_stream_begins_with_a_snapshot_and_goes_on_with_changes(world: World) -> None:
    await put(world.store, an_order(1, created=1), an_order(2, created=2, version=5))
    async with living(world.store) as live, frames(world.store, live) as stream:
        assert await following(stream) == (SNAPSHOT, [("ada:2", 5), ("ada:1", 1)])
        await put(world.store, an_order(1, version=2))
        assert await following(stream) == (CHANGES, [("ada:1", 2)])
        await put(world.store, an_order(3))
        assert await following(stream) == (CHANGES, [("ada:3", 1)])


async def test_a_customer_without_orders_has_an_empty_snapshot(world: World) -> None:
    async with living(world.store) as live, frames(world.store, live) as stream:
        assert await following(stream) == (SNAPSHOT, [])


@pytest.mark.parametrize(("size", "expected"), [(0, []), (1, [3]), (2, [3, 2]), (50, [3, 2, 1])])
async def test_a_snapshot_holds_the_newest_orders_and_no_more_than_asked_for(
    world: World, size: int, expected: list[int]
) -> None:
    await put(world.store, *(an_order(number, created=number) for number in (1, 2, 3)))
    async with living(world.store) as live, frames(world.store, live, snapshot=size) as stream:
        assert await following(stream) == (SNAPSHOT, [(f"ada:{number}", 1) for number in expected])


async def test_an_order_beyond_the_snapshot_comes_when_it_changes(world: World) -> None:
    await put(world.store, *(an_order(number, created=number) for number in (1, 2, 3)))
    async with living(world.store) as live, frames(world.store, live, snapshot=1) as stream:
        await anext(stream)
        await put(world.store, an_order(1, version=2))
        assert await following(stream) == (CHANGES, [("ada:1", 2)])


async def test_a_slow_reader_gets_the_latest_of_each_order_in_one_frame(world: World) -> None:
    async with living(world.store) as live, frames(world.store, live) as stream:
        await anext(stream)
        for version in (1, 2, 3):
            await handed_out(world.store, live, an_order(1, version=version))
            await handed_out(world.store, live, an_order(2, version=version))
        assert await following(stream) == (CHANGES, [("ada:1", 3), ("ada:2", 3)])


async def test_only_the_customers_own_orders_are_sent_and_no_other_documents(world: World) -> None:
    mine = an_order(1)
    async with living(world.store) as live, frames(world.store, live) as stream:
        await anext(stream)
        await put(world.store, an_order(1, "bob"), an_event(mine, 1), CustomerOrderSummary(summary_id("ada"), "ada"))
        await put(world.store, mine)
        assert await following(stream) == (CHANGES, [("ada:1", 1)])


async def test_all_customers_orders_are_sent_to_who_asks_for_all(world: World) -> None:
    await put(world.store, an_order(1, "bob"))
    async with living(world.store) as live, frames(world.store, live, None) as stream:
        assert await following(stream) == (SNAPSHOT, [("bob:1", 1)])
        for customer in ("ada", "bob", "cy"):
            await put(world.store, an_order(7, customer))
            assert await following(stream) == (CHANGES, [(f"{customer}:7", 1)])


async def test_what_was_in_the_snapshot_is_not_sent_again(world: World) -> None:
    async with living(world.store) as live, frames(world.store, live) as stream:
        await put(world.store, an_order(1, version=2))
        assert await following(stream) == (SNAPSHOT, [("ada:1", 2)])
        await put(world.store, an_order(1, version=2), an_order(2))
        assert await following(stream) == (CHANGES, [("ada:2", 1)])


@pytest.mark.parametrize("customer", ["ada", None])
async def test_an_order_that_leaves_the_filter_is_sent_once_more(world: World, customer: str | None) -> None:
    await put(world.store, an_order(1, status=DRAFT))
    where = OrderFilter(status=(DRAFT,))
    async with living(world.store) as live, frames(world.store, live, customer, where=where) as stream:
        assert await following(stream) == (SNAPSHOT, [("ada:1", 1)])
        await put(world.store, an_order(1, status=SUBMITTED, version=2))
        frame = await anext(stream)
        assert (shown(frame), frame.orders[0].status) == ((CHANGES, [("ada:1", 2)]), SUBMITTED)
        await put(world.store, an_order(1, status=PAID, version=3), an_order(2, status=DRAFT))
        assert await following(stream) == (CHANGES, [("ada:2", 1)])


async def test_an_order_that_enters_the_filter_is_sent_and_one_outside_is_not(world: World) -> None:
    await put(world.store, an_order(1), an_order(2))
    where = OrderFilter(status=(PAID,))
    async with living(world.store) as live, frames(world.store, live, where=where) as stream:
        assert await following(stream) == (SNAPSHOT, [])
        await put(world.store, an_order(2, status=SUBMITTED, version=2), an_order(1, status=PAID, version=2))
        assert await following(stream) == (CHANGES, [("ada:1", 2)])


async def test_every_frame_has_a_cursor_and_later_ones_another(world: World) -> None:
    async with living(world.store) as live, frames(world.store, live, after="x") as stream:
        cursors = [(await anext(stream)).cursor, (await anext(stream)).cursor]
        for number in (1, 2):
            await put(world.store, an_order(number))
            cursors.append((await anext(stream)).cursor)
        assert all(cursors)
        assert cursors[-1] != cursors[0]


@pytest.mark.parametrize("before", [0, 1, 2])
@pytest.mark.parametrize("after", [0, 1, 2])
async def test_nothing_falls_between_the_snapshot_and_the_changes(world: World, before: int, after: int) -> None:
    class Meanwhile(ContainerDelegate):
        version = 0

        async def write(self, times: int) -> None:
            for _ in range(times):
                self.version += 1
                await handed_out(world.store, live, an_order(1, version=self.version))

        async def query(self, query: Query) -> Page:
            await self.write(before)
            page = await super().query(query)
            await self.write(after)
            return page

    busy = Meanwhile(world.store.container(CUSTOMER_VIEWS.name))
    async with living(world.store) as live, frames(With(world.store, busy), live) as stream:
        assert await following(stream) == (SNAPSHOT, [("ada:1", before + after)] if before + after else [])
        await put(world.store, an_order(1, version=9))
        assert await following(stream) == (CHANGES, [("ada:1", 9)])


async def test_each_orders_versions_rise_and_end_at_the_latest_while_commands_race(shared_world: World) -> None:
    store = With(shared_world.store, EachPageTwice(shared_world.store.container(CUSTOMER_VIEWS.name)))
    worker = Worker(shared_world.store, PROJECTIONS, Timing(acquire_s=0.01), now=now)
    ids = [order_id(customer, number) for customer in ("ada", "bob") for number in (1, 2)]
    steps: list[Decide] = [orders.submit, orders.record_payment, orders.ship, orders.deliver]

    async def walk(id: str) -> None:
        await shared_world.give(orders.create, id, items=(item("tea"),))
        for step in steps:
            await shared_world.give(step, id)

    async def reader(live: Live) -> None:
        seen: dict[str, int] = {}
        async with frames(store, live, None) as stream:
            while set(seen) != set(ids) or set(seen.values()) != {5}:
                for order in (await anext(stream)).orders:
                    assert order.version > seen.get(order.id, 0)
                    seen[order.id] = order.version

    async with living(store) as live, running(*[loop for _, loop in worker.loops()]):
        readers = [asyncio.create_task(reader(live)) for _ in range(3)]
        await asyncio.gather(*map(walk, ids))
        await asyncio.gather(*readers)


async def test_streams_of_frames_stop_watching_when_closed_or_cancelled(world: World) -> None:
    async with living(world.store) as live:
        async with frames(world.store, live) as stream:
            await anext(stream)
            assert live.watchers == 1
        assert live.watchers == 0
        stream = frames(world.store, live)
        await anext(stream)
        waiting = asyncio.create_task(stream.inner.__anext__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert live.watchers == 0


# ------------------------------------------------------------------------------------------- single documents


Open = Callable[[World, Live], Any]
OPEN: dict[str, tuple[Open, list[int]]] = {
    "order": (lambda world, live: order_updates(world.store, live, A, since=0), [1, 2, 3]),
    "summary": (lambda world, live: summary_updates(world.store, live, "ada"), [1, 2, 3]),
    "sales": (lambda world, live: sales_updates(world.store, live, "tea"), [1, 2]),
}


@pytest.mark.parametrize("name", OPEN)
async def test_a_document_is_followed_from_before_it_exists(world: World, name: str) -> None:
    open_stream, expected = OPEN[name]
    async with living(world.store) as live, Stream(open_stream(world, live)) as stream:
        coming = asyncio.ensure_future(anext(stream))
        await until(lambda: live.watchers)
        seen = []
        for step in ("create", "submit", "cancel"):
            if step == "create":
                await world.give(orders.create, A, items=(item("tea"),))
            else:
                await world.give(orders.submit if step == "submit" else orders.cancel, A)
            await world.drain()
            if name != "sales" or step != "create":
                seen.append((await coming).version)
                coming = asyncio.ensure_future(anext(stream))
        coming.cancel()
        await asyncio.wait([coming])
        assert seen == expected


async def test_an_order_is_not_sent_to_who_has_its_latest_version(world: World) -> None:
    await put(world.store, an_order(version=3))
    async with living(world.store) as live, Stream(order_updates(world.store, live, A, since=3)) as stream:
        coming: Awaitable[OrderView] = asyncio.ensure_future(anext(stream))
        await until(lambda: live.watchers)
        await put(world.store, msgspec.structs.replace(an_order(version=4), customer_name="Ada"))
        assert (await coming).customer_name == "Ada"
