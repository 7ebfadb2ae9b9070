"""The read documents: shaped as the API shows them, so that an answer is a selection of what is stored.

Amounts are exact decimal strings; `total_minor` repeats the total in minor units, to sort by.
"""

from enum import StrEnum

import msgspec

from store.port import ContainerSpec, Index


class OrderStatus(StrEnum):
    """Where an order stands."""

    DRAFT = "DRAFT"
    SUBMITTED = "SUBMITTED"
    PAID = "PAID"
    SHIPPED = "SHIPPED"
    DELIVERED = "DELIVERED"
    CANCELLED = "CANCELLED"


class PaymentMethod(StrEnum):
    """How an order is to be paid."""

    CARD = "CARD"
    INVOICE = "INVOICE"
    TRANSFER = "TRANSFER"


class Money(msgspec.Struct, frozen=True):
    """An exact amount in a currency."""

    amount: str
    currency: str


class Address(msgspec.Struct, frozen=True, rename="camel"):
    """Where an order is shipped."""

    name: str
    line1: str
    city: str
    postal_code: str
    country: str
    line2: str | None = None
    region: str | None = None


class OrderItem(msgspec.Struct, frozen=True, rename="camel"):
    """A line of an order."""

    sku: str
    title: str
    quantity: int
    unit_price: Money
    line_total: Money


class OrderView(msgspec.Struct, frozen=True, tag_field="kind", tag="order", rename="camel"):
    """An order as it is read, denormalised. `version` is the order's; it never goes down."""

    id: str
    customer_id: str
    customer_name: str
    customer_email: str
    status: OrderStatus
    status_display: str
    version: int
    items: tuple[OrderItem, ...]
    item_count: int
    total: Money
    total_minor: int
    product_ids: tuple[str, ...]
    created_at: str
    updated_at: str
    shipping_address: Address | None = None
    shipping_summary: str | None = None
    payment_method: PaymentMethod | None = None
    tracking_number: str | None = None
    cancel_reason: str | None = None
    submitted_at: str | None = None


class OrderEvent(msgspec.Struct, frozen=True, tag_field="kind", tag="event", rename="camel"):
    """One step in an order's history."""

    id: str
    order_id: str
    type: str
    version: int
    at: str
    command_id: str
    summary: str
    actor: str | None = None


class StatusCount(msgspec.Struct, frozen=True):
    """How many orders stand at a status."""

    status: OrderStatus
    count: int


class CustomerOrderSummary(msgspec.Struct, frozen=True, tag_field="kind", tag="customer", rename="camel"):
    """A customer's orders in sum, each order counted once. `version` is the sum of their versions."""

    id: str
    customer_id: str
    total_orders: int = 0
    total_spent: tuple[Money, ...] = ()
    orders_by_status: tuple[StatusCount, ...] = ()
    last_order_at: str | None = None
    version: int = 0


class ProductSales(msgspec.Struct, frozen=True, tag_field="kind", tag="product", rename="camel"):
    """What was sold of a product: submitted and not cancelled. `version` counts the events that are in it."""

    id: str
    sku: str
    title: str
    units_sold: int = 0
    revenue: tuple[Money, ...] = ()
    order_count: int = 0
    last_sold_at: str | None = None
    last_sold_in: str = ""
    version: int = 0


class Sale(msgspec.Struct, frozen=True, tag_field="kind", tag="sale", rename="camel"):
    """That an order is in its product's sales, or was taken out again; what makes each event count once."""

    id: str
    version: int
    cancelled: bool = False


CustomerView = OrderView | OrderEvent | CustomerOrderSummary
ProductView = ProductSales | Sale

_ORDERS = ("kind", "order")
CUSTOMER_VIEWS = ContainerSpec(
    name="customer_views",
    partition_key="customerId",
    indexes=(
        *(Index((path,), _ORDERS) for path in ("createdAt", "updatedAt", "totalMinor")),
        *(Index((path,), _ORDERS, across=True) for path in ("createdAt", "updatedAt", "totalMinor")),
        Index(("version",), ("kind", "event"), equal=("orderId",)),
    ),
    filters=("status", "productIds[]"),
)
"""By customer: order views, their history, and the customer's summary."""
PRODUCT_VIEWS = ContainerSpec(name="product_views", partition_key="sku")
"""By sku: the product's sales, and a mark for each order in them."""


def customer_of(order_id: str) -> str:
    """The customer, and so the partition, that an order's id names."""
    return order_id.split(":", 2)[1]


def summary_id(customer_id: str) -> str:
    """The id of a customer's summary."""
    return f"customer:{customer_id}"


def sales_id(sku: str) -> str:
    """The id of a product's sales."""
    return f"product:{sku}"


def sale_id(order_id: str) -> str:
    """The id of the mark that an order has in each of its products' sales."""
    return f"sale:{order_id}"
