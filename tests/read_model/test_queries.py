"""The questions: what they find, what passes a filter, and None for what does not exist."""

import pytest
from hypothesis import strategies as st

from read_model.orders import (
    OrderFilter,
    OrderStatus,
    OrderView,
    customer_order_summary,
    order,
    order_history,
    orders,
    product_sales,
)
from read_model.paging import Window
from tests.engines import Engine, on_engines
from tests.projector.world import World, item, moment, open_world, order_id
from tests.read_model.shelf import an_order, put
from write_model import orders as write

A = order_id("ada")
DRAFT, SUBMITTED, PAID, *_ = OrderStatus

LIST = [
    an_order(0, created=0, status=DRAFT, skus=["tea"]),
    an_order(1, created=1, status=SUBMITTED, skus=["tea", "pot"]),
    an_order(2, created=2, status=SUBMITTED, skus=["pot"]),
    an_order(3, created=3, status=PAID, skus=[]),
    an_order(4, "bob", created=1, status=SUBMITTED, skus=["tea"]),
]

FILTERS: list[tuple[OrderFilter, set[int]]] = [
    (OrderFilter(), {0, 1, 2, 3}),
    (OrderFilter(status=(SUBMITTED,)), {1, 2}),
    (OrderFilter(status=(DRAFT, PAID)), {0, 3}),
    (OrderFilter(status=()), set()),
    (OrderFilter(created_from=moment(1)), {1, 2, 3}),
    (OrderFilter(created_to=moment(2)), {0, 1}),
    (OrderFilter(created_from=moment(1), created_to=moment(3)), {1, 2}),
    (OrderFilter(created_from=moment(2), created_to=moment(2)), set()),
    (OrderFilter(sku="tea"), {0, 1}),
    (OrderFilter(sku="te"), set()),
    (OrderFilter(status=(SUBMITTED,), sku="tea"), {1}),
    (OrderFilter(status=(SUBMITTED, PAID), sku="pot", created_from=moment(2)), {2}),
    (OrderFilter(status=(DRAFT,), sku="pot"), set()),
]


@pytest.mark.parametrize(("where", "expected"), FILTERS, ids=str)
async def test_a_filter_lets_pass_what_meets_all_its_conditions(
    world: World, where: OrderFilter, expected: set[int]
) -> None:
    await put(world.store, *LIST)
    found = await orders(world.store, "ada", where)
    assert {LIST.index(view) for view in found.nodes} == expected


async def test_a_filter_serves_the_orders_of_all_customers(world: World) -> None:
    await put(world.store, *LIST)
    found = await orders(world.store, None, OrderFilter(sku="tea"))
    assert {LIST.index(view) for view in found.nodes} == {0, 1, 4}


async def test_a_filtered_list_is_paged_without_holes(world: World) -> None:
    await put(world.store, *LIST)
    where = OrderFilter(status=(SUBMITTED,))
    first = await orders(world.store, None, where, window=Window(2))
    rest = await orders(world.store, None, where, window=Window(2, first.page_info.end_cursor))
    assert (len(first.nodes), first.page_info.has_next_page, len(rest.nodes), rest.page_info.has_next_page) == (
        2,
        True,
        1,
        False,
    )


some_orders = st.lists(
    st.builds(
        an_order,
        st.integers(0, 10_000),
        created=st.integers(0, 5),
        status=st.sampled_from(OrderStatus),
        skus=st.lists(st.sampled_from(["tea", "pot", "cup"]), unique=True),
    ),
    max_size=10,
    unique_by=lambda view: view.id,
)
moments = st.none() | st.integers(0, 6).map(moment)
filters = st.builds(
    OrderFilter,
    status=st.none() | st.lists(st.sampled_from(OrderStatus), max_size=3).map(tuple),
    created_from=moments,
    created_to=moments,
    sku=st.none() | st.sampled_from(["tea", "pot", "te", ""]),
)


@on_engines(some_orders, filters, memory=100, cosmos=25)
async def test_a_filter_means_the_same_to_the_store_and_to_a_stream(
    engine: Engine, views: list[OrderView], where: OrderFilter
) -> None:
    world = await open_world(engine)
    await put(world.store, *views)
    found = await orders(world.store, "ada", where)
    assert {view.id for view in found.nodes} == {view.id for view in views if where.matches(view)}


async def test_what_was_projected_is_found(world: World) -> None:
    await world.submitted(A, item("tea", 2))
    await world.drain()
    view, summary = await order(world.store, A), await customer_order_summary(world.store, "ada")
    sales, history = await product_sales(world.store, "tea"), await order_history(world.store, A)
    assert view is not None
    assert summary is not None
    assert sales is not None
    assert (view.id, view.version, summary.total_orders, sales.units_sold) == (A, 2, 1, 2)
    assert [event.type for event in history.nodes] == ["OrderCreated", "OrderSubmitted"]


async def test_what_does_not_exist_is_none(world: World) -> None:
    await world.give(write.create, A, items=(item("tea"),))
    await world.drain()
    assert await order(world.store, order_id("ada", 2)) is None
    assert await order(world.store, order_id("bob", 1)) is None
    assert await customer_order_summary(world.store, "bob") is None
    assert await product_sales(world.store, "tea") is None
    assert (await order_history(world.store, order_id("ada", 2))).nodes == []
    assert (await orders(world.store, "bob")).nodes == []


async def test_a_list_shows_orders_and_no_other_documents_of_the_partition(world: World) -> None:
    await world.submitted(A)
    await world.drain()
    assert [view.id for view in (await orders(world.store, "ada")).nodes] == [A]


async def test_the_newest_orders_come_first_unless_asked_otherwise(world: World) -> None:
    await put(world.store, *LIST)
    assert [view.created_at for view in (await orders(world.store, "ada")).nodes] == [moment(n) for n in (3, 2, 1, 0)]


async def test_a_write_is_not_seen_before_it_is_projected(world: World) -> None:
    await world.give(write.create, A)
    assert await order(world.store, A) is None
