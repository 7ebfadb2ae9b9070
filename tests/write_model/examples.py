"""Ada's order, from its creation to the end: the events and inputs that the tests of the write model start from."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tests.spec import Specification
from write_model import orders
from write_model.orders import Address, Event, Item, NewItem, OrderStatus, PaymentMethod
from write_model.orders.events import (
    OrderCancelled,
    OrderCreated,
    OrderDelivered,
    OrderShipped,
    OrderSubmitted,
    PaymentRecorded,
)

NOON = "2026-07-01T12:00:00.000Z"
LATER = "2026-07-01T13:00:00.000Z"
ADDRESS = Address(name="Ada", line1="1 Analytical Way", city="London", postal_code="W1", country="GB")
PEN = Item(sku="pen", title="Pen", quantity=2, unit_price=150)
INK = Item(sku="ink", title="Ink", quantity=1, unit_price=999)
NEW_PEN = NewItem("pen", "Pen", 2, Decimal("1.50"))
NEW_INK = NewItem("ink", "Ink", 1, Decimal("9.99"))

CREATED = OrderCreated(
    at=NOON,
    id="order:ada:1",
    customer_id="ada",
    customer_name="Ada",
    customer_email="ada@example.com",
    currency="EUR",
    items=(PEN,),
    shipping_address=ADDRESS,
)
SUBMITTED = OrderSubmitted(at=NOON, currency="EUR", items=(PEN,))
PAID = PaymentRecorded(at=NOON, amount=300, reference="pay-1")
SHIPPED = OrderShipped(at=NOON, carrier="Post", tracking_number="T1")
DELIVERED = OrderDelivered(at=NOON)
CANCELLED = OrderCancelled(at=NOON, reason="changed my mind", currency="EUR")

HISTORIES: dict[OrderStatus, tuple[Event, ...]] = {
    OrderStatus.DRAFT: (CREATED,),
    OrderStatus.SUBMITTED: (CREATED, SUBMITTED),
    OrderStatus.PAID: (CREATED, SUBMITTED, PAID),
    OrderStatus.SHIPPED: (CREATED, SUBMITTED, PAID, SHIPPED),
    OrderStatus.DELIVERED: (CREATED, SUBMITTED, PAID, SHIPPED, DELIVERED),
    OrderStatus.CANCELLED: (CREATED, CANCELLED),
}

CREATE: dict[str, Any] = {
    "id": "order:ada:1",
    "customer_id": "ada",
    "name": "Ada",
    "email": "ada@example.com",
    "currency": "EUR",
    "items": [NEW_PEN],
    "shipping_address": ADDRESS,
}
"""The arguments that create Ada's order as CREATED tells."""

INPUTS: dict[Callable[..., list[Event]], dict[str, Any]] = {
    orders.add_item: {"item": NEW_INK},
    orders.change_item_quantity: {"sku": "pen", "quantity": 3},
    orders.remove_item: {"sku": "pen"},
    orders.set_shipping_address: {"address": Address("Ada", "2 Other Way", "London", "W1", "GB")},
    orders.set_payment_method: {"method": PaymentMethod.INVOICE, "reference": "PO 7"},
    orders.submit: {},
    orders.record_payment: {"amount": Decimal("3.00"), "reference": "pay-1"},
    orders.ship: {"carrier": "Post", "tracking_number": "T1"},
    orders.deliver: {},
    orders.cancel: {"reason": "changed my mind"},
}
"""For each command on an existing order, inputs that are right; those of the later steps are as in HISTORIES."""

order = Specification(orders.evolve)
