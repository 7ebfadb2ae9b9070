"""Windows of an ordered list: whatever the order, walked either way, while rows come and change."""

import base64
import itertools
import json
from typing import Any

import msgspec
import pytest

from read_model.orders import OrderSort, OrderView, order_history, orders
from read_model.orders.queries import SORT_PATHS
from read_model.paging import Rows, Window
from read_model.questions import BadQuestion
from store import Store
from tests.projector.world import World, moment
from tests.read_model.shelf import an_event, an_order, put

# Every sort has ties, and no two sorts agree.
LIST = [an_order(n, created=n // 2, updated=n * 7 % 5, total=n * 3 % 4 * 100) for n in range(9)]
SORTS = [OrderSort(field, descending) for field in SORT_PATHS for descending in (False, True)]
VALUES = {"CREATED_AT": "created_at", "UPDATED_AT": "updated_at", "TOTAL": "total_minor"}
OLDEST_FIRST = OrderSort("CREATED_AT", descending=False)


def in_order(views: list[OrderView], sort: OrderSort) -> list[str]:
    keyed = sorted(((getattr(view, VALUES[sort.field]), view.id) for view in views), reverse=sort.descending)
    return [id for _, id in keyed]


def cursors(rows: Rows[Any]) -> list[str]:
    return [row.cursor for row in rows.edges]


def ids(rows: Rows[OrderView]) -> list[str]:
    return [view.id for view in rows.nodes]


async def walk(store: Store, sort: OrderSort, size: int, *, backward: bool) -> list[Rows[OrderView]]:
    """All pages of ada's orders, in the order in which they were asked for."""
    pages: list[Rows[OrderView]] = []
    cursor = None
    while not pages or (pages[-1].page_info.has_previous_page if backward else pages[-1].page_info.has_next_page):
        pages.append(await orders(store, "ada", sort=sort, window=Window(size, cursor, backward)))
        cursor = cursors(pages[-1])[0 if backward else -1]
    return pages


@pytest.mark.parametrize("sort", SORTS, ids=str)
@pytest.mark.parametrize("size", [1, 2, 3, 9, 10])
async def test_walking_forward_gives_every_row_once_in_order(world: World, sort: OrderSort, size: int) -> None:
    await put(world.store, *LIST)
    pages = await walk(world.store, sort, size, backward=False)
    assert [id for page in pages for id in ids(page)] == in_order(LIST, sort)
    assert [page.page_info.has_previous_page for page in pages] == [False] + [True] * (len(pages) - 1)
    assert len(pages) == -(-len(LIST) // size)


@pytest.mark.parametrize("sort", SORTS, ids=str)
@pytest.mark.parametrize("size", [1, 2, 3, 9, 10])
async def test_walking_backward_gives_the_same_rows_from_the_end(world: World, sort: OrderSort, size: int) -> None:
    await put(world.store, *LIST)
    pages = await walk(world.store, sort, size, backward=True)
    assert [id for page in reversed(pages) for id in ids(page)] == in_order(LIST, sort)
    assert [page.page_info.has_next_page for page in pages] == [False] + [True] * (len(pages) - 1)


async def test_the_page_before_a_cursor_is_the_one_that_was_left_forward(world: World) -> None:
    await put(world.store, *LIST)
    first, second, *_ = await walk(world.store, OLDEST_FIRST, 3, backward=False)
    back = await orders(
        world.store, "ada", sort=OLDEST_FIRST, window=Window(3, second.page_info.start_cursor, backward=True)
    )
    assert (ids(back), cursors(back)) == (ids(first), cursors(first))


async def test_an_empty_list_has_no_page_on_either_side(world: World) -> None:
    rows = await orders(world.store, "ada")
    place = rows.page_info
    assert (rows.nodes, rows.edges, place.start_cursor, place.end_cursor) == ([], [], None, None)
    assert (place.has_next_page, place.has_previous_page) == (False, False)


async def test_orders_of_all_customers_are_one_list(world: World) -> None:
    everybody = [an_order(n, customer, created=n) for customer in ("ada", "bob", "cy") for n in range(3)]
    await put(world.store, *everybody)
    first = await orders(world.store, None, sort=OLDEST_FIRST, window=Window(5))
    rest = await orders(world.store, None, sort=OLDEST_FIRST, window=Window(5, first.page_info.end_cursor))
    assert ids(first) + ids(rest) == in_order(everybody, OLDEST_FIRST)


@pytest.mark.parametrize("sort", SORTS, ids=str)
async def test_rows_inserted_and_changed_between_pages_shift_nothing(world: World, sort: OrderSort) -> None:
    await put(world.store, *LIST)
    seen: list[str] = []
    cursor = None
    for turn in itertools.count():
        page = await orders(world.store, "ada", sort=sort, window=Window(2, cursor))
        seen += ids(page)
        if not page.page_info.has_next_page:
            break
        cursor = page.page_info.end_cursor
        await put(world.store, *(an_order(f"new-{turn}-{n}", created=n, updated=n, total=n * 100) for n in (0, 9)))
        await put(world.store, *(msgspec.structs.replace(view, version=turn + 2) for view in LIST))
    assert len(seen) == len(set(seen))
    assert [id for id in seen if "new" not in id] == in_order(LIST, sort)


async def test_a_cursor_outlives_its_row_moving_away(world: World) -> None:
    await put(world.store, *LIST)
    by_total = OrderSort("TOTAL", descending=False)
    first = await orders(world.store, "ada", sort=by_total, window=Window(3))
    await put(world.store, msgspec.structs.replace(first.nodes[-1], total_minor=10_000))
    rest = await orders(world.store, "ada", sort=by_total, window=Window(100, first.page_info.end_cursor))
    assert ids(rest) == [*in_order(LIST, by_total)[3:], first.nodes[-1].id]


# ------------------------------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("arguments", "window"),
    [
        ((None, None), Window(50)),
        ((50, None), Window(50)),
        ((1, None), Window(1)),
        ((100, "c"), Window(100, "c")),
        ((None, None, 100), Window(100, None, backward=True)),
        ((None, None, 1, "c"), Window(1, "c", backward=True)),
        ((50, None, 3, "c"), Window(3, "c", backward=True)),
    ],
)
def test_arguments_mean_a_window(arguments: tuple[Any, ...], window: Window) -> None:
    assert Window.of(*arguments) == window


@pytest.mark.parametrize(
    "arguments",
    [
        (0, None),
        (101, None),
        (-1, None),
        (None, None, 0),
        (None, None, 101),
        (3, None, 3),
        (None, "c", 3),
        (None, "c", 3, "d"),
        (3, None, None, "d"),
        (None, "c", None, "d"),
    ],
)
def test_arguments_that_mean_no_window_are_a_bad_page(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(BadQuestion) as refused:
        Window.of(*arguments)
    assert refused.value.code == "BAD_PAGE"
    assert refused.value.message


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def cursor(*place: object) -> str:
    return encoded(json.dumps(place).encode())


NAME = "CREATED_AT DESC"
MALFORMED = {
    "empty": "",
    "garbage": "!!!",
    "not ascii": "é",
    "wrong length": "a",
    "blank": " ",
    "line": cursor(NAME, moment(0), "x") + "\n",
    "not JSON": encoded(b"hello"),
    "not UTF-8": encoded(b'["' + NAME.encode() + b'","\xff\xfe","x"]'),
    "half a surrogate": encoded(b'["' + NAME.encode() + b'","\\ud800","x"]'),
    "an object": encoded(b"{}"),
    "too short": cursor(NAME, moment(0)),
    "too long": cursor(NAME, moment(0), "x", "y"),
    "null": cursor(NAME, None, "x"),
    "a list for a value": cursor(NAME, [], "x"),
    "a number for an id": cursor(NAME, moment(0), 1),
    "beyond 64 bits": cursor(NAME, 2**63, "x"),
    "beyond all bounds": cursor(NAME, -(10**30), "x"),
    "endless": encoded(b'["' + NAME.encode() + b'",1e999,"x"]'),
    "the other direction": cursor("CREATED_AT ASC", moment(0), "x"),
    "another field": cursor("TOTAL DESC", 1, "x"),
    "a history": cursor("HISTORY", 1, "x"),
}


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
async def test_what_no_page_of_this_list_gave_out_is_a_bad_cursor(world: World, text: str, backward: bool) -> None:
    with pytest.raises(BadQuestion) as refused:
        await orders(world.store, "ada", window=Window(3, text, backward))
    assert refused.value.code == "BAD_CURSOR"


async def test_a_cursor_of_one_order_does_not_serve_another(world: World) -> None:
    await put(world.store, *LIST)
    given = {sort: cursors(await orders(world.store, "ada", sort=sort, window=Window(1)))[0] for sort in SORTS}
    for sort, other in itertools.permutations(SORTS, 2):
        with pytest.raises(BadQuestion, match="another order"):
            await orders(world.store, "ada", sort=sort, window=Window(1, given[other]))
    with pytest.raises(BadQuestion, match="another order"):
        await order_history(world.store, LIST[0].id, Window(1, given[SORTS[0]]))


async def test_a_cursor_may_come_with_its_padding(world: World) -> None:
    await put(world.store, *LIST)
    text = cursors(await orders(world.store, "ada", window=Window(1)))[0]
    padded = text + "=" * (-len(text) % 4)
    with_padding = await orders(world.store, "ada", window=Window(3, padded))
    assert ids(with_padding) == ids(await orders(world.store, "ada", window=Window(3, text)))


async def test_history_is_paged_both_ways_by_version(world: World) -> None:
    order = LIST[0]
    await put(world.store, *(an_event(order, version) for version in range(1, 13)), an_event(LIST[1], 99))
    first = await order_history(world.store, order.id, Window(5))
    rest = await order_history(world.store, order.id, Window(100, first.page_info.end_cursor))
    assert [event.version for event in first.nodes + rest.nodes] == list(range(1, 13))
    last = await order_history(world.store, order.id, Window(3, rest.page_info.end_cursor, backward=True))
    assert [event.version for event in last.nodes] == [9, 10, 11]
    assert (
        first.page_info.has_next_page,
        rest.page_info.has_next_page,
        last.page_info.has_next_page,
        last.page_info.has_previous_page,
    ) == (True, False, True, True)
