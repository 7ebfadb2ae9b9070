"""What may happen to an order: each command as a pure decision from an order to events, or Rejected.

An aim that is fulfilled already is no error: the decision returns no events. Arguments are named as the API's inputs.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from write_model.orders import rules
from write_model.orders.events import (
    Event,
    ItemAdded,
    ItemQuantityChanged,
    ItemRemoved,
    OrderCancelled,
    OrderCreated,
    OrderDelivered,
    OrderShipped,
    OrderSubmitted,
    PaymentMethodSet,
    PaymentRecorded,
    ShippingAddressSet,
)
from write_model.orders.state import LIFECYCLE, Address, Item, Order, OrderStatus, PaymentMethod
from write_model.refusals import Rejected


class NewItem(NamedTuple):
    """An item as a caller names it; the price in units of the order's currency."""

    sku: str
    title: str
    quantity: int
    unit_price: Decimal


def create(
    order: Order | None,
    *,
    id: str,
    customer_id: str,
    name: str,
    email: str,
    currency: str,
    shipping_address: Address | None = None,
    items: Sequence[NewItem] = (),
    at: str,
) -> list[Event]:
    """Begin an order. The same sku twice is one line, if the price is the same. ORDER_EXISTS if the id is taken."""
    if order is not None:
        raise Rejected("ORDER_EXISTS", "there is an order with this id", "orderUuid")
    if len(items) > rules.MAX_ITEMS:
        raise _too_many("items")
    currency = rules.currency(currency, "currency")
    lines: dict[str, Item] = {}
    for position, new in enumerate(items):
        item = rules.item(*new, currency, f"items.{position}")
        lines[item.sku] = _merged(lines.get(item.sku), item, f"items.{position}")
    created = OrderCreated(
        at=at,
        id=id,
        customer_id=rules.key(customer_id, "customerId", "CUSTOMER_ID_INVALID"),
        customer_name=rules.text(name, "customer.name", 200),
        customer_email=rules.email(email, "customer.email"),
        currency=currency,
        items=tuple(lines.values()),
        shipping_address=rules.address(shipping_address, "shippingAddress") if shipping_address else None,
    )
    return [created]


def add_item(order: Order, *, item: NewItem, at: str) -> list[Event]:
    """Add a line, or more pieces of the same sku at the same price."""
    _permitted(order, "add_item")
    added = rules.item(*item, order.currency, "item")
    known = order.item(added.sku)
    if known:
        return [ItemQuantityChanged(at=at, sku=added.sku, quantity=_merged(known, added, "item").quantity)]
    if len(order.items) >= rules.MAX_ITEMS:
        raise _too_many("item")
    return [ItemAdded(at=at, item=added)]


def change_item_quantity(order: Order, *, sku: str, quantity: int, at: str) -> list[Event]:
    """Set how many pieces a line has."""
    _permitted(order, "change_item_quantity")
    line = _line(order, sku)
    if rules.quantity(quantity, "quantity") == line.quantity:
        return []
    return [ItemQuantityChanged(at=at, sku=sku, quantity=quantity)]


def remove_item(order: Order, *, sku: str, at: str) -> list[Event]:
    """Take a line out. ITEM_NOT_FOUND if there is none of that sku."""
    _permitted(order, "remove_item")
    return [ItemRemoved(at=at, sku=_line(order, sku).sku)]


def set_shipping_address(order: Order, *, address: Address, at: str) -> list[Event]:
    """Say where the order goes; possible until it is paid."""
    _permitted(order, "set_shipping_address")
    checked = rules.address(address, "address")
    return [] if checked == order.shipping_address else [ShippingAddressSet(at=at, address=checked)]


def set_payment_method(order: Order, *, method: PaymentMethod, reference: str | None, at: str) -> list[Event]:
    """Say how the order will be paid; possible until it is paid."""
    _permitted(order, "set_payment_method")
    reference = rules.optional_text(reference, "reference", 100)
    if (method, reference) == (order.payment_method, order.payment_method_reference):
        return []
    return [PaymentMethodSet(at=at, method=method, reference=reference)]


def submit(order: Order, *, at: str) -> list[Event]:
    """Order what is in it. EMPTY_ORDER without items, NO_SHIPPING_ADDRESS without an address."""
    if order.status is OrderStatus.SUBMITTED:
        return []
    _permitted(order, "submit")
    if not order.items:
        raise Rejected("EMPTY_ORDER", "an order without items cannot be submitted")
    if order.shipping_address is None:
        raise Rejected("NO_SHIPPING_ADDRESS", "an order without a shipping address cannot be submitted")
    return [OrderSubmitted(at=at, currency=order.currency, items=order.items)]


def record_payment(order: Order, *, amount: Decimal, reference: str, at: str) -> list[Event]:
    """Record that the total was paid. AMOUNT_MISMATCH unless `amount` is the order's total."""
    reference = rules.text(reference, "reference", 100)
    paid = rules.minor_units(amount, order.currency, "amount")
    if order.status is OrderStatus.PAID and (paid, reference) == (order.total, order.payment_reference):
        return []
    _permitted(order, "record_payment")
    if paid != order.total:
        raise Rejected("AMOUNT_MISMATCH", "the amount must be the order's total", "amount")
    return [PaymentRecorded(at=at, amount=paid, reference=reference)]


def ship(order: Order, *, carrier: str, tracking_number: str, at: str) -> list[Event]:
    """Hand a paid order to a carrier."""
    carrier = rules.text(carrier, "carrier", 100)
    tracking_number = rules.text(tracking_number, "trackingNumber", 100)
    if order.status is OrderStatus.SHIPPED and (carrier, tracking_number) == (order.carrier, order.tracking_number):
        return []
    _permitted(order, "ship")
    return [OrderShipped(at=at, carrier=carrier, tracking_number=tracking_number)]


def deliver(order: Order, *, at: str) -> list[Event]:
    """A shipped order has arrived."""
    if order.status is OrderStatus.DELIVERED:
        return []
    _permitted(order, "deliver")
    return [OrderDelivered(at=at)]


def cancel(order: Order, *, reason: str, at: str) -> list[Event]:
    """Call the order off; possible until it is shipped."""
    reason = rules.text(reason, "reason", 500)
    if order.status is OrderStatus.CANCELLED:
        return []
    _permitted(order, "cancel")
    ordered = order.items if order.submitted_at else ()
    return [OrderCancelled(at=at, reason=reason, currency=order.currency, items=ordered)]


def _permitted(order: Order, command: str) -> None:
    if order.status not in LIFECYCLE[command]:
        verb = command.replace("_", " ")
        raise Rejected("WRONG_STATUS", f"cannot {verb}: the order is {order.status.lower()}")


def _line(order: Order, sku: str) -> Item:
    line = order.item(sku)
    if line is None:
        raise Rejected("ITEM_NOT_FOUND", "the order has no such item", "sku")
    return line


def _merged(known: Item | None, added: Item, field: str) -> Item:
    if known is None:
        return added
    if known.unit_price != added.unit_price:
        raise Rejected("PRICE_DIFFERS", "the order has this item at another price", f"{field}.unitPrice")
    pieces = rules.quantity(known.quantity + added.quantity, f"{field}.quantity")
    return Item(sku=known.sku, title=known.title, quantity=pieces, unit_price=known.unit_price)


def _too_many(field: str) -> Rejected:
    return Rejected("TOO_MANY_ITEMS", f"an order has at most {rules.MAX_ITEMS} different items", field)
