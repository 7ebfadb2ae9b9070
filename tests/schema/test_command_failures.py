"""Commands that are not carried out: each says why in a type of its own, and nothing was written."""

import pytest

from tests.schema.api import ADDRESS, CUSTOMER, UUIDS, Api, Json, line, new_order

ORDER_ID = f"order:ada:{UUIDS[1]}"

CREATIONS: list[tuple[Json, str, list[str]]] = [
    ({"customerId": "a b"}, "CUSTOMER_ID_INVALID", ["customerId"]),
    ({"customer": CUSTOMER | {"name": " "}}, "TEXT_EMPTY", ["customer.name"]),
    ({"customer": CUSTOMER | {"email": "ada"}}, "EMAIL_INVALID", ["customer.email"]),
    ({"currency": "BTC"}, "CURRENCY_UNKNOWN", ["currency"]),
    ({"shippingAddress": ADDRESS | {"country": "XX"}}, "COUNTRY_UNKNOWN", ["shippingAddress.country"]),
    ({"items": [line(), line("a b")]}, "SKU_INVALID", ["items.1.sku"]),
    ({"items": [line(quantity=0)]}, "QUANTITY_OUT_OF_RANGE", ["items.0.quantity"]),
    ({"items": [line(price="-1")]}, "PRICE_OUT_OF_RANGE", ["items.0.unitPrice"]),
    ({"items": [line(price="1.001")]}, "AMOUNT_PRECISION", ["items.0.unitPrice"]),
    ({"items": [line(), line(price="6")]}, "PRICE_DIFFERS", ["items.1.unitPrice"]),
    ({"items": [line(f"tea{number}") for number in range(101)]}, "TOO_MANY_ITEMS", ["items"]),
]


@pytest.mark.parametrize(("input", "code", "fields"), CREATIONS, ids=[code for _, code, _ in CREATIONS])
async def test_a_creation_that_breaks_a_rule_names_the_rule_and_the_input(
    api: Api, input: Json, code: str, fields: list[str]
) -> None:
    result = await api.command("createOrder", new_order(orderUuid=UUIDS[1]) | input)
    shown = [result[name] for name in ("__typename", "code", "fields", "asItIs")]
    assert shown == ["CommandRejected", code, fields, None]
    assert result["message"]
    await api.project()
    assert await api.order(ORDER_ID) is None


STEPS: list[tuple[str, Json, str, list[str]]] = [
    ("addItem", {"item": line(price="6")}, "PRICE_DIFFERS", ["item.unitPrice"]),
    ("addItem", {"item": line(quantity=999)}, "QUANTITY_OUT_OF_RANGE", ["item.quantity"]),
    ("changeItemQuantity", {"sku": "jam", "quantity": 1}, "ITEM_NOT_FOUND", ["sku"]),
    ("removeItem", {"sku": "jam"}, "ITEM_NOT_FOUND", ["sku"]),
    ("setShippingAddress", {"address": ADDRESS | {"city": ""}}, "TEXT_EMPTY", ["address.city"]),
    ("setPaymentMethod", {"method": "CARD", "reference": "x" * 101}, "TEXT_TOO_LONG", ["reference"]),
    ("recordPayment", {"amount": "10.00", "reference": "P-1"}, "WRONG_STATUS", []),
    ("shipOrder", {"carrier": "Post", "trackingNumber": " "}, "TEXT_EMPTY", ["trackingNumber"]),
    ("deliverOrder", {}, "WRONG_STATUS", []),
    ("cancelOrder", {"reason": ""}, "TEXT_EMPTY", ["reason"]),
]


@pytest.mark.parametrize(("mutation", "input", "code", "fields"), STEPS, ids=[f"{s[0]}-{s[2]}" for s in STEPS])
async def test_a_command_that_breaks_a_rule_shows_the_order_as_it_is(
    api: Api, mutation: str, input: Json, code: str, fields: list[str]
) -> None:
    id = await api.created()
    await api.project()
    result = await api.command(mutation, {"orderId": id, **input})
    shown = [result[name] for name in ("__typename", "code", "fields", "asItIs")]
    assert shown == ["CommandRejected", code, fields, await api.order(id)]


@pytest.mark.parametrize(
    ("begun_with", "code"), [({"items": []}, "EMPTY_ORDER"), ({"shippingAddress": None}, "NO_SHIPPING_ADDRESS")]
)
async def test_an_incomplete_order_cannot_be_submitted(api: Api, begun_with: Json, code: str) -> None:
    result = await api.command("submitOrder", {"orderId": await api.created(**begun_with)})
    assert (result["__typename"], result["code"]) == ("CommandRejected", code)


async def test_a_payment_of_another_amount_is_rejected(api: Api) -> None:
    id = (await api.submitted())["order"]["id"]
    result = await api.command("recordPayment", {"orderId": id, "amount": "10.01", "reference": "P-1"})
    assert (result["code"], result["fields"]) == ("AMOUNT_MISMATCH", ["amount"])


async def test_an_id_that_is_taken_is_rejected_with_the_order_that_has_it(api: Api) -> None:
    id = await api.created()
    await api.project()
    result = await api.command("createOrder", new_order(orderUuid=UUIDS[1]))
    assert (result["code"], result["fields"]) == ("ORDER_EXISTS", ["orderUuid"])
    assert result["asItIs"] == await api.order(id)


EVERY_COMMAND: list[tuple[str, Json]] = [
    ("addItem", {"item": line()}),
    ("changeItemQuantity", {"sku": "tea", "quantity": 1}),
    ("removeItem", {"sku": "tea"}),
    ("setShippingAddress", {"address": ADDRESS}),
    ("setPaymentMethod", {"method": "CARD"}),
    ("submitOrder", {}),
    ("recordPayment", {"amount": "1", "reference": "P-1"}),
    ("shipOrder", {"carrier": "Post", "trackingNumber": "T-1"}),
    ("deliverOrder", {}),
    ("cancelOrder", {"reason": "late"}),
]
every_command = pytest.mark.parametrize(("mutation", "input"), EVERY_COMMAND, ids=[name for name, _ in EVERY_COMMAND])


@every_command
async def test_a_command_on_an_order_that_does_not_exist_says_so(api: Api, mutation: str, input: Json) -> None:
    assert await api.command(mutation, {"orderId": ORDER_ID, **input}) == {
        "__typename": "OrderNotFound",
        "message": "There is no such order.",
        "code": "ORDER_NOT_FOUND",
        "orderId": ORDER_ID,
    }


@every_command
async def test_a_command_that_expected_another_version_gets_the_current_one(
    api: Api, mutation: str, input: Json
) -> None:
    id = await api.created()
    await api.project()
    assert await api.command(mutation, {"orderId": id, "expectedVersion": 7, **input}) == {
        "__typename": "VersionConflict",
        "message": "The order is at version 1, not 7.",
        "code": "VERSION_CONFLICT",
        "expectedVersion": 7,
        "currentVersion": 1,
        "order": await api.order(id),
    }


@every_command
async def test_a_command_id_serves_one_input_only(api: Api, mutation: str, input: Json) -> None:
    id = await api.created(commandId=UUIDS[99])
    result = await api.command(mutation, {"orderId": id, "commandId": UUIDS[99], **input})
    assert (result["__typename"], result["code"], result["commandId"]) == (
        "CommandIdReused",
        "COMMAND_ID_REUSED",
        UUIDS[99],
    )


@pytest.mark.parametrize(
    "id",
    ["", "x", "order:ada", "order:ada:1", f"customer:{UUIDS[1]}", f"order:a b:{UUIDS[1]}", f"{ORDER_ID}\n", "\ud800"],
)
async def test_a_command_on_what_is_no_order_id_is_rejected(api: Api, id: str) -> None:
    result = await api.command("submitOrder", {"orderId": id})
    assert (result["__typename"], result["code"], result["fields"]) == ("CommandRejected", "ID_INVALID", ["orderId"])
