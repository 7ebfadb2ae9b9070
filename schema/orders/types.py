"""The order's types as they are read. They describe read documents, which are passed through as they are."""

from collections.abc import Callable
from typing import Annotated, TypeVar

import strawberry

from read_model import orders as read
from read_model.paging import Rows, Window
from schema.access import allow
from schema.context import Info, Reading, given
from schema.nodes import Connection, Node
from schema.scalars import UUID, DateTime, Decimal
from schema.viewer import READ

T = TypeVar("T")

AfterArgument = Annotated[str | None, strawberry.argument(description="Only rows behind this cursor.")]
BeforeArgument = Annotated[str | None, strawberry.argument(description="Only rows before this cursor.")]
FirstArgument = Annotated[
    int | None, strawberry.argument(description="How many rows, counted from the start: 1 to 100.")
]
LastArgument = Annotated[int | None, strawberry.argument(description="How many rows, counted from the end: 1 to 100.")]

strawberry.enum(
    read.OrderStatus,
    description="Where an order stands: each of DRAFT, SUBMITTED, PAID, SHIPPED, DELIVERED in turn, "
    "or CANCELLED from one of the first three.",
)
strawberry.enum(read.PaymentMethod, description="How an order is to be paid.")


def shows(document: type) -> Callable[[type[T]], type[T]]:
    """The type stands for that read document, and has its names."""

    def mark(type_: type[T]) -> type[T]:
        type_.view = document  # type: ignore[attr-defined]
        type_.is_type_of = classmethod(lambda cls, value, info: isinstance(value, document))  # type: ignore[attr-defined]
        return type_

    return mark


@strawberry.type(description="An exact amount in a currency.")
class Money:
    amount: Decimal = strawberry.field(description="The amount, with the currency's digits.")
    currency: str = strawberry.field(description="The ISO 4217 code.")


@strawberry.type(description="A postal address.")
class Address:
    name: str = strawberry.field(description="Who receives it.")
    line1: str = strawberry.field(description="Street and number.")
    line2: str | None = strawberry.field(description="More of the street address.")
    city: str = strawberry.field(description="The city.")
    region: str | None = strawberry.field(description="State, province or region.")
    postal_code: str = strawberry.field(description="The postal code.")
    country: str = strawberry.field(description="The ISO 3166-1 alpha-2 code.")


@strawberry.type(description="A line of an order.")
class OrderItem:
    sku: str = strawberry.field(description="What is ordered.")
    title: str = strawberry.field(description="Its name when it was ordered.")
    quantity: int = strawberry.field(description="How many.")
    unit_price: Money = strawberry.field(description="The price of one.")
    line_total: Money = strawberry.field(description="The price of all of them.")


@strawberry.type(description="A step in an order's history.")
@shows(read.OrderEvent)
class OrderEvent:
    id: strawberry.ID = strawberry.field(description="The event's ID.")
    type: str = strawberry.field(description="What happened, as in `OrderSubmitted`.")
    version: int = strawberry.field(description="The order's version after it.")
    at: DateTime = strawberry.field(description="When it happened.")
    actor: str | None = strawberry.field(description="Who did it, where that is known.")
    command_id: UUID = strawberry.field(description="The command that did it.")
    summary: str = strawberry.field(description="What happened, in a sentence.")


@strawberry.type(description="A customer's order, as the read model shows it.")
@shows(read.OrderView)
class Order(Node):
    customer_id: strawberry.ID = strawberry.field(description="Whose order it is.")
    customer_name: str = strawberry.field(description="The customer's name.")
    customer_email: str = strawberry.field(description="The customer's e-mail address.")
    status: read.OrderStatus = strawberry.field(description="Where it stands.")
    status_display: str = strawberry.field(description="Where it stands, in words for people.")
    version: int = strawberry.field(description="Rises with each change; never goes down.")
    items: list[OrderItem] = strawberry.field(description="What is ordered, in the order in which it was added.")
    item_count: int = strawberry.field(description="Lines, not units.")
    total: Money = strawberry.field(description="The sum of all lines.")
    product_ids: list[str] = strawberry.field(description="The skus in it.")
    shipping_address: Address | None = strawberry.field(description="Where it goes.")
    shipping_summary: str | None = strawberry.field(description="Where it goes, in a line.")
    payment_method: read.PaymentMethod | None = strawberry.field(description="How it is to be paid.")
    tracking_number: str | None = strawberry.field(description="The carrier's number, once shipped.")
    cancel_reason: str | None = strawberry.field(description="Why it was cancelled.")
    created_at: DateTime = strawberry.field(description="When it was begun.")
    updated_at: DateTime = strawberry.field(description="When it last changed.")
    submitted_at: DateTime | None = strawberry.field(description="When it was submitted.")

    @strawberry.field(graphql_type=Connection[OrderEvent], description="What happened to it, oldest first.")
    @allow(READ, lambda order, _: order.customer_id)
    async def history(
        self,
        info: Info[Reading],
        first: FirstArgument = 50,
        after: AfterArgument = strawberry.UNSET,
    ) -> Rows[read.OrderEvent]:
        window = Window.of(given(first), given(after))
        return await read.order_history(info.context.store, self.id, window, info.view(read.OrderEvent))


@strawberry.type(description="How many orders stand at a status.")
class StatusCount:
    status: read.OrderStatus = strawberry.field(description="The status.")
    count: int = strawberry.field(description="How many orders; statuses without any are left out.")


@strawberry.type(description="A customer's orders in sum.")
@shows(read.CustomerOrderSummary)
class CustomerOrderSummary(Node):
    customer_id: strawberry.ID = strawberry.field(description="Whose orders they are.")
    total_orders: int = strawberry.field(description="How many, at any status.")
    total_spent: list[Money] = strawberry.field(description="Submitted and not cancelled, by currency.")
    orders_by_status: list[StatusCount] = strawberry.field(description="How many stand where.")
    last_order_at: DateTime | None = strawberry.field(description="When the newest was begun.")
    version: int = strawberry.field(description="Rises with each change of any of the orders.")


@strawberry.type(description="What was sold of a product: submitted and not cancelled.")
@shows(read.ProductSales)
class ProductSales(Node):
    sku: str = strawberry.field(description="The product.")
    title: str = strawberry.field(description="Its name in the latest sale.")
    units_sold: int = strawberry.field(description="How many pieces.")
    revenue: list[Money] = strawberry.field(description="For how much, by currency.")
    order_count: int = strawberry.field(description="In how many orders.")
    last_sold_at: DateTime | None = strawberry.field(description="When the latest sale was submitted.")
