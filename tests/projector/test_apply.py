"""Pages of changes applied to a store: once, twice, overlapping, at the same time, too large, and poisoned."""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import msgspec
import pytest

from projector import apply as apply_module
from projector.apply import apply, key_of
from projector.orders import CUSTOMER_ORDERS, PRODUCT_SALES, PROJECTIONS, Change
from projector.projection import Projection, Route
from read_model.orders import CUSTOMER_VIEWS, PRODUCT_VIEWS, CustomerOrderSummary, CustomerView, OrderView, summary_id
from store import (
    Conflict,
    Container,
    ContainerDelegate,
    CursorInvalid,
    Delete,
    Document,
    Etag,
    OutcomeUnknown,
    Throttled,
    TooLarge,
    Unavailable,
    Upsert,
    Write,
)
from tests.projector.world import Views, World, item, order_id, project
from write_model import orders

CUSTOMERS = ("ada", "bob", "cy", "dee")


class Observed(ContainerDelegate):
    """A container that notes how large each commit is, and may spoil it by raising."""

    def __init__(self, inner: Container) -> None:
        super().__init__(inner)
        self.sizes: list[int] = []
        self.trouble: Iterator[Exception | None] = itertools.repeat(None)

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[Etag | None]:
        if error := next(self.trouble, None):
            raise error
        self.sizes.append(len(writes))
        return await self.inner.commit(partition, writes)


async def everything(world: World, page: Sequence[Document]) -> None:
    await apply(CUSTOMER_ORDERS, world.store.container(CUSTOMER_VIEWS.name), page)
    await apply(PRODUCT_SALES, world.store.container(PRODUCT_VIEWS.name), page)


async def shop(world: World) -> None:
    """Orders of several customers that share products; some changed, some called off."""
    for customer, number in itertools.product(CUSTOMERS, range(3)):
        await world.submitted(order_id(customer, number), item("tea", number + 1), item("pot"))
    await world.give(orders.cancel, order_id("bob", 1))
    await world.give(orders.record_payment, order_id("cy", 2))


async def stored(world: World) -> Views:
    views: Views = {}
    for projection in PROJECTIONS:
        name = projection.container.name
        for container, partition, id in await world.views():
            if container == name and (document := await world.store.container(name).read(partition, id)):
                views[partition, id] = document.decode(projection.view)
    return views


async def test_a_page_applied_is_the_projection_of_its_changes(world: World) -> None:
    await shop(world)
    page = await world.feed()
    await everything(world, page)
    assert await stored(world) == project(document.decode(Change) for document in page)


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


async def test_another_worker_that_was_quicker_is_noticed_and_its_work_kept(world: World) -> None:
    for number in range(2):
        await world.give(orders.create, order_id("ada", number))
    page = await world.feed()
    inner = world.store.container(CUSTOMER_VIEWS.name)

    class Late(Observed):
        """Another worker applies the first half, just before the first commit here."""

        async def commit(self, partition: str, writes: Sequence[Write]) -> list[Etag | None]:
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
    assert await apply(CUSTOMER_ORDERS, world.store.container(CUSTOMER_VIEWS.name), []) == {}


# ---------------------------------------------------------------------------------------------------- failures

BOB = order_id("bob", 1)


def but(keys: Iterable[str], page: Iterable[Document]) -> Views:
    """What the customers' read documents are without some orders."""
    left = [document.decode(Change) for document in page if key_of(CUSTOMER_ORDERS, document) not in keys]
    return {key: view for key, view in project(left).items() if key[0] in CUSTOMERS}


async def customers_of(world: World) -> Views:
    return {key: view for key, view in (await stored(world)).items() if key[0] in CUSTOMERS}


def poisoned(how: Callable[[Change], None]) -> Projection[Change, CustomerView]:
    def project(change: Change, customer: str, known: Mapping[str, CustomerView]) -> Iterator[CustomerView]:
        how(change)
        yield from CUSTOMER_ORDERS.project(change, customer, known)

    return replace(CUSTOMER_ORDERS, project=project)


def is_about(id: str, change: Change) -> bool:
    return id in (change.id, getattr(change, "order_id", None))


def refuse_bob(change: Change) -> None:
    if is_about(BOB, change):
        raise ZeroDivisionError("poison")


async def test_a_projection_that_raises_for_a_key_is_told_and_all_else_is_applied(world: World) -> None:
    await shop(world)
    page = await world.feed()
    failures = await apply(poisoned(refuse_bob), world.store.container(CUSTOMER_VIEWS.name), page)
    assert list(failures) == [BOB]
    assert isinstance(failures[BOB].error, ZeroDivisionError)
    assert await customers_of(world) == but([BOB], page)


async def test_of_a_key_the_first_document_that_failed_is_told_and_no_later_one_is_tried(world: World) -> None:
    tried: list[str] = []

    def refuse(change: Change) -> None:
        if is_about(BOB, change):
            tried.append(change.id)
            raise ZeroDivisionError("poison")

    await shop(world)
    page = [document for document in await world.feed() if document.partition == "bob"]
    failures = await apply(poisoned(refuse), world.store.container(CUSTOMER_VIEWS.name), page)
    first = next(document for document in page if key_of(CUSTOMER_ORDERS, document) == BOB)
    assert failures[BOB].document == first
    assert set(tried) == {first.id}


async def test_a_route_that_raises_is_a_failure_of_its_key(world: World) -> None:
    def route(change: Change) -> Iterable[Route]:
        refuse_bob(change)
        return CUSTOMER_ORDERS.route(change)

    await shop(world)
    page = await world.feed()
    target = world.store.container(CUSTOMER_VIEWS.name)
    assert list(await apply(replace(CUSTOMER_ORDERS, route=route), target, page)) == [BOB]
    assert await customers_of(world) == but([BOB], page)


@pytest.mark.parametrize(
    "wanted", [("a/b",), ("",), ("x" * 1024,), ("\ud800",)], ids=["slash", "empty", "long", "surrogate"]
)
async def test_a_route_to_what_no_document_can_be_is_a_failure_of_its_key(
    world: World, wanted: tuple[str, ...]
) -> None:
    def route(change: Change) -> Iterable[Route]:
        return [Route("bob", wanted)] if is_about(BOB, change) else CUSTOMER_ORDERS.route(change)

    await shop(world)
    page = await world.feed()
    target = world.store.container(CUSTOMER_VIEWS.name)
    failures = await apply(replace(CUSTOMER_ORDERS, route=route), target, page)
    assert list(failures) == [BOB]
    assert isinstance(failures[BOB].error, ValueError)
    assert await customers_of(world) == but([BOB], page)


async def test_a_view_that_no_document_can_be_is_a_failure_of_its_key(world: World) -> None:
    def project(change: Change, customer: str, known: Mapping[str, CustomerView]) -> Iterator[CustomerView]:
        for view in CUSTOMER_ORDERS.project(change, customer, known):
            yield msgspec.structs.replace(view, id="a/b") if is_about(BOB, change) else view

    await shop(world)
    page = await world.feed()
    target = world.store.container(CUSTOMER_VIEWS.name)
    failures = await apply(replace(CUSTOMER_ORDERS, project=project), target, page)
    assert list(failures) == [BOB]
    assert await customers_of(world) == but([BOB], page)


async def test_a_foreign_document_among_the_changes_is_a_failure_of_its_own(world: World) -> None:
    await shop(world)
    await world.aggregates.container.commit("ada", [Upsert("odd", {"kind": "unheard of"})])
    page = await world.feed()
    failures = await apply(CUSTOMER_ORDERS, world.store.container(CUSTOMER_VIEWS.name), page)
    assert {key: type(failure.error) for key, failure in failures.items()} == {"odd": msgspec.ValidationError}
    assert await customers_of(world) == but(["odd"], [document for document in page if document.id != "odd"])


@pytest.mark.parametrize(
    "body", [{"orderId": "a/b"}, {"orderId": "x" * 2000}, {"orderId": ["list"]}, {"kind": "command"}]
)
async def test_a_document_whose_key_cannot_be_told_or_kept_is_a_key_of_its_own(
    world: World, body: dict[str, object]
) -> None:
    await world.aggregates.container.commit("ada", [Upsert("odd", body)])
    (document,) = await world.feed()
    key = key_of(CUSTOMER_ORDERS, document)
    assert key in ("odd", "['list']")
    assert list(await apply(CUSTOMER_ORDERS, world.store.container(CUSTOMER_VIEWS.name), [document])) == [key]


async def test_a_single_change_that_is_too_large_is_a_failure_of_its_key(world: World) -> None:
    class Narrow(Observed):
        """Has no room for one order."""

        async def commit(self, partition: str, writes: Sequence[Write]) -> list[Etag | None]:
            if any(write.id == BOB for write in writes):
                raise TooLarge("as large as it gets")
            return await super().commit(partition, writes)

    await shop(world)
    page = await world.feed()
    failures = await apply(CUSTOMER_ORDERS, Narrow(world.store.container(CUSTOMER_VIEWS.name)), page)
    assert {key: type(failure.error) for key, failure in failures.items()} == {BOB: TooLarge}
    views = await customers_of(world)
    assert {key for key in views if not key[1].startswith("event:")} == {
        key for key in but([BOB], page) if not key[1].startswith("event:")
    }
    assert views["bob", summary_id("bob")] == but([BOB], page)["bob", summary_id("bob")]


async def test_more_documents_of_one_change_than_a_commit_holds_are_a_failure_of_its_key(world: World) -> None:
    def project(change: Change, customer: str, known: Mapping[str, CustomerView]) -> Iterator[CustomerView]:
        views = list(CUSTOMER_ORDERS.project(change, customer, known))
        copies = 101 if is_about(BOB, change) else 1
        yield from (msgspec.structs.replace(view, id=f"{view.id}{n or ''}") for view in views for n in range(copies))

    await shop(world)
    page = await world.feed()
    target = world.store.container(CUSTOMER_VIEWS.name)
    failures = await apply(replace(CUSTOMER_ORDERS, project=project), target, page)
    assert {key: type(failure.error) for key, failure in failures.items()} == {BOB: TooLarge}


async def test_a_read_document_that_is_corrupt_stops_only_who_must_see_it(world: World) -> None:
    await shop(world)
    page = await world.feed()
    target = world.store.container(CUSTOMER_VIEWS.name)
    await target.commit("bob", [Upsert(BOB, {"kind": "order", "version": "many"})])
    failures = await apply(CUSTOMER_ORDERS, target, page)
    assert {key: type(failure.error) for key, failure in failures.items()} == {BOB: msgspec.ValidationError}
    found = await target.read("bob", BOB)
    assert found is not None
    await target.commit("bob", [Delete(BOB, found.etag)])
    assert await customers_of(world) == but([BOB], page)
    assert await apply(CUSTOMER_ORDERS, target, page) == {}
    assert await customers_of(world) == but([], page)


async def test_a_corrupt_summary_stops_its_customer(world: World) -> None:
    await shop(world)
    page = [document for document in await world.feed() if document.decode(dict)["kind"] == "order"]
    target = world.store.container(CUSTOMER_VIEWS.name)
    await target.commit("bob", [Upsert(summary_id("bob"), {"kind": "nonsense"})])
    assert set(await apply(CUSTOMER_ORDERS, target, page)) == {order_id("bob", number) for number in range(3)}


@pytest.mark.parametrize(
    "error", [Throttled("busy", 0.01), Unavailable("gone"), CursorInvalid("x"), OutcomeUnknown("cut")]
)
async def test_what_says_nothing_about_a_document_is_raised_and_fails_no_key(world: World, error: Exception) -> None:
    await world.give(orders.create, order_id("ada"))
    target = Observed(world.store.container(CUSTOMER_VIEWS.name))
    target.trouble = itertools.repeat(error)
    with pytest.raises(type(error)):
        await apply(CUSTOMER_ORDERS, target, await world.feed())


async def test_a_key_that_failed_is_applied_in_order_once_it_can_be(world: World) -> None:
    await shop(world)
    page = await world.feed()
    target = world.store.container(CUSTOMER_VIEWS.name)
    await apply(poisoned(refuse_bob), target, page)
    assert await apply(CUSTOMER_ORDERS, target, page) == {}
    assert await customers_of(world) == but([], page)
