"""Lists of orders: sorted, filtered, and read in pages that shift with nothing."""

from typing import Any

import pytest

from tests.schema.api import UUIDS, Api, Json, everything, line

LIST = f"""query($filter: OrderFilter, $orderBy: OrderSort, $first: Int, $after: String, $last: Int, $before: String) {{
  customerOrders(customerId: "ada", filter: $filter, orderBy: $orderBy, first: $first, after: $after, last: $last,
                 before: $before) {everything("OrderConnection")} }}"""
ALL = f"""query($filter: OrderFilter, $orderBy: OrderSort, $first: Int, $after: String) {{
  orders(filter: $filter, orderBy: $orderBy, first: $first, after: $after) {everything("OrderConnection")} }}"""
PRICES = {1: "3.00", 2: "1.00", 3: "2.00"}


async def three_orders(api: Api) -> None:
    """Number 2 is cheap and submitted, number 1 is dear and changed last; Bob has one too."""
    for number, price in PRICES.items():
        await api.created(number=number, items=[line(f"sku{number}", 1, price)])
    await api.created("bob", 4, items=[line("sku1", 1, "9.00")])
    await api.done("submitOrder", {"orderId": f"order:ada:{UUIDS[2]}"})
    await api.done("setPaymentMethod", {"orderId": f"order:ada:{UUIDS[1]}", "method": "CARD"})
    await api.project()


async def page(api: Api, document: str = LIST, **variables: Any) -> Json:
    (found,) = (await api.ask(document, variables)).values()
    assert [edge["node"] for edge in found["edges"]] == found["nodes"]
    cursors = [edge["cursor"] for edge in found["edges"]] or [None]
    assert (found["pageInfo"]["startCursor"], found["pageInfo"]["endCursor"]) == (cursors[0], cursors[-1])
    assert isinstance(found, dict)
    return found


def numbers(found: Json) -> list[int]:
    return [UUIDS.index(order["id"].split(":")[2]) for order in found["nodes"]]


SORTS: list[tuple[Json | None, list[int]]] = [
    (None, [3, 2, 1]),
    ({"field": "CREATED_AT"}, [3, 2, 1]),
    ({"field": "CREATED_AT", "direction": "ASC"}, [1, 2, 3]),
    ({"field": "UPDATED_AT", "direction": "DESC"}, [1, 2, 3]),
    ({"field": "UPDATED_AT", "direction": "ASC"}, [3, 2, 1]),
    ({"field": "TOTAL", "direction": "DESC"}, [1, 3, 2]),
    ({"field": "TOTAL", "direction": "ASC"}, [2, 3, 1]),
]


@pytest.mark.parametrize(("order_by", "expected"), SORTS, ids=str)
async def test_a_customers_orders_are_sorted_as_asked(api: Api, order_by: Json | None, expected: list[int]) -> None:
    await three_orders(api)
    assert numbers(await page(api, orderBy=order_by)) == expected


@pytest.mark.parametrize(("order_by", "expected"), SORTS, ids=str)
@pytest.mark.parametrize("forward", [True, False])
async def test_pages_of_one_put_together_are_the_list(
    api: Api, order_by: Json | None, expected: list[int], forward: bool
) -> None:
    await three_orders(api)
    size, place, more, end = (
        ("first", "after", "hasNextPage", "endCursor")
        if forward
        else ("last", "before", "hasPreviousPage", "startCursor")
    )
    found: list[int] = []
    cursor: str | None = None
    while True:
        part = await page(api, LIST, **{"orderBy": order_by, size: 1, place: cursor})
        found += numbers(part)
        cursor = part["pageInfo"][end]
        if not part["pageInfo"][more]:
            break
    assert found == (expected if forward else expected[::-1])


FILTERS: list[tuple[Json | None, list[int]]] = [
    (None, [4, 3, 2, 1]),
    ({}, [4, 3, 2, 1]),
    ({"status": None, "sku": None, "createdFrom": None, "createdTo": None}, [4, 3, 2, 1]),
    ({"status": ["SUBMITTED"]}, [2]),
    ({"status": ["SUBMITTED", "DRAFT"]}, [4, 3, 2, 1]),
    ({"status": []}, []),
    ({"sku": "sku1"}, [4, 1]),
    ({"sku": "sku1", "status": ["PAID"]}, []),
    ({"createdFrom": "2000-01-01T00:00:00Z"}, [4, 3, 2, 1]),
    ({"createdTo": "2000-01-01T00:00:00+02:00"}, []),
]


@pytest.mark.parametrize(("filter", "expected"), FILTERS, ids=str)
async def test_everybodys_orders_are_filtered_as_asked(api: Api, filter: Json | None, expected: list[int]) -> None:
    await three_orders(api)
    assert numbers(await page(api, ALL, filter=filter)) == expected


async def test_orders_are_found_from_the_moment_they_were_created_and_up_to_it_exclusively(api: Api) -> None:
    await three_orders(api)
    second = (await page(api))["nodes"][1]["createdAt"]
    assert numbers(await page(api, filter={"createdFrom": second})) == [3, 2]
    assert numbers(await page(api, filter={"createdTo": second})) == [1]


async def test_everybodys_orders_are_read_in_pages(api: Api) -> None:
    await three_orders(api)
    first = await page(api, ALL, first=3)
    rest = await page(api, ALL, first=3, after=first["pageInfo"]["endCursor"])
    assert (numbers(first), numbers(rest), rest["pageInfo"]["hasNextPage"]) == ([4, 3, 2], [1], False)


async def test_a_customer_without_orders_has_an_empty_list(api: Api) -> None:
    assert await page(api) == {
        "edges": [],
        "nodes": [],
        "pageInfo": {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None},
    }


BAD_PAGES: list[tuple[Json, str]] = [
    *(({name: size}, "BAD_PAGE") for name in ("first", "last") for size in (0, -1, 101, 2**31 - 1)),
    ({"first": 10, "last": 10}, "BAD_PAGE"),
    ({"last": 10, "after": "x"}, "BAD_PAGE"),
    ({"before": "x"}, "BAD_PAGE"),
    ({"after": ""}, "BAD_CURSOR"),
    ({"after": "x"}, "BAD_CURSOR"),
    ({"after": "é"}, "BAD_CURSOR"),
    ({"after": "bnVsbA"}, "BAD_CURSOR"),
    ({"last": 10, "before": "x"}, "BAD_CURSOR"),
]


@pytest.mark.parametrize(("variables", "code"), BAD_PAGES, ids=str)
async def test_a_page_that_makes_no_sense_is_an_error(api: Api, variables: Json, code: str) -> None:
    assert (await api.refused(LIST, variables))[0] == code


async def test_a_cursor_serves_no_other_order_of_the_list(api: Api) -> None:
    await three_orders(api)
    cursor = (await page(api, first=1))["pageInfo"]["endCursor"]
    code, _ = await api.refused(LIST, {"after": cursor, "orderBy": {"field": "TOTAL"}})
    assert code == "BAD_CURSOR"
