"""The live view: the latest of what changed, to whoever watches; nothing lost, nothing backwards, nothing left over."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import strategies as st

from gateway.wiring import now
from projector.leases import Timing
from projector.orders import PROJECTIONS
from projector.worker import Worker
from read_model.live import Live
from read_model.orders import CUSTOMER_VIEWS, OrderView
from read_model.versions import versions
from read_model.watches import Batch, Drained, Watch
from store import Changes, Container, ContainerDelegate, Document, Scope, Start, Store, Unavailable
from tests.engines import Engine, on_engines
from tests.projector.delegates import With
from tests.projector.world import PATIENCE_S, World, open_world, order_id, running, until
from tests.read_model.shelf import Stream, an_order, handed_out, live_view, living, put
from write_model import orders

A = order_id("ada")


def views(store: Store, live: Live, since: int = 0) -> Stream[OrderView]:
    return Stream(versions(store, live, CUSTOMER_VIEWS.name, "ada", A, OrderView, since))


def container(store: Store) -> Container:
    return store.container(CUSTOMER_VIEWS.name)


def version_of(documents: list[Document]) -> list[tuple[str, int]]:
    return [(document.id, document.decode(OrderView).version) for document in documents]


async def taken(watch: Watch) -> list[Document]:
    async with asyncio.timeout(PATIENCE_S):
        return await watch.next()


class EachPageTwice(ContainerDelegate):
    """A feed that gives each page twice, and every document of it too, as at-least-once delivery may."""

    def __init__(self, inner: Container) -> None:
        super().__init__(inner)
        self._given: set[tuple[Scope, str | Start]] = set()

    async def changes(self, scope: Scope, after: str | Start, limit: int = 100) -> Changes:
        page = await self.inner.changes(scope, after, limit)
        twice = [document for document in page.documents for _ in range(2)]
        if page.documents and isinstance(after, str) and (scope, after) not in self._given:
            self._given.add((scope, after))
            return Changes(after, twice)
        return Changes(page.cursor, twice)


class Meanwhile(ContainerDelegate):
    """A container where things happen just before and just after a document is read."""

    def __init__(self, inner: Container, before: Callable[[], Awaitable[None]], after: Callable[[], Awaitable[None]]):
        super().__init__(inner)
        self._before, self._after = before, after

    async def read(self, partition: str, id: str) -> Document | None:
        await self._before()
        document = await super().read(partition, id)
        await self._after()
        return document


# ------------------------------------------------------------------------------------------- a watch


def offered(*orders: OrderView) -> Watch:
    watch = Watch()
    for number, order in enumerate(orders):
        watch.offer(
            Batch(Document(order.customer_id, order.id, str(number), {"id": order.id, "version": order.version}))
        )
    return watch


async def test_a_slow_watcher_gets_the_latest_of_each_document() -> None:
    watch = offered(*(an_order(n, version=v) for v in range(1, 100) for n in (1, 2, 3)))
    bodies = [document.body for document in await taken(watch)]
    assert bodies == [{"id": order_id("ada", n), "version": 99} for n in (1, 2, 3)]


async def test_documents_of_one_id_in_two_partitions_are_two() -> None:
    watch = Watch()
    for partition in ("tea", "pot"):
        watch.offer(Batch(Document(partition, "sale:1", "1", {})))
    assert [document.partition for document in await taken(watch)] == ["tea", "pot"]


async def test_what_was_taken_is_not_given_again() -> None:
    watch = offered(an_order(1))
    await taken(watch)
    waiting = asyncio.ensure_future(watch.next())
    await asyncio.sleep(0)
    assert not waiting.done()
    watch.offer(Batch(Document("ada", "another", "2", {})))
    assert [document.id for document in await waiting] == ["another"]


# ------------------------------------------------------------------------------------------- the live view


@pytest.mark.parametrize(
    ("partition", "id", "expected"),
    [
        (None, None, {order_id("ada", 1), order_id("ada", 2), order_id("bob", 1)}),
        ("ada", None, {order_id("ada", 1), order_id("ada", 2)}),
        ("ada", order_id("ada", 2), {order_id("ada", 2)}),
    ],
)
async def test_a_watch_sees_what_it_watches(
    world: World, partition: str | None, id: str | None, expected: set[str]
) -> None:
    async with living(world.store) as live:
        with live.watch(CUSTOMER_VIEWS.name, partition, id) as watch:
            await put(world.store, an_order(1), an_order(1, "bob"), an_order(2))
            seen: set[str] = set()
            while seen != expected:
                seen |= {document.id for document in await taken(watch)}
                assert seen <= expected


async def test_what_happened_before_the_start_is_not_handed_out(world: World) -> None:
    await put(world.store, an_order(1))
    async with living(world.store) as live:
        with live.watch(CUSTOMER_VIEWS.name, "ada") as watch:
            await put(world.store, an_order(2))
            assert version_of(await taken(watch)) == [(order_id("ada", 2), 1)]


async def test_what_happens_between_start_and_the_first_loop_is_handed_out(world: World) -> None:
    live = live_view(world.store, CUSTOMER_VIEWS.name)
    await live.start()
    await put(world.store, an_order(1))
    with live.watch(CUSTOMER_VIEWS.name) as watch:
        async with running(*[loop for _, loop in live.loops()]):
            assert version_of(await taken(watch)) == [(A, 1)]


async def test_watchers_are_counted_while_they_watch(world: World) -> None:
    live = live_view(world.store, CUSTOMER_VIEWS.name)
    with live.watch(CUSTOMER_VIEWS.name, "ada"), live.watch(CUSTOMER_VIEWS.name, "ada"):
        with live.watch(CUSTOMER_VIEWS.name):
            assert live.watchers == 3
        assert live.watchers == 2
    assert live.watchers == 0


async def test_the_position_moves_with_what_was_handed_out(world: World) -> None:
    async with living(world.store) as live:
        before = live.position(CUSTOMER_VIEWS.name)
        await put(world.store, an_order(1))
        await until(lambda: live.position(CUSTOMER_VIEWS.name) != before)


async def test_a_loop_is_named_after_its_container(world: World) -> None:
    assert [name for name, _ in live_view(world.store).loops()] == ["live customer_views", "live product_views"]


async def test_a_loop_that_is_run_again_continues_where_it_stood(world: World) -> None:
    live = live_view(world.store, CUSTOMER_VIEWS.name)
    await live.start()
    loops = [loop for _, loop in live.loops()]
    with live.watch(CUSTOMER_VIEWS.name) as watch:
        async with running(*loops):
            await put(world.store, an_order(1))
            await taken(watch)
        await put(world.store, an_order(2))
        async with running(*loops):
            assert version_of(await taken(watch)) == [(order_id("ada", 2), 1)]


async def test_a_loop_that_failed_while_the_store_was_away_loses_nothing(world: World) -> None:
    class Away(ContainerDelegate):
        away = True

        async def changes(self, scope: Scope, after: str | Start, limit: int = 100) -> Changes:
            if self.away and after is not Start.NOW:
                raise Unavailable("for a while")
            return await super().changes(scope, after, limit)

    feed = Away(container(world.store))
    live = live_view(With(world.store, feed), CUSTOMER_VIEWS.name)
    await live.start()
    loops = [loop for _, loop in live.loops()]
    with live.watch(CUSTOMER_VIEWS.name) as watch:
        await put(world.store, an_order(1))
        for loop in loops:
            with pytest.raises(Unavailable):
                await asyncio.wait_for(loop(), PATIENCE_S)
        feed.away = False
        async with running(*loops):
            assert version_of(await taken(watch)) == [(A, 1)]


async def test_changes_by_another_process_reach_the_watcher(shared_world: World, other_world: World) -> None:
    async with living(shared_world.store) as live:
        with live.watch(CUSTOMER_VIEWS.name, "ada", A) as watch:
            await put(other_world.store, an_order(1, version=7))
            assert version_of(await taken(watch)) == [(A, 7)]


# ------------------------------------------------------------------------------------------- versions of a document


async def test_a_stream_begins_with_the_document_as_it_is_and_goes_on_with_newer_ones(world: World) -> None:
    await put(world.store, an_order(version=3))
    async with living(world.store) as live, views(world.store, live) as stream:
        assert (await anext(stream)).version == 3
        await put(world.store, an_order(version=4))
        assert (await anext(stream)).version == 4


@pytest.mark.parametrize(("since", "first"), [(2, 3), (3, 4), (9, 10)])
async def test_a_stream_gives_only_what_is_newer_than_what_is_known(world: World, since: int, first: int) -> None:
    await put(world.store, an_order(version=3))
    async with living(world.store) as live, views(world.store, live, since) as stream:
        coming = asyncio.ensure_future(anext(stream))
        await until(lambda: live.watchers)
        for version in range(4, first + 1):
            await put(world.store, an_order(version=version))
        assert (await coming).version == first


async def test_a_stream_waits_for_a_document_that_does_not_exist_yet(world: World) -> None:
    async with living(world.store) as live, views(world.store, live) as stream:
        coming = asyncio.ensure_future(anext(stream))
        await until(lambda: live.watchers)
        await put(world.store, an_order(version=1))
        assert (await coming).version == 1


async def test_a_version_that_comes_again_or_late_is_not_given(world: World) -> None:
    await put(world.store, an_order(version=3))
    async with living(world.store) as live, views(world.store, live) as stream:
        assert (await anext(stream)).version == 3
        coming = asyncio.ensure_future(anext(stream))
        for version in (3, 2, 4):
            await handed_out(world.store, live, an_order(version=version))
        assert (await coming).version == 4


@on_engines(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2), st.booleans(), memory=40, cosmos=20)
async def test_nothing_falls_between_the_snapshot_and_the_stream(
    engine: Engine, existing: int, before: int, after: int, at_once: bool
) -> None:
    world = await open_world(engine)
    async with living(world.store) as live:
        version = 0

        async def write(times: int) -> None:
            nonlocal version
            for _ in range(times):
                version += 1
                if at_once:
                    await handed_out(world.store, live, an_order(version=version))
                else:
                    await put(world.store, an_order(version=version))

        await write(existing)
        store = With(world.store, Meanwhile(container(world.store), lambda: write(before), lambda: write(after)))
        async with views(store, live) as stream:
            seen = [] if existing + before + after else [0]
            while not seen or seen[-1] < existing + before + after:
                seen.append((await anext(stream)).version)
            assert seen == sorted(set(seen))
            await write(1)
            assert (await anext(stream)).version == version


async def test_versions_rise_and_end_at_the_latest_while_commands_race_and_the_feed_repeats_itself(
    shared_world: World,
) -> None:
    store = With(shared_world.store, EachPageTwice(container(shared_world.store)))
    worker = Worker(shared_world.store, PROJECTIONS, Timing(acquire_s=0.01), now=now)
    await shared_world.give(orders.create, A)

    async def customer(number: int) -> None:
        for city in range(15):
            address = orders.Address("Ada", "Street", f"{number}-{city}", "1", "DE")
            await shared_world.give(orders.set_shipping_address, A, address=address)

    async def reader(live: Live, since: int) -> list[int]:
        async with views(store, live, since) as stream:
            seen = [(await anext(stream)).version]
            while seen[-1] < 31:
                seen.append((await anext(stream)).version)
            return seen

    async with living(store) as live, running(*[loop for _, loop in worker.loops()]):
        readers = [asyncio.create_task(reader(live, since)) for since in (0, 1, 20)]
        await asyncio.gather(customer(1), customer(2))
        for seen in await asyncio.gather(*readers):
            assert seen == sorted(set(seen))
            assert seen[-1] == 31


async def test_a_closed_stream_no_longer_watches(world: World) -> None:
    await put(world.store, an_order())
    async with living(world.store) as live:
        async with views(world.store, live) as stream:
            await anext(stream)
            assert live.watchers == 1
        assert live.watchers == 0


async def test_a_stream_whose_task_is_cancelled_no_longer_watches(world: World) -> None:
    async with living(world.store) as live:
        stream = views(world.store, live)
        waiting = asyncio.create_task(stream.inner.__anext__())
        await until(lambda: live.watchers == 1)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert live.watchers == 0


async def test_what_is_drained_gives_what_it_has_and_then_says_so_once() -> None:
    watch = Watch()
    watch.offer(Batch(Document("ada", "n1", "1", b"{}")))
    watch.drain()
    assert [document.id for document in await watch.next()] == ["n1"]
    with pytest.raises(Drained):
        await watch.next()
    watch.offer(Batch(Document("ada", "n2", "1", b"{}")))
    assert [document.id for document in await watch.next()] == ["n2"]


async def test_a_stream_ends_when_it_is_drained_and_who_waits_for_a_time_goes_on_waiting(world: World) -> None:
    time = asyncio.get_running_loop().time() + PATIENCE_S
    async with living(world.store) as live:
        bounded = versions(world.store, live, CUSTOMER_VIEWS.name, "ada", A, OrderView, until=time)
        async with views(world.store, live) as stream, Stream(bounded) as waiter:
            ending = asyncio.create_task(_all(stream))
            waiting = asyncio.create_task(_all(waiter, 1))
            await until(lambda: live.watchers == 2)
            live.drain()
            assert await ending == await _all(views(world.store, live)) == []
            await put(world.store, an_order(1))
            assert await waiting == [1]


async def _all(stream: Stream[OrderView], most: int | None = None) -> list[int]:
    """The versions in a stream, to its end or `most` of them."""
    found: list[int] = []
    async for order in stream:
        found.append(order.version)
        if len(found) == most:
            break
    return found


async def test_a_watcher_is_woken_for_what_cannot_be_sent_on_and_only_for_that() -> None:
    watch, takes = Watch(), [True, False]
    waiting = asyncio.ensure_future(watch.next(lambda batch: takes.pop(0)))
    await asyncio.sleep(0)
    for number in (1, 2):
        batch = Batch(Document("ada", f"n{number}", "1", b"{}"))
        assert watch.offer(batch)
        watch.settle(batch)
    async with asyncio.timeout(PATIENCE_S):
        assert [document.id for document in await waiting] == ["n2"]


async def test_what_comes_before_a_batch_was_sent_on_is_taken_together_with_it() -> None:
    watch = Watch()
    waiting = asyncio.ensure_future(watch.next(lambda batch: True))
    await asyncio.sleep(0)
    first, second = (Batch(Document("ada", f"n{number}", "1", b"{}")) for number in (1, 2))
    assert [watch.offer(first), watch.offer(second)] == [True, False]
    watch.settle(first)
    async with asyncio.timeout(PATIENCE_S):
        assert [document.id for document in await waiting] == ["n1", "n2"]
