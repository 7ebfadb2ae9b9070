"""What each command makes happen, and that doing what already holds makes nothing happen."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.write_model.examples import (
    ADDRESS,
    CANCELLED,
    CREATE,
    CREATED,
    DELIVERED,
    INK,
    LATER,
    NEW_INK,
    NEW_PEN,
    NOON,
    PAID,
    PEN,
    SHIPPED,
    SUBMITTED,
    order,
)
from write_model import orders
from write_model.orders import Address, Event, Item, NewItem, PaymentMethod
from write_model.orders.events import (
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
from write_model.refusals import Rejected

Decide = Callable[..., list[Event]]
CARD = PaymentMethod.CARD
METHOD = PaymentMethodSet(at=NOON, method=CARD, reference="ref")


# ---------------------------------------------------------------------------------------------------- create


def test_creating_an_order_tells_everything_about_it() -> None:
    order.given().when(orders.create, **CREATE, at=NOON).then(CREATED)


def test_an_order_may_begin_without_items_and_address() -> None:
    bare = {"id": "order:ada:2", "customer_id": "ada", "name": "Ada", "email": "a@b.co", "currency": "JPY"}
    created = OrderCreated(
        at=NOON, id="order:ada:2", customer_id="ada", customer_name="Ada", customer_email="a@b.co", currency="JPY"
    )
    order.given().when(orders.create, **bare, at=NOON).then(created)


def test_creating_with_a_sku_twice_makes_one_line_under_the_first_title() -> None:
    again = NewItem("pen", "Another title", 3, Decimal("1.5"))
    outcome = order.given().when(orders.create, **{**CREATE, "items": [NEW_PEN, NEW_INK, again]}, at=NOON)
    (created,) = outcome.events
    assert isinstance(created, OrderCreated)
    assert created.items == (Item("pen", "Pen", 5, 150), INK)


def test_blanks_around_texts_are_dropped_and_blank_optional_texts_are_none() -> None:
    address = Address(" Ada ", "1 Analytical Way\n", "London", "W1\t", "GB", line2="  ", region="")
    blanks = {**CREATE, "name": " Ada", "email": "ada@example.com ", "shipping_address": address}
    order.given().when(orders.create, **blanks, at=NOON).then(CREATED)


def test_optional_lines_of_an_address_are_kept() -> None:
    address = Address("Ada", "1 Way", "London", "W1", "GB", line2=" Flat 2", region="Greater London ")
    kept = Address("Ada", "1 Way", "London", "W1", "GB", line2="Flat 2", region="Greater London")
    order.given(CREATED).when(orders.set_shipping_address, address=address, at=LATER).then(
        ShippingAddressSet(at=LATER, address=kept)
    )


# ---------------------------------------------------------------------------------------------------- the others


@pytest.mark.parametrize(
    ("past", "decide", "arguments", "event"),
    [
        ((), orders.add_item, {"item": NEW_INK}, ItemAdded(at=LATER, item=INK)),
        ((), orders.add_item, {"item": NEW_PEN}, ItemQuantityChanged(at=LATER, sku="pen", quantity=4)),
        (
            (),
            orders.change_item_quantity,
            {"sku": "pen", "quantity": 7},
            ItemQuantityChanged(at=LATER, sku="pen", quantity=7),
        ),
        ((), orders.remove_item, {"sku": "pen"}, ItemRemoved(at=LATER, sku="pen")),
        (
            (),
            orders.set_payment_method,
            {"method": CARD, "reference": " ref "},
            PaymentMethodSet(at=LATER, method=CARD, reference="ref"),
        ),
        ((METHOD,), orders.set_payment_method, {"method": CARD, "reference": " "}, PaymentMethodSet(LATER, CARD)),
        ((), orders.submit, {}, OrderSubmitted(at=LATER, currency="EUR", items=(PEN,))),
        (
            (SUBMITTED,),
            orders.record_payment,
            {"amount": Decimal("3"), "reference": "pay"},
            PaymentRecorded(at=LATER, amount=300, reference="pay"),
        ),
        (
            (SUBMITTED, PAID),
            orders.ship,
            {"carrier": "Post", "tracking_number": "T1"},
            OrderShipped(at=LATER, carrier="Post", tracking_number="T1"),
        ),
        ((SUBMITTED, PAID, SHIPPED), orders.deliver, {}, OrderDelivered(at=LATER)),
    ],
)
def test_a_command_makes_its_event_happen(
    past: tuple[Event, ...], decide: Decide, arguments: dict[str, Any], event: Event
) -> None:
    order.given(CREATED, *past).when(decide, **arguments, at=LATER).then(event)


def test_submitting_tells_the_items_as_they_are_then() -> None:
    added = ItemAdded(at=NOON, item=INK)
    order.given(CREATED, added).when(orders.submit, at=LATER).then(
        OrderSubmitted(at=LATER, currency="EUR", items=(PEN, INK))
    )


@pytest.mark.parametrize(("past", "items"), [((), ()), ((SUBMITTED,), (PEN,)), ((SUBMITTED, PAID), (PEN,))])
def test_cancelling_tells_the_items_that_had_been_ordered(past: tuple[Event, ...], items: tuple[Item, ...]) -> None:
    order.given(CREATED, *past).when(orders.cancel, reason="no", at=LATER).then(
        OrderCancelled(at=LATER, reason="no", currency="EUR", items=items)
    )


# ------------------------------------------------------------------------------------------- what already holds


@pytest.mark.parametrize(
    ("past", "decide", "arguments"),
    [
        ((), orders.change_item_quantity, {"sku": "pen", "quantity": 2}),
        ((), orders.set_shipping_address, {"address": ADDRESS}),
        ((), orders.set_shipping_address, {"address": Address(" Ada", "1 Analytical Way", "London", "W1", "GB", " ")}),
        ((METHOD,), orders.set_payment_method, {"method": CARD, "reference": "ref"}),
        ((PaymentMethodSet(NOON, CARD),), orders.set_payment_method, {"method": CARD, "reference": " "}),
        ((SUBMITTED,), orders.submit, {}),
        ((SUBMITTED, PAID), orders.record_payment, {"amount": Decimal("3.00"), "reference": " pay-1"}),
        ((SUBMITTED, PAID, SHIPPED), orders.ship, {"carrier": "Post ", "tracking_number": " T1"}),
        ((SUBMITTED, PAID, SHIPPED, DELIVERED), orders.deliver, {}),
        ((CANCELLED,), orders.cancel, {"reason": "for another reason"}),
    ],
)
def test_doing_what_already_holds_makes_nothing_happen(
    past: tuple[Event, ...], decide: Decide, arguments: dict[str, Any]
) -> None:
    order.given(CREATED, *past).when(decide, **arguments, at=LATER).then_nothing()


# ---------------------------------------------------------------------------------------------------- ids


def test_an_order_id_names_its_partition() -> None:
    assert orders.order_id("ada.l_o-v@e", "1") == "order:ada.l_o-v@e:1"


def test_an_order_id_is_not_made_for_a_customer_id_that_is_none() -> None:
    with pytest.raises(Rejected) as refused:
        orders.order_id("ada:2", "1")
    assert (refused.value.code, refused.value.fields) == ("CUSTOMER_ID_INVALID", ("customerId",))
