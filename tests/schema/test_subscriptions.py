"""Subscriptions: where things stand, then what is newer, in rising versions, for as long as someone listens."""

import asyncio
from typing import Any

import pytest

from tests.projector.world import until
from tests.schema.api import ORDER, UUIDS, Api, Json, line, the_error

ORDER_ID = f"order:ada:{UUIDS[1]}"
ONE = f'subscription($since: Int) {{ orderUpdated(id: "{ORDER_ID}", sinceVersion: $since) {ORDER} }}'
CUSTOMERS = """subscription($snapshot: Int, $after: String) {
  customerOrdersUpdated(customerId: "ada", snapshot: $snapshot, after: $after) {
    kind cursor orders { id version status } } }"""
EVERYBODYS = """subscription($filter: OrderFilter, $after: String) {
  ordersUpdated(filter: $filter, after: $after) { kind cursor orders { id version status } } }"""
SUMMARY = 'subscription { customerOrderSummaryUpdated(customerId: "customer:ada") { totalOrders version } }'
SALES = 'subscription { productSalesUpdated(sku: "tea") { unitsSold orderCount } }'
EVERY = pytest.mark.parametrize("document", [ONE, CUSTOMERS, EVERYBODYS, SUMMARY, SALES], ids=range(5))


async def change(api: Api, number: int = 1, quantity: int = 3) -> None:
    """Change an order and project it."""
    input = {"orderId": f"order:ada:{UUIDS[number]}", "sku": "tea", "quantity": quantity}
    await api.done("changeItemQuantity", input)
    await api.project()


def shown(frame: Json) -> tuple[str, list[tuple[int, int]]]:
    """The kind of a frame, and (number, version) of its orders."""
    assert frame["cursor"]
    orders = [(UUIDS.index(order["id"].split(":")[2]), order["version"]) for order in frame["orders"]]
    return frame["kind"], orders


async def test_an_order_is_sent_as_it_is_and_then_each_newer_version(api: Api) -> None:
    id = await api.created()
    await api.project()
    async with api.follow(ONE) as stream:
        assert await stream.next() == await api.order(id)
        for quantity in (3, 4):
            await change(api, quantity=quantity)
            assert await stream.next() == await api.order(id)


async def test_an_order_that_does_not_exist_yet_is_waited_for(live: Api) -> None:
    async with live.follow(ONE) as stream:
        waiting = asyncio.create_task(stream.next())
        await until(lambda: live.watchers == 1)
        await live.created()
        assert (await waiting)["version"] == 1


@pytest.mark.parametrize(("since", "first"), [(None, 1), (-5, 1), (0, 1), (1, 2)])
async def test_only_what_is_newer_than_the_client_has_is_sent(api: Api, since: int | None, first: int) -> None:
    await api.created()
    await api.project()
    async with api.follow(ONE, {"since": since}) as stream:
        waiting = asyncio.create_task(stream.next())
        await until(lambda: api.watchers == 1)
        await change(api)
        assert (await waiting)["version"] == first


async def test_a_customers_orders_come_as_a_snapshot_and_then_as_changes(api: Api) -> None:
    await api.created(number=1)
    await api.created(number=2)
    await api.created("bob", number=3)
    await api.project()
    async with api.follow(CUSTOMERS) as stream:
        assert shown(await stream.next()) == ("SNAPSHOT", [(2, 1), (1, 1)])
        await change(api, 1)
        assert shown(await stream.next()) == ("CHANGES", [(1, 2)])
        await api.created("bob", number=4)
        await api.created(number=5)
        await api.project()
        assert shown(await stream.next()) == ("CHANGES", [(5, 1)])


@pytest.mark.parametrize(
    ("size", "expected"), [(0, []), (1, [(2, 1)]), (100, [(2, 1), (1, 1)]), (None, [(2, 1), (1, 1)])]
)
async def test_the_snapshot_is_as_long_as_asked(api: Api, size: int | None, expected: list[tuple[int, int]]) -> None:
    await api.created(number=1)
    await api.created(number=2)
    await api.project()
    async with api.follow(CUSTOMERS, {"snapshot": size}) as stream:
        assert shown(await stream.next()) == ("SNAPSHOT", expected)


async def test_everybodys_orders_are_sent_to_staff(live: Api) -> None:
    async with live.follow(EVERYBODYS) as stream:
        assert shown(await stream.next()) == ("SNAPSHOT", [])
        for number, customer in enumerate(("ada", "bob"), 1):
            await live.created(customer, number)
            assert shown(await stream.next()) == ("CHANGES", [(number, 1)])


async def test_an_order_that_leaves_the_filter_is_sent_once_more(api: Api) -> None:
    await api.created(number=1)
    await api.submitted(number=2)
    await api.project()
    async with api.follow(EVERYBODYS, {"filter": {"status": ["DRAFT"]}}) as stream:
        assert shown(await stream.next()) == ("SNAPSHOT", [(1, 1)])
        await api.done("submitOrder", {"orderId": ORDER_ID})
        await api.project()
        assert (await stream.next())["orders"] == [{"id": ORDER_ID, "version": 2, "status": "SUBMITTED"}]
        await api.done("cancelOrder", {"orderId": ORDER_ID, "reason": "late"})
        await api.created(number=3)
        await api.project()
        assert shown(await stream.next()) == ("CHANGES", [(3, 1)])


@pytest.mark.parametrize("document", [CUSTOMERS, EVERYBODYS])
async def test_who_comes_back_with_a_cursor_gets_what_changed_meanwhile(api: Api, document: str) -> None:
    await api.created()
    await api.project()
    async with api.follow(document) as stream:
        cursor = (await stream.next())["cursor"]
    await change(api)
    async with api.follow(document, {"after": cursor}) as stream:
        assert shown(await stream.next()) == ("CHANGES", [(1, 2)])


@pytest.mark.parametrize("document", [CUSTOMERS, EVERYBODYS])
async def test_who_comes_back_with_a_forged_cursor_is_told_to_begin_anew(api: Api, document: str) -> None:
    await api.created()
    await api.project()
    async with api.follow(document, {"after": "forged"}) as stream:
        assert shown(await stream.next()) == ("RESET", [])
        assert shown(await stream.next()) == ("SNAPSHOT", [(1, 1)])


async def test_a_customers_summary_is_sent_as_it_is_and_after_each_change(api: Api) -> None:
    await api.created()
    await api.project()
    async with api.follow(SUMMARY) as stream:
        assert await stream.next() == {"totalOrders": 1, "version": 1}
        await change(api)
        assert await stream.next() == {"totalOrders": 1, "version": 2}
        await api.created(number=2)
        await api.project()
        assert await stream.next() == {"totalOrders": 2, "version": 3}


async def test_a_products_sales_are_sent_as_they_are_and_after_each_sale(api: Api) -> None:
    await api.submitted(number=1)
    await api.project()
    async with api.follow(SALES) as stream:
        assert await stream.next() == {"unitsSold": 2, "orderCount": 1}
        await api.submitted("bob", number=2, items=[line(quantity=5)])
        await api.project()
        assert await stream.next() == {"unitsSold": 7, "orderCount": 2}
        await api.done("cancelOrder", {"orderId": ORDER_ID, "reason": "late"})
        await api.project()
        assert await stream.next() == {"unitsSold": 5, "orderCount": 1}


async def test_versions_rise_and_end_at_the_latest_however_slow_the_reader_is(live: Api) -> None:
    await live.created()
    async with live.follow(ONE) as stream:
        versions = [(await stream.next())["version"]]
        for quantity in range(3, 23):
            await live.done("changeItemQuantity", {"orderId": ORDER_ID, "sku": "tea", "quantity": quantity})
        while versions[-1] < 21:
            versions.append((await stream.next())["version"])
    assert versions == sorted(set(versions))
    assert versions[-1] == 21


async def test_a_frame_has_what_the_fragments_and_aliases_ask_for(api: Api) -> None:
    await api.created()
    await api.project()
    document = """subscription { frame: ordersUpdated { ...rows } }
        fragment rows on OrdersFrame { __typename rows: orders { ... on Node { key: id } lines: itemCount } }"""
    async with api.follow(document) as stream:
        assert await stream.next() == {"__typename": "OrdersFrame", "rows": [{"key": ORDER_ID, "lines": 1}]}


@EVERY
async def test_closing_a_subscription_leaves_no_watcher(api: Api, document: str) -> None:
    await api.submitted()
    await api.project()
    async with api.follow(document) as stream:
        await stream.next()
        assert api.watchers == 1
    assert api.watchers == 0


@EVERY
async def test_leaving_while_waiting_leaves_no_watcher(api: Api, document: str) -> None:
    await api.submitted()
    await api.project()
    async with api.follow(document) as stream:
        await stream.next()
        waiting = asyncio.create_task(stream.next())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert api.watchers == 0


BAD: list[tuple[str, Any, str]] = [
    ('subscription { orderUpdated(id: "x") { id } }', None, "BAD_ID"),
    ('subscription { customerOrdersUpdated(customerId: "a b") { kind } }', None, "BAD_ID"),
    ('subscription { customerOrderSummaryUpdated(customerId: "") { id } }', None, "BAD_ID"),
    ('subscription { productSalesUpdated(sku: "\\u0000") { id } }', None, "BAD_ID"),
    (EVERYBODYS, {"filter": {"sku": "a b"}}, "BAD_ID"),
    (EVERYBODYS, {"filter": {"createdFrom": "yesterday"}}, "BAD_INPUT"),
    (CUSTOMERS, {"snapshot": -1}, "BAD_PAGE"),
    (CUSTOMERS, {"snapshot": 101}, "BAD_PAGE"),
    (CUSTOMERS, {"snapshot": 2**31}, "BAD_INPUT"),
]


@pytest.mark.parametrize(("document", "variables", "code"), BAD, ids=range(len(BAD)))
async def test_a_subscription_that_makes_no_sense_is_an_error(
    api: Api, document: str, variables: Any, code: str
) -> None:
    async with api.follow(document, variables) as stream:
        assert the_error(await stream.next_result())[0] == code
    assert api.watchers == 0
