"""Orders projected: the order view, its history and the customer's summary; the product's sales.

Pure. A sum is kept right by taking out what an order contributed before and putting in what it contributes now, in
the batch that also holds what tells the two apart: the order's view, or its mark among a product's sales.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec

from projector.projection import Projection, Route
from read_model.orders.views import (
    CUSTOMER_VIEWS,
    PRODUCT_VIEWS,
    Address,
    CustomerOrderSummary,
    CustomerView,
    Money,
    OrderEvent,
    OrderItem,
    OrderStatus,
    OrderView,
    PaymentMethod,
    ProductSales,
    ProductView,
    Sale,
    StatusCount,
    customer_of,
    sale_id,
    sales_id,
    summary_id,
)
from write_model import orders
from write_model.commands import CommandDocument
from write_model.orders import events

OrderCommand = CommandDocument[events.Event]
Change = orders.Order | OrderCommand

DISPLAY = {
    OrderStatus.DRAFT: "Draft",
    OrderStatus.SUBMITTED: "Awaiting payment",
    OrderStatus.PAID: "Paid, to be shipped",
    OrderStatus.SHIPPED: "On its way",
    OrderStatus.DELIVERED: "Delivered",
    OrderStatus.CANCELLED: "Cancelled",
}


# ------------------------------------------------------------------------------------------- the order view


def order_view(order: orders.Order) -> OrderView:
    """The order as it is read. A successful command is answered with it before it is projected."""
    address, status, total = order.shipping_address, OrderStatus(order.status), order.total
    return OrderView(
        id=order.id,
        customer_id=order.customer_id,
        customer_name=order.customer_name,
        customer_email=order.customer_email,
        status=status,
        status_display=DISPLAY[status],
        version=order.version,
        items=tuple([_item(item, order.currency) for item in order.items]),
        item_count=len(order.items),
        total=money(total, order.currency),
        total_minor=total,
        product_ids=tuple([item.sku for item in order.items]),
        created_at=order.created_at,
        updated_at=order.updated_at,
        shipping_address=Address(**msgspec.structs.asdict(address)) if address else None,
        shipping_summary=f"{address.name}, {address.city}, {address.country}" if address else None,
        payment_method=PaymentMethod(order.payment_method) if order.payment_method else None,
        tracking_number=order.tracking_number,
        cancel_reason=order.cancel_reason,
        submitted_at=order.submitted_at,
    )


def _item(item: orders.Item, currency: str) -> OrderItem:
    return OrderItem(
        sku=item.sku,
        title=item.title,
        quantity=item.quantity,
        unit_price=money(item.unit_price, currency),
        line_total=money(item.total, currency),
    )


@lru_cache(maxsize=4096)  # few amounts are most of them
def money(minor: int, currency: str) -> Money:
    """Minor units as an exact decimal string: 1999 USD is "19.99"."""
    return Money(str(Decimal(minor).scaleb(-orders.EXPONENTS[currency])), currency)


# ------------------------------------------------------------------------------------------- by customer


def _customer_routes(change: Change) -> Iterable[Route]:
    if isinstance(change, orders.Order):
        return [Route(change.customer_id, (change.id, summary_id(change.customer_id)))]
    return [Route(customer_of(change.order_id))] if change.events else []


def _customer_views(change: Change, customer_id: str, known: Mapping[str, CustomerView]) -> Iterator[CustomerView]:
    if isinstance(change, orders.Order):
        before = known.get(change.id)
        assert before is None or isinstance(before, OrderView)
        if before is None or before.version < change.version:
            after = order_view(change)
            summary = known.get(summary_id(customer_id))
            assert summary is None or isinstance(summary, CustomerOrderSummary)
            yield after
            yield _summary(summary or CustomerOrderSummary(summary_id(customer_id), customer_id), before, after)
    else:
        yield from _history(change)


def _summary(summary: CustomerOrderSummary, before: OrderView | None, after: OrderView) -> CustomerOrderSummary:
    return CustomerOrderSummary(
        id=summary.id,
        customer_id=summary.customer_id,
        total_orders=summary.total_orders + (before is None),
        total_spent=_shifted(summary.total_spent, _spent(before), _spent(after)),
        orders_by_status=_counted(summary.orders_by_status, before.status if before else None, after.status),
        last_order_at=max(summary.last_order_at or "", after.created_at),
        version=summary.version + after.version - (before.version if before else 0),
    )


def _counted(counts: tuple[StatusCount, ...], minus: OrderStatus | None, plus: OrderStatus) -> tuple[StatusCount, ...]:
    """How many orders stand where, in the order of the lifecycle, when one has moved from one status to another."""
    numbers = {entry.status: entry.count for entry in counts}
    if minus is plus and numbers[plus]:
        return counts
    if minus:
        numbers[minus] -= 1
    numbers[plus] = numbers.get(plus, 0) + 1
    return tuple([StatusCount(status, numbers[status]) for status in OrderStatus if numbers.get(status)])


def _spent(order: OrderView | None) -> Money | None:
    """What an order adds to its customer's spending: its total once it is submitted, unless it is cancelled."""
    counts = order is not None and order.submitted_at is not None and order.status is not OrderStatus.CANCELLED
    return order.total if order and counts else None


def _shifted(sums: tuple[Money, ...], minus: Money | None, plus: Money | None) -> tuple[Money, ...]:
    """Sums by currency, without those that are zero, after taking out one amount and putting in another."""
    if minus == plus:
        return sums
    amounts = {entry.currency: Decimal(entry.amount) for entry in sums}
    for amount, sign in ((minus, -1), (plus, 1)):
        if amount:
            amounts[amount.currency] = amounts.get(amount.currency, Decimal(0)) + sign * Decimal(amount.amount)
    return tuple(Money(str(amount), currency) for currency, amount in sorted(amounts.items()) if amount)


def _history(command: OrderCommand) -> Iterator[OrderEvent]:
    first = command.version - len(command.events) + 1
    for version, event in enumerate(command.events, first):
        yield OrderEvent(
            id=f"event:{command.order_id}:{version}",
            order_id=command.order_id,
            type=type(event).__name__,
            version=version,
            at=event.at,
            command_id=command.id.removeprefix("cmd:"),
            summary=summary_of(event),
            actor=command.actor,
        )


def summary_of(event: events.Event) -> str:
    """What happened, in a sentence for a person."""
    match event:
        case events.OrderCreated(items=items):
            return f"Order created with {len(items)} {'item' if len(items) == 1 else 'items'}"
        case events.ItemAdded(item=item):
            return f"Added {item.quantity} x {item.title}"
        case events.ItemQuantityChanged(sku=sku, quantity=quantity):
            return f"Quantity of {sku} is now {quantity}"
        case events.ItemRemoved(sku=sku):
            return f"Removed {sku}"
        case events.ShippingAddressSet(address=address):
            return f"Ships to {address.name}, {address.city}, {address.country}"
        case events.PaymentMethodSet(method=method):
            return f"To be paid by {method.lower()}"
        case events.OrderSubmitted():
            return "Order submitted"
        case events.PaymentRecorded(reference=reference):
            return f"Payment {reference} recorded"
        case events.OrderShipped(carrier=carrier, tracking_number=tracking_number):
            return f"Shipped with {carrier}, tracking number {tracking_number}"
        case events.OrderDelivered():
            return "Delivered"
        case events.OrderCancelled(reason=reason):
            return f"Cancelled: {reason}"


# ------------------------------------------------------------------------------------------- by product

Sold = events.OrderSubmitted | events.OrderCancelled


class AnyOrder(msgspec.Struct, frozen=True, tag_field="kind", tag="order"):
    """An order, of which products' sales need nothing more: they are told by its commands."""

    id: str


def _sold(command: OrderCommand) -> Iterator[Sold]:
    """The events of a command that move products' sales."""
    yield from (event for event in command.events if isinstance(event, Sold))


def _product_routes(change: Change | AnyOrder) -> Iterator[Route]:
    if isinstance(change, CommandDocument):
        for event in _sold(change):
            for item in event.items:
                yield Route(item.sku, (sales_id(item.sku), sale_id(change.order_id)))


def _product_views(change: Change | AnyOrder, sku: str, known: Mapping[str, ProductView]) -> Iterator[ProductView]:
    assert isinstance(change, CommandDocument)
    mark = known.get(sale_id(change.order_id))
    sales = known.get(sales_id(sku)) or ProductSales(sales_id(sku), sku, title="")
    assert isinstance(sales, ProductSales)
    assert mark is None or isinstance(mark, Sale)
    if mark and mark.version >= change.version:
        return
    for event in _sold(change):
        for item in (item for item in event.items if item.sku == sku):
            yield _sales(sales, event, item, change.order_id)
            cancelled = isinstance(event, events.OrderCancelled)
            yield Sale(sale_id(change.order_id), version=change.version, cancelled=cancelled)


def _sales(sales: ProductSales, event: Sold, item: orders.Item, order_id: str) -> ProductSales:
    amount = money(item.total, event.currency)
    if isinstance(event, events.OrderCancelled):
        return msgspec.structs.replace(
            sales,
            units_sold=sales.units_sold - item.quantity,
            revenue=_shifted(sales.revenue, amount, None),
            order_count=sales.order_count - 1,
            version=sales.version + 1,
        )
    # Which sale was the last must not depend on the order in which partitions are projected.
    latest = (event.at, order_id) > (sales.last_sold_at or "", sales.last_sold_in)
    return msgspec.structs.replace(
        sales,
        title=item.title if latest else sales.title,
        units_sold=sales.units_sold + item.quantity,
        revenue=_shifted(sales.revenue, None, amount),
        order_count=sales.order_count + 1,
        last_sold_at=event.at if latest else sales.last_sold_at,
        last_sold_in=order_id if latest else sales.last_sold_in,
        version=sales.version + 1,
    )


# ------------------------------------------------------------------------------------------- the registry


def _key_of(document: Mapping[str, Any]) -> str:
    """The order that a document of the write model is about."""
    return str(document.get("orderId") or document["id"])


def _time_of(document: Mapping[str, Any]) -> str:
    """When a command was executed, or an order last changed."""
    return str(document.get("at") or document["updatedAt"])


CUSTOMER_ORDERS: Projection[Change, CustomerView] = Projection(
    name="customer_orders",
    version=1,
    source=orders.CONTAINER.name,
    target=CUSTOMER_VIEWS,
    change=Change,
    view=CustomerView,
    route=_customer_routes,
    project=_customer_views,
    key_of=_key_of,
    time_of=_time_of,
)
PRODUCT_SALES: Projection[Change | AnyOrder, ProductView] = Projection(
    name="product_sales",
    version=1,
    source=orders.CONTAINER.name,
    target=PRODUCT_VIEWS,
    change=AnyOrder | OrderCommand,
    view=ProductView,
    route=_product_routes,
    project=_product_views,
    key_of=_key_of,
    time_of=_time_of,
)
PROJECTIONS = (CUSTOMER_ORDERS, PRODUCT_SALES)
