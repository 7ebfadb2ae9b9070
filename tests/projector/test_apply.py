"""Pages of changes applied to a store: once, twice, overlapping, at the same time, too large, and poisoned."""

import asyncio
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pytest

from projector import apply as apply_module
from projector.apply import apply
from projector.orders import CUSTOMER_ORDERS, PRODUCT_SALES, PROJECTIONS, Change
from read_model.orders import CUSTOMER_VIEWS, PRODUCT_VIEWS, CustomerOrderSummary, CustomerView, OrderView, summary_id
from store import Conflict, Container, Document, TooLarge, Upsert, Write
from tests.projector.delegates import Through
from tests.projector.world import Views, World, item, order_id, project
from write_model import orders


class Observed(Through):
    """A container that notes how large each commit is, and may spoil it by raising."""

    def __init__(self, inner: Container) -> None:
        super().__init__(inner)
        self.sizes: list[int] = []
        self.trouble: Iterator[Exception | None] = itertools.repeat(None)

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str | None]:
        if error := next(self.trouble, None):
            raise error
        self.sizes.append(len(writes))
        return await self.inner.commit(partition, writes)


async def everything(world: World, page: Sequence[Document]) -> None:
    await apply(CUSTOMER_ORDERS, world.store.container(CUSTOMER_VIEWS.name), page)
    await apply(PRODUCT_SALES, world.store.container(PRODUCT_VIEWS.name), page)


async def shop(world: World) -> None:
    """Orders of several customers that share products; some changed, some called off."""
    for customer, number in itertools.product(("ada", "bob", "cy", "dee"), range(3)):
        await world.submitted(order_id(customer, number), item("tea", number + 1), item("pot"))
    await world.give(orders.cancel, order_id("bob", 1))
    await world.give(orders.record_payment, order_id("cy", 2))


async def stored(world: World) -> Views:
    views: Views = {}
    for projection in PROJECTIONS:
        name = projection.target
        for container, partition, id in await world.views():
            if container == name and (document := await world.store.container(name).read(partition, id)):
                views[partition, id] = document.decode(projection.view)
    return views


async def test_a_page_applied_is_the_projection_of_its_changes(world: World) -> None:
    await shop(world)
    page = await world.feed()
    await everything(world, page)
    assert await stored(world) == project(document.decode(Change) for document in page)


async def test_apply_tells_how_many_partitions_it_wrote_to(world: World) -> None:
    await shop(world)
    assert await apply(PRODUCT_SALES, world.store.container(PRODUCT_VIEWS.name), await world.feed()) == 2


async def test_a_page_applied_twice_changes_nothing(world: World) -> None:
    await shop(world)
    page = await world.feed()
    await everything(world, page)
    then = await world.views()
    await everything(world, page)
    assert await world.views() == then


@pytest.mark.parametrize(("size", "step"), [(7, 3), (20, 1), (1, 1)])
async def test_overlapping_pages_change_nothing_more(world: World, size: int, step: int) -> None:
    await shop(world)
    feed = await world.feed()
    for start in range(0, len(feed), step):
        await everything(world, feed[start : start + size])
    then = await world.views()
    await everything(world, feed)
    assert await world.views() == then
    assert await stored(world) == project(document.decode(Change) for document in feed)


async def test_two_workers_at_once_do_what_one_does(shared_world: World) -> None:
    await shop(shared_world)
    feed = await shared_world.feed()

    async def work(size: int) -> None:
        for start in range(0, len(feed), size):
            await everything(shared_world, feed[start : start + size])

    await asyncio.gather(work(4), work(9))
    assert await stored(shared_world) == project(document.decode(Change) for document in feed)


async def test_more_documents_than_a_commit_holds_are_split(world: World) -> None:
    for number in range(130):
        await world.give(orders.create, order_id("ada", number))
    target = Observed(world.store.container(CUSTOMER_VIEWS.name))
    await apply(CUSTOMER_ORDERS, target, await world.feed())
    assert max(target.sizes) <= 100 < sum(target.sizes)
    summary = await target.read("ada", summary_id("ada"))
    assert summary is not None
    assert summary.decode(CustomerOrderSummary).total_orders == 130


async def test_a_split_page_is_guarded_in_each_of_its_commits(world: World) -> None:
    for number in range(130):
        await world.give(orders.create, order_id("ada", number))
    page = await world.feed()
    target = Observed(world.store.container(CUSTOMER_VIEWS.name))
    target.trouble = iter([None, Conflict(0, "changed")])
    await apply(CUSTOMER_ORDERS, target, page)
    assert await stored(world) == project(document.decode(Change) for document in page)


async def test_what_a_crash_left_half_done_is_completed_when_the_page_comes_again(world: World) -> None:
    for number in range(130):
        await world.give(orders.create, order_id("ada", number))
    page = await world.feed()
    target = Observed(world.store.container(CUSTOMER_VIEWS.name))
    target.trouble = iter([None, ConnectionError("gone")])
    with pytest.raises(ConnectionError):
        await apply(CUSTOMER_ORDERS, target, page)
    await apply(CUSTOMER_ORDERS, target, page)
    assert await stored(world) == project(document.decode(Change) for document in page)


async def test_a_batch_that_is_too_large_is_halved_until_it_fits(world: World) -> None:
    lines = [item(f"sku-{number}", title="茶" * 200) for number in range(100)]
    for number in range(40):
        await world.give(orders.create, order_id("ada", number), items=lines)
    target = Observed(world.store.container(CUSTOMER_VIEWS.name))
    page = await world.feed()
    await apply(CUSTOMER_ORDERS, target, page)
    assert len(target.sizes) > 2
    assert await stored(world) == project(document.decode(Change) for document in page)


async def test_a_single_change_that_is_too_large_raises(world: World) -> None:
    await world.give(orders.create, order_id("ada"))
    target = Observed(world.store.container(CUSTOMER_VIEWS.name))
    target.trouble = itertools.repeat(TooLarge("as large as it gets"))
    with pytest.raises(TooLarge):
        await apply(CUSTOMER_ORDERS, target, await world.feed())


async def test_a_projection_that_raises_leaves_the_other_partitions_applied(world: World) -> None:
    def poisoned(change: Change, customer: str, known: Mapping[str, CustomerView]) -> Iterator[CustomerView]:
        if customer == "bob":
            raise ZeroDivisionError("poison")
        yield from CUSTOMER_ORDERS.project(change, customer, known)

    await shop(world)
    projection = replace(CUSTOMER_ORDERS, project=poisoned)
    with pytest.raises(ZeroDivisionError, match="poison"):
        await apply(projection, world.store.container(CUSTOMER_VIEWS.name), await world.feed())
    applied = {key for key in await stored(world) if key[0] != "tea"}
    assert {partition for partition, _ in applied} == {"ada", "cy", "dee"}
    others = [document.decode(Change) for document in await world.feed() if document.partition != "bob"]
    assert applied == {key for key in project(others) if key[0] in ("ada", "cy", "dee")}


async def test_another_worker_that_was_quicker_is_noticed_and_its_work_kept(world: World) -> None:
    for number in range(2):
        await world.give(orders.create, order_id("ada", number))
    page = await world.feed()
    inner = world.store.container(CUSTOMER_VIEWS.name)

    class Late(Observed):
        """Another worker applies the first half, just before the first commit here."""

        async def commit(self, partition: str, writes: Sequence[Write]) -> list[str | None]:
            if not self.sizes:
                self.sizes.append(0)
                await apply(CUSTOMER_ORDERS, inner, page[:2])
            return await super().commit(partition, writes)

    await apply(CUSTOMER_ORDERS, Late(inner), page)
    assert await stored(world) == project(document.decode(Change) for document in page)


async def test_conflicts_without_end_raise(world: World) -> None:
    await world.give(orders.create, order_id("ada"))
    target = Observed(world.store.container(CUSTOMER_VIEWS.name))
    target.trouble = itertools.repeat(Conflict(0, "changed"))
    with pytest.raises(Conflict):
        await apply(CUSTOMER_ORDERS, target, await world.feed())


async def test_a_page_is_never_dropped_when_too_large_follows_on_many_conflicts(world: World) -> None:
    await world.give(orders.create, order_id("ada"))
    target = Observed(world.store.container(CUSTOMER_VIEWS.name))
    conflicts = [Conflict(0, "changed")] * (apply_module.MAX_ATTEMPTS - 1)
    target.trouble = iter([*conflicts, TooLarge("once")])
    await apply(CUSTOMER_ORDERS, target, await world.feed())
    assert ("ada", order_id("ada")) in await stored(world)


async def test_a_newer_view_is_never_overwritten_by_an_older_change(world: World) -> None:
    await world.give(orders.create, order_id("ada"), items=(item("tea"),))
    old = await world.feed()
    await world.give(orders.submit, order_id("ada"))
    await everything(world, await world.feed())
    await everything(world, old)
    document = await world.store.container(CUSTOMER_VIEWS.name).read("ada", order_id("ada"))
    assert document is not None
    assert document.decode(OrderView).version == 2


async def test_an_empty_page_is_nothing_to_do(world: World) -> None:
    assert await apply(CUSTOMER_ORDERS, world.store.container(CUSTOMER_VIEWS.name), []) == 0


async def test_a_foreign_document_among_the_changes_raises(world: World) -> None:
    await world.aggregates.container.commit("ada", [Upsert("odd", {"kind": "unheard of"})])
    with pytest.raises(ValueError, match="kind"):
        await everything(world, await world.feed())
