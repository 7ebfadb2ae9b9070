"""What can be followed: where things stand, then every newer version as the projector writes it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import strawberry

from read_model import orders as read
from read_model.paging import MAX_PAGE_SIZE
from read_model.questions import BadQuestion
from schema import ids
from schema.access import allow
from schema.context import Info, Reading, given
from schema.orders.inputs import order_filter
from schema.orders.queries import (
    CustomerIdArgument,
    FilterArgument,
    as_if_not_there,
    owner_of_customer_id,
    owner_of_id,
)
from schema.orders.types import CustomerOrderSummary, Order, ProductSales, shows
from schema.viewer import READ

strawberry.enum(
    read.FrameKind,
    description="SNAPSHOT: where things stand. CHANGES: newer versions, the latest of each order. "
    "RESET: continuity was lost; a SNAPSHOT follows.",
)
CursorArgument = Annotated[str | None, strawberry.argument(description="The cursor of the last frame seen.")]
Asked = Info[Reading]


@strawberry.type(description="A step of a list of orders.")
@shows(read.OrdersFrame)
class OrdersFrame:
    kind: read.FrameKind = strawberry.field(description="What it means to the list.")
    orders: list[Order] = strawberry.field(description="The orders as they are now.")
    cursor: str = strawberry.field(description="How far the list goes with it.")


@strawberry.type
class OrderSubscriptions:
    @strawberry.subscription(
        graphql_type=Order,
        description="The order now (unless `sinceVersion` already is the latest), then every newer version. "
        "An order that does not exist yet is waited for.",
    )
    @allow(READ, owner_of_id, as_if_not_there)
    async def order_updated(
        self,
        info: Asked,
        id: Annotated[strawberry.ID, strawberry.argument(description="The order's ID.")],
        since_version: Annotated[
            int | None, strawberry.argument(description="The version that the client has already.")
        ] = strawberry.UNSET,
    ) -> AsyncGenerator[read.OrderView, None]:
        order_id = ids.order_id(id)
        since = given(since_version) or 0
        reading = info.context
        async with aclosing(read.order_updates(reading.store, reading.live, order_id, since, info.share)) as updates:
            async for order in updates:
                yield order
                del order  # who waits keeps nothing of what it was sent

    @strawberry.subscription(
        graphql_type=OrdersFrame,
        description="A customer's orders: the newest `snapshot` of them first, then changes. With `after`, what has "
        "changed since that frame, and then changes.",
    )
    @allow(READ, owner_of_customer_id)
    async def customer_orders_updated(
        self,
        info: Asked,
        customer_id: CustomerIdArgument,
        snapshot: Annotated[
            int | None, strawberry.argument(description="How many orders to begin with: 0 to 100.")
        ] = 50,
        after: CursorArgument = strawberry.UNSET,
    ) -> AsyncGenerator[read.OrdersFrame, None]:
        customer = ids.customer_id(customer_id)
        size = 50 if snapshot is None else snapshot
        if not 0 <= size <= MAX_PAGE_SIZE:
            raise BadQuestion("BAD_PAGE", f"`snapshot` must be 0 to {MAX_PAGE_SIZE}")
        reading = info.context
        updates = read.order_frames(
            reading.store, reading.live, customer, snapshot=size, after=given(after), share=info.share
        )
        async with aclosing(updates):
            async for frame in updates:
                yield frame
                del frame

    @strawberry.subscription(
        graphql_type=CustomerOrderSummary, description="A customer's orders in sum, now and after each change."
    )
    @allow(READ, owner_of_customer_id)
    async def customer_order_summary_updated(
        self, info: Asked, customer_id: CustomerIdArgument
    ) -> AsyncGenerator[read.CustomerOrderSummary, None]:
        customer = ids.customer_id(customer_id)
        reading = info.context
        async with aclosing(read.summary_updates(reading.store, reading.live, customer, info.share)) as updates:
            async for summary in updates:
                yield summary
                del summary

    @strawberry.subscription(graphql_type=ProductSales, description="A product's sales, now and after each change.")
    @allow(READ)
    async def product_sales_updated(
        self, info: Asked, sku: Annotated[str, strawberry.argument(description="The product.")]
    ) -> AsyncGenerator[read.ProductSales, None]:
        product = ids.sku(sku)
        reading = info.context
        async with aclosing(read.sales_updates(reading.store, reading.live, product, info.share)) as updates:
            async for sales in updates:
                yield sales
                del sales

    @strawberry.subscription(
        graphql_type=OrdersFrame,
        description="Staff: everybody's orders. The newest 50 that pass the filter first, then changes; an order that "
        "was sent and no longer passes is sent once more.",
    )
    @allow(READ)
    async def orders_updated(
        self, info: Asked, filter: FilterArgument = strawberry.UNSET, after: CursorArgument = strawberry.UNSET
    ) -> AsyncGenerator[read.OrdersFrame, None]:
        where = order_filter(given(filter))
        reading = info.context
        updates = read.order_frames(reading.store, reading.live, None, where, after=given(after), share=info.share)
        async with aclosing(updates):
            async for frame in updates:
                yield frame
                del frame
