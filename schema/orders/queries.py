"""The questions that the API answers, each from a function of the read model."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import strawberry

from read_model import orders as read
from read_model.asked import ASKED
from read_model.consistency import Consistency, wait_for
from read_model.paging import Rows, Window
from schema import ids
from schema.access import Arguments, allow
from schema.context import Info, Reading, given
from schema.nodes import Connection, Node
from schema.orders.inputs import (
    BY_CREATION,
    ConsistencyInput,
    OnTimeout,
    OrderFilter,
    OrderSort,
    order_filter,
    order_sort,
)
from schema.orders.types import (
    AfterArgument,
    BeforeArgument,
    CustomerOrderSummary,
    FirstArgument,
    LastArgument,
    Order,
    ProductSales,
)
from schema.viewer import READ, Viewer

ConsistencyArgument = Annotated[
    ConsistencyInput | None, strawberry.argument(description="Which writes the answer must show.")
]
CustomerIdArgument = Annotated[strawberry.ID, strawberry.argument(description="The customer.")]
FilterArgument = Annotated[OrderFilter | None, strawberry.argument(description="Which orders; all by default.")]
OrderByArgument = Annotated[
    OrderSort | None, strawberry.argument(description="In which order; newest first by default.")
]
Asked = Info[Reading]


def owner_of_id(_: object, arguments: Arguments) -> str | None:
    """The customer whose object the argument `id` names. Raises BadQuestion."""
    return ids.owner(arguments["id"])


def owner_of_customer_id(_: object, arguments: Arguments) -> str:
    """The customer that the argument `customer_id` names. Raises BadQuestion."""
    return ids.customer_id(arguments["customer_id"])


def as_if_not_there(ask: Callable[..., Any], arguments: Arguments) -> Any:
    """What is answered for an `id` of the same kind that no object has."""
    return ask(**{**arguments, "id": ids.unused(ids.node_kind(arguments["id"]))})


def may_read(viewer: Viewer, order_id: str) -> bool:
    """Whether somebody may see an order, and so present a token of it."""
    return viewer.may(READ) or ids.owner(order_id) == viewer.customer


@strawberry.type
class OrderQueries:
    @strawberry.field(graphql_type=Node | None, description="The object with that ID, or null.")
    @allow(READ, owner_of_id, as_if_not_there)
    async def node(
        self, info: Asked, id: Annotated[strawberry.ID, strawberry.argument(description="Any ID that the API gave.")]
    ) -> read.OrderView | read.CustomerOrderSummary | read.ProductSales | None:
        store = info.context.store
        match ids.node_kind(id):
            case "order":
                return await read.order(store, id, info.view(read.OrderView))
            case "customer":
                view = info.view(read.CustomerOrderSummary)
                return await read.customer_order_summary(store, ids.customer_id(id), view)
            case _:
                return await read.product_sales(store, ids.sku(id), info.view(read.ProductSales))

    @strawberry.field(graphql_type=Order | None, description="The order with that ID, or null.")
    @allow(READ, owner_of_id, as_if_not_there)
    async def order(
        self,
        info: Asked,
        id: Annotated[strawberry.ID, strawberry.argument(description="The order's ID.")],
        consistency: ConsistencyArgument = strawberry.UNSET,
    ) -> read.OrderView | None:
        order_id = ids.order_id(id)
        if consistency:
            await _wait(info, consistency)
        return await read.order(info.context.store, order_id, info.view(read.OrderView))

    @strawberry.field(graphql_type=Connection[Order], description="A customer's orders.")
    @allow(READ, owner_of_customer_id)
    async def customer_orders(
        self,
        info: Asked,
        customer_id: CustomerIdArgument,
        filter: FilterArgument = strawberry.UNSET,
        order_by: OrderByArgument = BY_CREATION,
        first: FirstArgument = 50,
        after: AfterArgument = strawberry.UNSET,
        last: LastArgument = strawberry.UNSET,
        before: BeforeArgument = strawberry.UNSET,
        consistency: ConsistencyArgument = strawberry.UNSET,
    ) -> Rows[read.OrderView]:
        customer = ids.customer_id(customer_id)
        window = Window.of(given(first), given(after), given(last), given(before))
        if consistency:
            await _wait(info, consistency)
        return await _orders(info, customer, filter, order_by, window)

    @strawberry.field(
        graphql_type=CustomerOrderSummary | None, description="A customer's orders in sum; null without any."
    )
    @allow(READ, owner_of_customer_id)
    async def customer_order_summary(
        self, info: Asked, customer_id: CustomerIdArgument, consistency: ConsistencyArgument = strawberry.UNSET
    ) -> read.CustomerOrderSummary | None:
        customer = ids.customer_id(customer_id)
        if consistency:
            await _wait(info, consistency)
        view = info.view(read.CustomerOrderSummary)
        return await read.customer_order_summary(info.context.store, customer, view)

    @strawberry.field(graphql_type=ProductSales | None, description="What was sold of a product; null if it never was.")
    @allow(READ)
    async def product_sales(
        self,
        info: Asked,
        sku: Annotated[str, strawberry.argument(description="The product.")],
        consistency: ConsistencyArgument = strawberry.UNSET,
    ) -> read.ProductSales | None:
        product = ids.sku(sku)
        if consistency:
            await _wait(info, consistency, product)
        return await read.product_sales(info.context.store, product, info.view(read.ProductSales))

    @strawberry.field(graphql_type=Connection[Order], description="Staff: every customer's orders.")
    @allow(READ)
    async def orders(
        self,
        info: Asked,
        filter: FilterArgument = strawberry.UNSET,
        order_by: OrderByArgument = BY_CREATION,
        first: FirstArgument = 50,
        after: AfterArgument = strawberry.UNSET,
    ) -> Rows[read.OrderView]:
        return await _orders(info, None, filter, order_by, Window.of(given(first), given(after)))


async def _orders(
    info: Asked, customer_id: str | None, filter: OrderFilter | None, order_by: OrderSort | None, window: Window
) -> Rows[read.OrderView]:
    where, sort = order_filter(given(filter)), order_sort(given(order_by))
    return await read.orders(info.context.store, customer_id, where, sort, window, info.view(read.OrderView))


async def _wait(info: Asked, wanted: ConsistencyInput, sku: str | None = None) -> None:
    wait_ms = given(wanted.wait_ms)
    consistency = Consistency(
        after=list(wanted.after),
        wait_ms=1000 if wait_ms is None else wait_ms,
        insist=given(wanted.on_timeout) is OnTimeout.ERROR,
    )
    reading, asked = info.context, ASKED.get()
    shown = await wait_for(
        reading.store,
        reading.live,
        reading.parked,
        consistency,
        sku,
        max_wait_ms=reading.max_wait_ms,
        waits=reading.waits,
        readable=partial(may_read, reading.viewer),
    )
    if asked and not shown:
        asked.satisfied = False
