"""The order: state and lifecycle, events, decisions, and how it is kept. Pure: no I/O, no clock, no chance."""

from store.port import ContainerSpec, Index
from write_model.commands import CommandDocument, Model
from write_model.orders import rules
from write_model.orders.decisions import (
    NewItem,
    add_item,
    cancel,
    change_item_quantity,
    create,
    deliver,
    record_payment,
    remove_item,
    set_payment_method,
    set_shipping_address,
    ship,
    submit,
)
from write_model.orders.events import Event, evolve
from write_model.orders.iso import EXPONENTS
from write_model.orders.state import LIFECYCLE, Address, Item, Order, OrderStatus, PaymentMethod

__all__ = [
    "CONTAINER",
    "EXPONENTS",
    "LIFECYCLE",
    "MODEL",
    "Address",
    "Event",
    "Item",
    "NewItem",
    "Order",
    "OrderStatus",
    "PaymentMethod",
    "add_item",
    "cancel",
    "change_item_quantity",
    "create",
    "deliver",
    "evolve",
    "order_id",
    "record_payment",
    "remove_item",
    "set_payment_method",
    "set_shipping_address",
    "ship",
    "submit",
]

CONTAINER = ContainerSpec(
    name="orders",
    partition_key="customerId",
    indexes=(Index(("version",), where=("kind", "command"), equal=("orderId",)),),
)
"""Orders and their commands, by customer. The index serves the history of one order."""

MODEL: Model[Order, Event] = Model(state=Order, command=CommandDocument[Event], create=create, evolve=evolve)


def order_id(customer_id: str, uuid: str) -> str:
    """The global id of an order, which names its partition. Rejected if the customer id is none."""
    return f"order:{rules.key(customer_id, 'customerId', 'CUSTOMER_ID_INVALID')}:{uuid}"
