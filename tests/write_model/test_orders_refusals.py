"""Every rule, at both sides of its edge; and that no code in the source goes without a test here."""

import ast
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.write_model.examples import ADDRESS, CREATE, CREATED, LATER, NEW_PEN, NOON, PEN, SUBMITTED, order
from write_model import orders
from write_model.orders import Event, Item, NewItem, PaymentMethod
from write_model.orders.events import ItemAdded, ItemQuantityChanged, ItemRemoved, OrderCreated

Decide = Callable[..., list[Event]]
EMPTY = ItemRemoved(at=NOON, sku="pen")
HOMELESS = msgspec.structs.replace(CREATED, shipping_address=None)
FULL = msgspec.structs.replace(CREATED, items=tuple(Item(f"sku{n}", "Thing", 1, 1) for n in range(100)))
MANY = ItemQuantityChanged(at=NOON, sku="pen", quantity=1_000)


def create(**changed: Any) -> tuple[tuple[Event, ...], Decide, dict[str, Any]]:
    return (), orders.create, {**CREATE, **changed}


def add(*past: Event, **changed: Any) -> tuple[tuple[Event, ...], Decide, dict[str, Any]]:
    return past or (CREATED,), orders.add_item, {"item": NEW_PEN._replace(**changed)}


def move(**changed: Any) -> tuple[tuple[Event, ...], Decide, dict[str, Any]]:
    return (CREATED,), orders.set_shipping_address, {"address": msgspec.structs.replace(ADDRESS, **changed)}


def on(*past: Event, decide: Decide, **arguments: Any) -> tuple[tuple[Event, ...], Decide, dict[str, Any]]:
    return past, decide, arguments


REFUSALS = [
    ("ORDER_EXISTS", ["orderUuid"], on(CREATED, decide=orders.create, **CREATE)),
    ("WRONG_STATUS", [], on(CREATED, decide=orders.deliver)),
    ("EMPTY_ORDER", [], on(CREATED, EMPTY, decide=orders.submit)),
    ("NO_SHIPPING_ADDRESS", [], on(HOMELESS, decide=orders.submit)),
    # Ids
    *[("CUSTOMER_ID_INVALID", ["customerId"], create(customer_id=id)) for id in ["", "a:b", "a b", "é", "a" * 65]],
    *[("SKU_INVALID", ["item.sku"], add(sku=sku)) for sku in ["", "a/b", "pen\n", "a" * 65, "\ud800", "٣"]],
    ("ITEM_NOT_FOUND", ["sku"], on(CREATED, decide=orders.change_item_quantity, sku="Pen", quantity=1)),
    ("ITEM_NOT_FOUND", ["sku"], on(CREATED, EMPTY, decide=orders.remove_item, sku="pen")),
    # Texts
    *[("TEXT_EMPTY", ["customer.name"], create(name=name)) for name in ["", " ", "\t\n\u2003"]],
    *[("TEXT_INVALID", ["item.title"], add(title=f"a{bad}b")) for bad in ["\0", "\n", "\x7f", "\x85", "\ud800"]],
    ("TEXT_INVALID", ["customer.name"], create(name="\udfff")),
    ("TEXT_INVALID", ["customer.email"], create(email="a\ud800@example.com")),
    ("TEXT_TOO_LONG", ["customer.name"], create(name="a" * 201)),
    ("TEXT_TOO_LONG", ["customer.email"], create(email="a" * 243 + "@example.com")),
    ("TEXT_TOO_LONG", ["item.title"], add(title="a" * 201)),
    ("TEXT_TOO_LONG", ["reason"], on(CREATED, decide=orders.cancel, reason="a" * 501)),
    ("TEXT_EMPTY", ["reason"], on(CREATED, decide=orders.cancel, reason=" ")),
    ("TEXT_EMPTY", ["carrier"], on(CREATED, decide=orders.ship, carrier="", tracking_number="T1")),
    ("TEXT_EMPTY", ["trackingNumber"], on(CREATED, decide=orders.ship, carrier="Post", tracking_number="")),
    ("TEXT_EMPTY", ["reference"], on(CREATED, decide=orders.record_payment, amount=Decimal(3), reference="")),
    (
        "TEXT_TOO_LONG",
        ["reference"],
        on(CREATED, decide=orders.set_payment_method, method=PaymentMethod.CARD, reference="a" * 101),
    ),
    *[
        ("EMAIL_INVALID", ["customer.email"], create(email=email))
        for email in ["ada", "@example.com", "ada@", "ada@com", "ada@a..com", "ada@.com", "a@b@c.com", "a b@c.com"]
    ],
    # Addresses
    *[("COUNTRY_UNKNOWN", ["address.country"], move(country=country)) for country in ["", "gb", "UK", "GBR", "\ud800"]],
    ("COUNTRY_UNKNOWN", ["shippingAddress.country"], create(shipping_address=move(country="XX")[2]["address"])),
    ("TEXT_EMPTY", ["address.name"], move(name="")),
    ("TEXT_TOO_LONG", ["address.line1"], move(line1="a" * 201)),
    ("TEXT_TOO_LONG", ["address.line2"], move(line2="a" * 201)),
    ("TEXT_TOO_LONG", ["address.city"], move(city="a" * 101)),
    ("TEXT_TOO_LONG", ["address.region"], move(region="a" * 101)),
    ("TEXT_TOO_LONG", ["address.postalCode"], move(postal_code="a" * 21)),
    # Quantities
    *[("QUANTITY_OUT_OF_RANGE", ["item.quantity"], add(quantity=n)) for n in [-1, 0, 1_001, 10**30]],
    ("QUANTITY_OUT_OF_RANGE", ["item.quantity"], add(CREATED, MANY, quantity=1)),
    ("QUANTITY_OUT_OF_RANGE", ["quantity"], on(CREATED, decide=orders.change_item_quantity, sku="pen", quantity=0)),
    ("QUANTITY_OUT_OF_RANGE", ["items.1.quantity"], create(items=[NEW_PEN, NEW_PEN._replace(quantity=999)])),
    ("TOO_MANY_ITEMS", ["item"], add(FULL)),
    ("TOO_MANY_ITEMS", ["items"], create(items=[NEW_PEN] * 101)),
    ("TOO_MANY_ITEMS", ["items"], create(items=[NEW_PEN._replace(sku=f"sku{n}") for n in range(10_000)])),
    # Money
    *[("CURRENCY_UNKNOWN", ["currency"], create(currency=code)) for code in ["", "eur", "XXX", "EURO", "\ud800"]],
    *[
        ("PRICE_OUT_OF_RANGE", ["item.unitPrice"], add(unit_price=Decimal(price)))
        for price in ["NaN", "sNaN", "-NaN", "Infinity", "-Infinity", "-0.01", "1000000.01", "1E+21", "9E+999999"]
    ],
    ("AMOUNT_PRECISION", ["item.unitPrice"], add(unit_price=Decimal("1.505"))),
    ("AMOUNT_PRECISION", ["items.0.unitPrice"], create(currency="JPY")),
    ("PRICE_DIFFERS", ["item.unitPrice"], add(unit_price=Decimal("1.51"))),
    ("PRICE_DIFFERS", ["items.1.unitPrice"], create(items=[NEW_PEN, NEW_PEN._replace(unit_price=Decimal(2))])),
    *[
        (
            code,
            ["amount"],
            on(CREATED, SUBMITTED, decide=orders.record_payment, amount=Decimal(amount), reference="pay"),
        )
        for code, amount in [
            ("AMOUNT_MISMATCH", "2.99"),
            ("AMOUNT_MISMATCH", "3.01"),
            ("AMOUNT_PRECISION", "3.001"),
            ("PRICE_OUT_OF_RANGE", "-3"),
            ("PRICE_OUT_OF_RANGE", "NaN"),
        ]
    ],
]


@pytest.mark.parametrize(
    ("code", "fields", "case"),
    [pytest.param(*refusal, id=f"{number}-{refusal[0]}") for number, refusal in enumerate(REFUSALS)],
)
def test_what_breaks_a_rule_is_rejected_with_its_code_and_the_input_at_fault(
    code: str, fields: list[str], case: tuple[tuple[Event, ...], Decide, dict[str, Any]]
) -> None:
    past, decide, arguments = case
    order.given(*past).when(decide, **arguments, at=LATER).then_rejected(code, *fields)


def test_every_code_in_the_source_is_exercised_here() -> None:
    sources = Path(orders.__file__).parent.glob("*.py")
    constants = (node for source in sources for node in ast.walk(ast.parse(source.read_text())))
    texts = {node.value for node in constants if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    codes = {text for text in texts if re.fullmatch(r"[A-Z]+(_[A-Z]+)+", text)}
    assert codes == {code for code, _, _ in REFUSALS}


# ------------------------------------------------------------------------------------- the last that is still good

EDGES = [
    create(customer_id="a" * 64, name="a" * 200, email="a" * 242 + "@example.com"),
    create(customer_id="aZ0._@-", name="Ada 😀 Łovelace"),
    create(items=[NEW_PEN._replace(sku=f"sku{n}") for n in range(100)]),
    create(items=[NEW_PEN] * 100),
    create(email="ada@mail.example.co.uk"),
    add(sku="a" * 64, title="a" * 200, quantity=1_000, unit_price=Decimal("1000000.00")),
    add(sku="ink", quantity=1, unit_price=Decimal(0)),
    add(quantity=998),
    add(FULL, sku="sku7", unit_price=Decimal("0.01")),
    add(title=" " * 300 + "Pen"),
    move(line1="a" * 200, line2="a" * 200, city="a" * 100, region="a" * 100, postal_code="a" * 20),
    on(CREATED, decide=orders.change_item_quantity, sku="pen", quantity=1_000),
    on(CREATED, decide=orders.cancel, reason="a" * 500),
    on(CREATED, decide=orders.set_payment_method, method=PaymentMethod.CARD, reference="a" * 100),
]


@pytest.mark.parametrize(("past", "decide", "arguments"), EDGES)
def test_what_lies_just_within_a_bound_is_accepted(
    past: tuple[Event, ...], decide: Decide, arguments: dict[str, Any]
) -> None:
    outcome = order.given(*past).when(decide, **arguments, at=LATER)
    assert outcome.refusal is None
    assert outcome.events


def test_the_largest_order_has_a_total_that_every_json_number_holds_exactly() -> None:
    items = [NewItem(f"sku{n}", "Gold", 1_000, Decimal(1_000_000)) for n in range(100)]
    (created,) = order.given().when(orders.create, **{**CREATE, "items": items}, at=NOON).events
    assert orders.evolve(None, created).total == 10**13 < 2**53


def test_a_removed_line_makes_room_for_another() -> None:
    freed = order.given(FULL, ItemRemoved(at=NOON, sku="sku7"))
    freed.when(orders.add_item, item=NEW_PEN, at=LATER).then(ItemAdded(at=LATER, item=PEN))


def test_an_order_created_without_items_is_empty() -> None:
    bare: OrderCreated = msgspec.structs.replace(CREATED, items=())
    order.given(bare).when(orders.submit, at=LATER).then_rejected("EMPTY_ORDER")
