"""What an order is, and its lifecycle as a table. Frozen values; money is integer minor units of one currency."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec


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


DRAFT, SUBMITTED, PAID, SHIPPED, DELIVERED, CANCELLED = OrderStatus

LIFECYCLE: Mapping[str, Mapping[OrderStatus, OrderStatus]] = {
    "add_item": {DRAFT: DRAFT},
    "change_item_quantity": {DRAFT: DRAFT},
    "remove_item": {DRAFT: DRAFT},
    "set_shipping_address": {DRAFT: DRAFT, SUBMITTED: SUBMITTED},
    "set_payment_method": {DRAFT: DRAFT, SUBMITTED: SUBMITTED},
    "submit": {DRAFT: SUBMITTED},
    "record_payment": {SUBMITTED: PAID},
    "ship": {PAID: SHIPPED},
    "deliver": {SHIPPED: DELIVERED},
    "cancel": {DRAFT: CANCELLED, SUBMITTED: CANCELLED, PAID: CANCELLED},
}
"""For each command, the statuses in which it may be given, and the status after it. All else is WRONG_STATUS."""


class Item(msgspec.Struct, frozen=True, rename="camel"):
    """A line of an order; `unit_price` in minor units."""

    sku: str
    title: str
    quantity: int
    unit_price: int

    @property
    def total(self) -> int:
        """The line's total in minor units."""
        return self.quantity * self.unit_price


class Address(msgspec.Struct, frozen=True, rename="camel"):
    """Where an order is shipped; `country` is an ISO 3166-1 alpha-2 code."""

    name: str
    line1: str
    city: str
    postal_code: str
    country: str
    line2: str | None = None
    region: str | None = None


class Order(msgspec.Struct, frozen=True, tag_field="kind", tag="order", rename="camel"):
    """The aggregate, complete, as it is stored. `version` counts its events; times are RFC 3339 in UTC."""

    id: str
    customer_id: str
    customer_name: str
    customer_email: str
    currency: str
    status: OrderStatus
    version: int
    created_at: str
    updated_at: str
    items: tuple[Item, ...] = ()
    shipping_address: Address | None = None
    payment_method: PaymentMethod | None = None
    payment_method_reference: str | None = None
    payment_reference: str | None = None
    carrier: str | None = None
    tracking_number: str | None = None
    cancel_reason: str | None = None
    submitted_at: str | None = None

    @property
    def total(self) -> int:
        """The order's total in minor units of its currency."""
        return sum([item.total for item in self.items])

    def item(self, sku: str) -> Item | None:
        """The line of that sku."""
        return next((item for item in self.items if item.sku == sku), None)
