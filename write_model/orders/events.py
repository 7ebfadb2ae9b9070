"""What happened to an order, and what the order is after it. Each event raises the version by one."""

from typing import assert_never

import msgspec

from write_model.orders.state import Address, Item, Order, OrderStatus, PaymentMethod


class _Event(msgspec.Struct, frozen=True, tag_field="type", rename="camel"):
    """`at`: when it happened, RFC 3339 in UTC."""

    at: str


class OrderCreated(_Event, frozen=True, tag=True):
    """An order was begun, perhaps with items and an address already."""

    id: str
    customer_id: str
    customer_name: str
    customer_email: str
    currency: str
    items: tuple[Item, ...] = ()
    shipping_address: Address | None = None


class ItemAdded(_Event, frozen=True, tag=True):
    """A sku that was not in the order was added."""

    item: Item


class ItemQuantityChanged(_Event, frozen=True, tag=True):
    """The quantity of a line is now `quantity`."""

    sku: str
    quantity: int


class ItemRemoved(_Event, frozen=True, tag=True):
    """A line was taken out."""

    sku: str


class ShippingAddressSet(_Event, frozen=True, tag=True):
    """The order is to be shipped to `address`."""

    address: Address


class PaymentMethodSet(_Event, frozen=True, tag=True):
    """The order is to be paid by `method`; `reference` is the customer's own."""

    method: PaymentMethod
    reference: str | None = None


class OrderSubmitted(_Event, frozen=True, tag=True):
    """The customer ordered. Carries what was ordered, so that it can be projected on its own."""

    currency: str
    items: tuple[Item, ...]


class PaymentRecorded(_Event, frozen=True, tag=True):
    """The order's total was paid; `amount` in minor units."""

    amount: int
    reference: str


class OrderShipped(_Event, frozen=True, tag=True):
    """The order is on its way."""

    carrier: str
    tracking_number: str


class OrderDelivered(_Event, frozen=True, tag=True):
    """The order has arrived."""


class OrderCancelled(_Event, frozen=True, tag=True):
    """The order was called off. `items` are those that had been ordered: none if it was still a draft."""

    reason: str
    currency: str
    items: tuple[Item, ...] = ()


Event = (
    OrderCreated
    | ItemAdded
    | ItemQuantityChanged
    | ItemRemoved
    | ShippingAddressSet
    | PaymentMethodSet
    | OrderSubmitted
    | PaymentRecorded
    | OrderShipped
    | OrderDelivered
    | OrderCancelled
)


def evolve(order: Order | None, event: Event) -> Order:
    """The order after `event`. Only a creation starts from None."""
    if isinstance(event, OrderCreated):
        return Order(
            id=event.id,
            customer_id=event.customer_id,
            customer_name=event.customer_name,
            customer_email=event.customer_email,
            currency=event.currency,
            status=OrderStatus.DRAFT,
            version=1,
            created_at=event.at,
            updated_at=event.at,
            items=event.items,
            shipping_address=event.shipping_address,
        )
    assert order is not None, f"{type(event).__name__} needs an order"
    changes: dict[str, object]
    match event:
        case ItemAdded(item=item):
            changes = {"items": (*order.items, item)}
        case ItemQuantityChanged(sku=sku, quantity=quantity):
            changes = {"items": tuple(_with_quantity(item, sku, quantity) for item in order.items)}
        case ItemRemoved(sku=sku):
            changes = {"items": tuple(item for item in order.items if item.sku != sku)}
        case ShippingAddressSet(address=address):
            changes = {"shipping_address": address}
        case PaymentMethodSet(method=method, reference=reference):
            changes = {"payment_method": method, "payment_method_reference": reference}
        case OrderSubmitted(at=at):
            changes = {"status": OrderStatus.SUBMITTED, "submitted_at": at}
        case PaymentRecorded(reference=reference):
            changes = {"status": OrderStatus.PAID, "payment_reference": reference}
        case OrderShipped(carrier=carrier, tracking_number=tracking_number):
            changes = {"status": OrderStatus.SHIPPED, "carrier": carrier, "tracking_number": tracking_number}
        case OrderDelivered():
            changes = {"status": OrderStatus.DELIVERED}
        case OrderCancelled(reason=reason):
            changes = {"status": OrderStatus.CANCELLED, "cancel_reason": reason}
        case _:
            assert_never(event)
    return msgspec.structs.replace(order, version=order.version + 1, updated_at=event.at, **changes)


def _with_quantity(item: Item, sku: str, quantity: int) -> Item:
    return msgspec.structs.replace(item, quantity=quantity) if item.sku == sku else item
