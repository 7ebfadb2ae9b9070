"""What events make of an order, and that nothing is lost when they are kept as JSON."""

from decimal import Decimal
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.write_model.examples import (
    ADDRESS,
    CANCELLED,
    CREATED,
    DELIVERED,
    HISTORIES,
    INK,
    INPUTS,
    LATER,
    NOON,
    PAID,
    PEN,
    SHIPPED,
    SUBMITTED,
    order,
)
from write_model import orders
from write_model.commands import CommandDocument
from write_model.orders import Address, Event, NewItem, Order, OrderStatus, PaymentMethod, evolve
from write_model.orders.events import ItemAdded, ItemQuantityChanged, ItemRemoved, PaymentMethodSet, ShippingAddressSet
from write_model.refusals import Rejected

ELSEWHERE = Address("Ada", "2 Way", "Paris", "75", "FR", line2="B", region="IdF")
EVENTS: list[tuple[tuple[Event, ...], Event, dict[str, Any]]] = [
    ((), ItemAdded(at=LATER, item=INK), {"items": (PEN, INK)}),
    ((), ItemQuantityChanged(LATER, "pen", 9), {"items": (msgspec.structs.replace(PEN, quantity=9),)}),
    ((ItemAdded(at=NOON, item=INK),), ItemRemoved(LATER, "pen"), {"items": (INK,)}),
    ((), ShippingAddressSet(at=LATER, address=ELSEWHERE), {"shipping_address": ELSEWHERE}),
    (
        (),
        PaymentMethodSet(LATER, PaymentMethod.CARD, "ref"),
        {"payment_method": PaymentMethod.CARD, "payment_method_reference": "ref"},
    ),
    ((), SUBMITTED, {"status": OrderStatus.SUBMITTED, "submitted_at": NOON}),
    ((SUBMITTED,), PAID, {"status": OrderStatus.PAID, "payment_reference": "pay-1"}),
    (
        (SUBMITTED, PAID),
        SHIPPED,
        {"status": OrderStatus.SHIPPED, "carrier": "Post", "tracking_number": "T1"},
    ),
    ((SUBMITTED, PAID, SHIPPED), DELIVERED, {"status": OrderStatus.DELIVERED}),
    ((), CANCELLED, {"status": OrderStatus.CANCELLED, "cancel_reason": "changed my mind"}),
]
ALL = [CREATED, *(event for _, event, _ in EVENTS)]


def state_of(*past: Event) -> Order:
    state = order.given(*past).state
    assert state is not None
    return state


def test_an_order_begins_as_a_draft_at_version_1() -> None:
    assert evolve(None, CREATED) == Order(
        id="order:ada:1",
        customer_id="ada",
        customer_name="Ada",
        customer_email="ada@example.com",
        currency="EUR",
        status=OrderStatus.DRAFT,
        version=1,
        created_at=NOON,
        updated_at=NOON,
        items=(PEN,),
        shipping_address=ADDRESS,
    )


@pytest.mark.parametrize(("past", "event", "changes"), EVENTS)
def test_an_event_changes_what_it_tells_and_raises_the_version_by_one(
    past: tuple[Event, ...], event: Event, changes: dict[str, Any]
) -> None:
    before = state_of(CREATED, *past)
    told = {"version": before.version + 1, "updated_at": event.at, **changes}
    assert evolve(before, event) == msgspec.structs.replace(before, **told)


@pytest.mark.parametrize(("past", "event"), [(past, event) for past, event, _ in EVENTS])
def test_the_order_before_an_event_stays_as_it_was(past: tuple[Event, ...], event: Event) -> None:
    before = state_of(CREATED, *past)
    stored = msgspec.json.encode(before)
    assert evolve(before, event) == evolve(before, event)
    assert msgspec.json.encode(before) == stored


@pytest.mark.parametrize("value", [state_of(CREATED), ADDRESS, PEN, *ALL], ids=lambda value: type(value).__name__)
def test_a_value_can_be_hashed_and_not_be_changed(value: msgspec.Struct) -> None:
    hash(value)
    with pytest.raises(AttributeError):
        setattr(value, value.__struct_fields__[0], None)


def test_every_event_is_among_the_examples() -> None:
    assert {type(event) for event in ALL} == set(get_args(Event))


@pytest.mark.parametrize("event", ALL, ids=lambda event: type(event).__name__)
def test_an_event_survives_json(event: Event) -> None:
    encoded = msgspec.json.encode(event)
    assert msgspec.json.decode(encoded, type=Event) == event
    assert msgspec.json.decode(encoded)["type"] == type(event).__name__


@pytest.mark.parametrize("status", OrderStatus)
def test_an_order_survives_json(status: OrderStatus) -> None:
    state = state_of(*HISTORIES[status])
    encoded = msgspec.json.encode(state)
    assert msgspec.json.decode(encoded, type=Order) == state
    assert msgspec.json.decode(encoded)["kind"] == "order"


def test_a_command_document_survives_json_beside_what_an_engine_adds_to_it() -> None:
    document = CommandDocument("cmd:1", "submit", "f", "order:ada:1", 12, tuple(ALL), NOON, actor="ada")
    stored = msgspec.json.decode(msgspec.json.encode(document))
    assert stored["kind"] == "command"
    stored |= {"customerId": "ada", "_etag": "1", "_ts": 1}
    assert msgspec.json.decode(msgspec.json.encode(stored), type=orders.MODEL.command) == document


# ------------------------------------------------------------------------------------------------- any history

skus = st.sampled_from(["pen", "ink", "pad"])
prices = st.integers(0, 300).map(lambda minor: Decimal(minor).scaleb(-2))
inputs = st.one_of(
    st.sampled_from(list(INPUTS.items())),
    st.builds(lambda *new: (orders.add_item, {"item": NewItem(*new)}), skus, st.just("x"), st.integers(1, 900), prices),
    st.builds(lambda s, n: (orders.change_item_quantity, {"sku": s, "quantity": n}), skus, st.integers(-1, 1_001)),
    st.builds(lambda sku: (orders.remove_item, {"sku": sku}), skus),
)


@settings(deadline=None)
@given(st.lists(inputs, max_size=25))
def test_whatever_is_decided_the_order_keeps_its_rules(commands: list[tuple[Any, dict[str, Any]]]) -> None:
    state, happened = evolve(None, CREATED), 1
    for decide, arguments in commands:
        try:
            events: list[Event] = decide(state, **arguments, at=LATER)
        except Rejected:
            continue
        for event in events:
            state, happened = evolve(state, event), happened + 1
    assert state.version == happened
    assert len({item.sku for item in state.items}) == len(state.items)
    assert all(1 <= item.quantity <= 1_000 for item in state.items)
    assert state.total == sum(item.quantity * item.unit_price for item in state.items)
    assert state.submitted_at is None or (state.items and state.shipping_address)
