"""The lifecycle: what each command does in each status, written down once more, independently of the code's table."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.write_model.examples import CREATE, HISTORIES, INPUTS, LATER, order
from write_model import orders
from write_model.orders import LIFECYCLE, Event, OrderStatus, evolve

DRAFT, SUBMITTED, PAID, SHIPPED, DELIVERED, CANCELLED = OrderStatus
REFUSED, HOLDS = "refused", "holds already"

# fmt: off
TABLE: dict[str, tuple[OrderStatus | str, ...]] = {
    #                        DRAFT      SUBMITTED  PAID       SHIPPED    DELIVERED  CANCELLED
    "add_item":             (DRAFT,     REFUSED,   REFUSED,   REFUSED,   REFUSED,   REFUSED),
    "change_item_quantity": (DRAFT,     REFUSED,   REFUSED,   REFUSED,   REFUSED,   REFUSED),
    "remove_item":          (DRAFT,     REFUSED,   REFUSED,   REFUSED,   REFUSED,   REFUSED),
    "set_shipping_address": (DRAFT,     SUBMITTED, REFUSED,   REFUSED,   REFUSED,   REFUSED),
    "set_payment_method":   (DRAFT,     SUBMITTED, REFUSED,   REFUSED,   REFUSED,   REFUSED),
    "submit":               (SUBMITTED, HOLDS,     REFUSED,   REFUSED,   REFUSED,   REFUSED),
    "record_payment":       (REFUSED,   PAID,      HOLDS,     REFUSED,   REFUSED,   REFUSED),
    "ship":                 (REFUSED,   REFUSED,   SHIPPED,   HOLDS,     REFUSED,   REFUSED),
    "deliver":              (REFUSED,   REFUSED,   REFUSED,   DELIVERED, HOLDS,     REFUSED),
    "cancel":               (CANCELLED, CANCELLED, CANCELLED, REFUSED,   REFUSED,   HOLDS),
}
# fmt: on
CELLS = [
    pytest.param(decide, status, after, id=f"{decide.__name__}-{status}")
    for decide in INPUTS
    for status, after in zip(OrderStatus, TABLE[decide.__name__], strict=True)
]
Decide = Callable[..., list[Event]]


@pytest.mark.parametrize(("decide", "status", "after"), CELLS)
def test_a_command_does_in_a_status_what_the_table_says(decide: Decide, status: OrderStatus, after: str) -> None:
    given = order.given(*HISTORIES[status])
    outcome = given.when(decide, **INPUTS[decide], at=LATER)
    if after == REFUSED:
        outcome.then_rejected("WRONG_STATUS")
    elif after == HOLDS:
        outcome.then_nothing()
    else:
        (event,) = outcome.events
        assert evolve(given.state, event).status == after


@pytest.mark.parametrize("status", OrderStatus)
def test_an_order_is_created_once(status: OrderStatus) -> None:
    order.given(*HISTORIES[status]).when(orders.create, **CREATE, at=LATER).then_rejected("ORDER_EXISTS", "orderUuid")


@pytest.mark.parametrize(
    ("decide", "status", "changed"),
    [
        (orders.record_payment, PAID, {"reference": "pay-2"}),
        (orders.record_payment, PAID, {"amount": Decimal("3.01")}),
        (orders.ship, SHIPPED, {"carrier": "Other"}),
        (orders.ship, SHIPPED, {"tracking_number": "T2"}),
    ],
)
def test_a_step_is_not_taken_again_in_another_way(decide: Decide, status: OrderStatus, changed: dict[str, Any]) -> None:
    order.given(*HISTORIES[status]).when(decide, **{**INPUTS[decide], **changed}, at=LATER).then_rejected(
        "WRONG_STATUS"
    )


def test_a_refusal_for_the_status_tells_the_status() -> None:
    outcome = order.given(*HISTORIES[SHIPPED]).when(orders.change_item_quantity, sku="pen", quantity=1, at=LATER)
    assert str(outcome.refusal) == "cannot change item quantity: the order is shipped"


def test_every_command_is_in_the_lifecycle() -> None:
    assert {decide.__name__ for decide in INPUTS} == LIFECYCLE.keys() == TABLE.keys()
