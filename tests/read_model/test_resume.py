"""A list of orders goes on where a client left it: no gap, nothing twice, on any gateway; or it says RESET."""

import asyncio
from collections.abc import Callable, Hashable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import strategies as st

from read_model import live as live_module
from read_model import watches
from read_model.live import Live
from read_model.orders import CUSTOMER_VIEWS, FrameKind, OrderFilter, OrdersFrame, OrderStatus, orders
from read_model.orders import updates as updates_module
from read_model.paging import Window
from read_model.signing import Signer
from read_model.watches import Batch, Hand
from store import Store
from tests.engines import Engine, on_engines
from tests.projector.delegates import With
from tests.projector.world import World, open_world, order_id
from tests.read_model.shelf import Stream, an_event, an_order, handed_out, living, put
from tests.read_model.test_live import EachPageTwice
from tests.read_model.test_updates import following, frames

DRAFT, SUBMITTED, *_ = OrderStatus
SNAPSHOT, CHANGES, RESET = FrameKind
CUSTOMERS = pytest.mark.parametrize("customer", ["ada", None])


async def left(store: Store, live: Live, customer: str | None = "ada", frame: int = 1, **arguments: Any) -> str:
    """The cursor of a frame, after which the client was cut off."""
    async with frames(store, live, customer, **arguments) as stream:
        for _ in range(frame):
            cursor = (await anext(stream)).cursor
    return cursor


@CUSTOMERS
async def test_who_comes_back_gets_the_latest_of_what_changed_meanwhile(world: World, customer: str | None) -> None:
    await put(world.store, an_order(1), an_order(2), an_order(3))
    async with living(world.store) as live:
        cursor = await left(world.store, live, customer)
        for version in (2, 3):
            await put(world.store, an_order(1, version=version), an_order(4, version=version))
        async with frames(world.store, live, customer, after=cursor) as stream:
            kind, changed = await following(stream)
            assert (kind, sorted(changed)) == (CHANGES, [("ada:1", 3), ("ada:4", 3)])
            await put(world.store, an_order(2, version=2))
            assert await following(stream) == (CHANGES, [("ada:2", 2)])


@CUSTOMERS
async def test_nothing_comes_twice_however_often_one_comes_back(world: World, customer: str | None) -> None:
    async with living(world.store) as live:
        cursor = await left(world.store, live, customer)
        for version in range(1, 4):
            await put(world.store, an_order(1, version=version))
            async with frames(world.store, live, customer, after=cursor) as stream:
                frame = await anext(stream)
            assert [order.version for order in frame.orders] == [version]
            cursor = frame.cursor
        await put(world.store, an_order(2))
        async with frames(world.store, live, customer, after=cursor) as stream:
            assert await following(stream) == (CHANGES, [("ada:2", 1)])


async def test_what_was_handed_out_with_the_snapshot_does_not_come_again(world: World) -> None:
    """The snapshot may be newer than what the live view has handed out when it is read."""
    async with living(world.store) as live:
        await put(world.store, an_order(1))
        cursor = await left(world.store, live)
        await put(world.store, an_order(2))
        async with frames(world.store, live, after=cursor) as stream:
            assert await following(stream) == (CHANGES, [("ada:2", 1)])


@CUSTOMERS
async def test_another_gateway_goes_on_where_one_was_left(
    shared_world: World, other_world: World, customer: str | None
) -> None:
    await put(shared_world.store, an_order(1))
    async with living(shared_world.store) as live:
        cursor = await left(shared_world.store, live, customer)
    await put(shared_world.store, an_order(1, version=2), an_order(7, "bob"))
    async with living(other_world.store) as live, frames(other_world.store, live, customer, after=cursor) as stream:
        kind, changed = await following(stream)
        expected = [("ada:1", 2)] if customer else [("ada:1", 2), ("bob:7", 1)]
        assert (kind, sorted(changed)) == (CHANGES, expected)
        await put(shared_world.store, an_order(2))
        assert await following(stream) == (CHANGES, [("ada:2", 1)])


async def test_an_order_that_leaves_the_filter_is_sent_also_to_who_came_back(world: World) -> None:
    where = OrderFilter(status=(DRAFT,))
    await put(world.store, an_order(1), an_order(2))
    async with living(world.store) as live:
        cursor = await left(world.store, live, where=where)
        await put(world.store, an_order(1, status=SUBMITTED, version=2))
        async with frames(world.store, live, where=where, after=cursor) as stream:
            assert await following(stream) == (CHANGES, [("ada:1", 2)])
            await put(world.store, an_order(2, status=SUBMITTED, version=2))
            assert await following(stream) == (CHANGES, [("ada:2", 2)])
            await put(world.store, an_order(2, status=SUBMITTED, version=3), an_order(3))
            assert await following(stream) == (CHANGES, [("ada:3", 1)])


# ------------------------------------------------------------------------------------------- begun anew


@pytest.mark.parametrize(
    "other",
    [
        {"customer": "bob"},
        {"customer": None},
        {"where": OrderFilter(status=(DRAFT,))},
    ],
    ids=str,
)
async def test_a_cursor_of_another_list_is_a_reset_and_a_snapshot(world: World, other: dict[str, Any]) -> None:
    await put(world.store, an_order(1))
    async with living(world.store) as live:
        cursor = await left(world.store, live, **other)
        async with frames(world.store, live, after=cursor) as stream:
            assert await following(stream) == (RESET, [])
            assert await following(stream) == (SNAPSHOT, [("ada:1", 1)])


@pytest.mark.parametrize("forge", [str.lower, lambda text: text[:-2], lambda text: f"A{text}", lambda text: ""])
async def test_a_cursor_that_is_not_ours_is_a_reset_and_a_snapshot(world: World, forge: Any) -> None:
    async with living(world.store) as live:
        forged = forge(await left(world.store, live))
        async with frames(world.store, live, after=forged) as stream:
            assert [(await following(stream))[0], (await following(stream))[0]] == [RESET, SNAPSHOT]


async def test_a_cursor_that_was_signed_with_another_key_or_by_another_program_is_a_reset(world: World) -> None:
    async with living(world.store) as live:
        cursor = await left(world.store, live)
        live.signer = Signer(b"another")
        async with frames(world.store, live, after=cursor) as stream:
            assert (await following(stream))[0] == RESET
        seal = live.signer.seal
        live.signer.seal = lambda about, content: seal(about, b"{}")  # type: ignore[method-assign]
        later = await left(world.store, live)
        live.signer.seal = seal  # type: ignore[method-assign]
        async with frames(world.store, live, after=later) as stream:
            assert (await following(stream))[0] == RESET


async def test_a_cursor_of_a_store_that_was_made_anew_is_a_reset(world: World, engine: Engine) -> None:
    async with living(world.store) as live:
        cursor = await left(world.store, live)
        about = b"about"
        position = live.position(CUSTOMER_VIEWS.name, "ada")
        elsewhere = dict.fromkeys(position.cursors, "elsewhere.customer_views.5")
        assert live.signer.open(about, cursor) is None
        with pytest.raises(watches.Lost):
            await live.changed_since(type(position)(position.generation, elsewhere), CUSTOMER_VIEWS.name, "ada")
        with pytest.raises(watches.Lost):
            await live.changed_since(type(position)(7, position.cursors), CUSTOMER_VIEWS.name, "ada")


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (watches, live_module, updates_module):
        monkeypatch.setattr(module, "MOST_KEYS", 3)


@pytest.mark.usefixtures("_few")
async def test_who_missed_too_many_orders_begins_anew(world: World) -> None:
    async with living(world.store) as live:
        cursor = await left(world.store, live)
        await handed_out(world.store, live, *(an_order(number, created=number) for number in range(1, 5)))
        await live.reach(CUSTOMER_VIEWS.name)
        async with frames(world.store, live, after=cursor, snapshot=2) as stream:
            assert await following(stream) == (RESET, [])
            assert await following(stream) == (SNAPSHOT, [("ada:4", 1), ("ada:3", 1)])


@pytest.mark.usefixtures("_few")
async def test_a_slow_reader_that_is_too_many_orders_behind_begins_anew(world: World) -> None:
    async with living(world.store) as live, frames(world.store, live, snapshot=2) as stream:
        await anext(stream)
        for number in range(1, 5):
            await handed_out(world.store, live, an_order(number, created=number))
        assert await following(stream) == (RESET, [])
        assert await following(stream) == (SNAPSHOT, [("ada:4", 1), ("ada:3", 1)])
        await put(world.store, an_order(1, version=2))
        assert await following(stream) == (CHANGES, [("ada:1", 2)])


@pytest.mark.usefixtures("_few")
async def test_who_was_sent_more_orders_than_are_kept_in_mind_begins_anew(world: World) -> None:
    async with living(world.store) as live, frames(world.store, live, snapshot=1) as stream:
        await anext(stream)
        for number in range(1, 4):
            await put(world.store, an_order(number, created=number))
            assert await following(stream) == (CHANGES, [(f"ada:{number}", 1)])
        await put(world.store, an_order(4, created=4))
        assert await following(stream) == (RESET, [])
        assert await following(stream) == (SNAPSHOT, [("ada:4", 1)])


@pytest.mark.usefixtures("_few")
async def test_documents_that_are_no_orders_do_not_count(world: World) -> None:
    order = an_order(1)
    async with living(world.store) as live, frames(world.store, live) as stream:
        await anext(stream)
        for version in range(1, 9):
            await handed_out(world.store, live, an_event(order, version))
        await put(world.store, order)
        assert await following(stream) == (CHANGES, [("ada:1", 1)])


# ------------------------------------------------------------------------------------------- all together


@dataclass
class Client:
    """Keeps a list by its frames; `log` has the versions of each order since the list was last begun anew."""

    orders: dict[str, int] = field(default_factory=dict)
    cursor: str | None = None

    def take(self, frame: OrdersFrame, repeated: int = 0) -> None:
        if frame.kind is RESET:
            self.orders.clear()
        for order in frame.orders:
            known = self.orders.get(order.id, 0) - repeated
            assert order.version > known, "a version came twice, or an older one later"
            self.orders[order.id] = order.version
        self.cursor = frame.cursor


STEP = st.one_of(
    st.tuples(st.just("change"), st.integers(1, 4)),
    st.tuples(st.just("follow"), st.integers(1, 4)),
    st.tuples(st.just("socket"), st.integers(0, 1)),
    st.tuples(st.just("read"), st.just(0)),
    st.tuples(st.just("cut"), st.just(0)),
    st.tuples(st.just("restart"), st.just(0)),
)


@on_engines(st.lists(STEP, max_size=25), st.sampled_from(["ada", None]), st.booleans(), memory=60, cosmos=20)
async def test_whatever_happens_each_client_ends_with_what_there_is(
    engine: Engine, steps: list[tuple[str, int]], customer: str | None, twice: bool
) -> None:
    """Commands, cuts, resumes, restarts of the gateway, a feed that repeats itself, reading at any time.

    Frames also come as they are shared with others, where the client's socket takes them. A feed that gives a page with
    the cursor before it, as that of no engine does, repeats it to who comes back with that cursor, and to nobody else.
    """
    takes, repeated = True, 0
    world, client, versions = await open_world(engine), Client(), dict.fromkeys(range(1, 5), 0)
    plain = world.store.container(CUSTOMER_VIEWS.name)
    store = With(world.store, EachPageTwice(plain)) if twice else world.store

    def share(what: Hashable) -> Hand:
        def hand(batch: Batch, make: Callable[[], OrdersFrame]) -> bool:
            if takes:
                take(batch.made(what, make))
            return takes

        return hand

    def take(frame: OrdersFrame) -> None:
        nonlocal repeated
        client.take(frame, repeated)
        repeated = 0

    async def begin(resources: AsyncExitStack) -> tuple[Live, Stream[OrdersFrame]]:
        live = await resources.enter_async_context(living(store))
        return live, await followed(resources, live)

    async def followed(resources: AsyncExitStack, live: Live) -> Stream[OrdersFrame]:
        nonlocal repeated
        repeated = int(twice)
        return await resources.enter_async_context(frames(store, live, customer, after=client.cursor, share=share))

    async def change(number: int) -> None:
        versions[number] += 1
        await put(world.store, an_order(number, version=versions[number]))

    async def read(stream: Stream[OrdersFrame], number: int = 0) -> None:
        """Read a frame, if there is one, or follow while an order changes."""
        coming = asyncio.ensure_future(anext(stream.inner))
        await asyncio.wait([coming], timeout=0.01)  # nothing may be there to be read
        if number:
            await change(number)
            await asyncio.wait([coming], timeout=0.01)
        if not coming.done():
            coming.cancel()
            await asyncio.wait([coming])
        if not coming.cancelled() and not coming.exception():
            take(coming.result())

    resources = AsyncExitStack()
    live, stream = await begin(resources)
    try:
        for step, number in steps:
            match step:
                case "change":
                    await change(number)
                case "socket":
                    takes = bool(number)
                case "read" | "follow":
                    await read(stream, number)
                    stream = await followed(resources, live)
                case "cut":
                    await stream.inner.aclose()
                    stream = await followed(resources, live)
                case _:
                    await resources.aclose()
                    resources = AsyncExitStack()
                    live, stream = await begin(resources)
        takes = False
        expected = {order_id("ada", number): version for number, version in versions.items() if version}
        while client.orders != expected or client.cursor is None:
            take(await anext(stream))
        rows = await orders(store, customer, window=Window(50))
        assert {order.id: order.version for order in rows.nodes} == client.orders
    finally:
        await resources.aclose()


async def test_what_is_reached_was_committed_before_it_was_asked_for(shared_world: World, other_world: World) -> None:
    async with living(shared_world.store) as live:
        for number in range(1, 20):
            with live.watch(CUSTOMER_VIEWS.name, "ada") as watch:
                await put(other_world.store, an_order(1, version=number))
                await asyncio.gather(*(live.reach(CUSTOMER_VIEWS.name, "ada") for _ in range(3)))
                assert watch.take()


def test_a_text_opens_only_with_the_key_and_about_what_it_was_sealed_for() -> None:
    signer = Signer(b"key")
    sealed = signer.seal(b"about", b"content")
    assert signer.open(b"about", sealed) == b"content"
    assert signer.open(b"about", sealed + "=" * (-len(sealed) % 4)) == b"content"
    assert Signer(b"key").seal(b"about", b"content") == sealed
    for about, text in ((b"else", sealed), (b"about", sealed[:-1]), (b"about", ""), (b"about", "ü"), (b"about", "?")):
        assert signer.open(about, text) is None
    assert Signer(b"other").open(b"about", sealed) is None
    assert signer.open(b"aboutc", Signer(b"key").seal(b"about", b"content")) is None
