"""Commands that succeed: each answers with the order as its projection will show it."""

from typing import Any

import pytest

from tests.schema.api import ADDRESS, UUIDS, Api, Json, line, new_order

ORDER_ID = f"order:ada:{UUIDS[1]}"
COMMAND_ID = UUIDS[99]
TOTAL = "10.00"

Step = tuple[str, Json]

SUBMIT: Step = ("submitOrder", {})
PAY: Step = ("recordPayment", {"amount": TOTAL, "reference": "P-1"})
SHIP: Step = ("shipOrder", {"carrier": "Post", "trackingNumber": "T-1"})
DELIVER: Step = ("deliverOrder", {})

CASES: list[tuple[list[Step], Step, str, Json]] = [
    ([], ("addItem", {"item": line("jam", 3, "1.50", "Jam")}), "Item added.", {"itemCount": 2}),
    ([], ("addItem", {"item": line(quantity=1)}), "Item added.", {"itemCount": 1, "productIds": ["tea"]}),
    ([], ("changeItemQuantity", {"sku": "tea", "quantity": 7}), "Quantity changed.", {"version": 2}),
    ([], ("removeItem", {"sku": "tea"}), "Item removed.", {"items": [], "itemCount": 0}),
    (
        [],
        ("setShippingAddress", {"address": ADDRESS | {"city": "Lyon", "country": "FR", "line2": "2nd floor"}}),
        "Shipping address set.",
        {"shippingSummary": "Ada, Lyon, FR"},
    ),
    ([], ("setPaymentMethod", {"method": "INVOICE"}), "Payment method set.", {"paymentMethod": "INVOICE"}),
    ([], SUBMIT, "Order submitted.", {"status": "SUBMITTED", "statusDisplay": "Awaiting payment"}),
    ([SUBMIT], PAY, "Payment recorded.", {"status": "PAID"}),
    ([SUBMIT, PAY], SHIP, "Order shipped.", {"status": "SHIPPED", "trackingNumber": "T-1"}),
    ([SUBMIT, PAY, SHIP], DELIVER, "Order delivered.", {"status": "DELIVERED", "version": 5}),
    ([SUBMIT], ("cancelOrder", {"reason": "too late"}), "Order cancelled.", {"cancelReason": "too late"}),
]


@pytest.mark.parametrize(("before", "step", "message", "changed"), CASES, ids=[case[1][0] for case in CASES])
async def test_a_command_answers_with_what_the_projection_shows_later(
    api: Api, before: list[Step], step: Step, message: str, changed: Json
) -> None:
    id = await api.created()
    for mutation, input in before:
        await api.done(mutation, {"orderId": id, **input})
    mutation, input = step
    payload = await api.done(mutation, {"orderId": id, "commandId": COMMAND_ID, **input})
    await api.project()
    assert payload["order"] == await api.order(id)
    assert payload["order"] | changed == payload["order"]
    assert payload["order"]["version"] == len(before) + 2
    assert (payload["message"], payload["commandId"], payload["replayed"]) == (message, COMMAND_ID, False)


async def test_a_created_order_is_shown_field_by_field_as_the_projection_shows_it(api: Api) -> None:
    items = [line(), line("jam", 1, "1.5", " Jam "), line(quantity=1)]
    address = ADDRESS | {"line2": "c/o Bob", "region": " "}
    input = new_order(orderUuid=UUIDS[1].upper(), currency="EUR", shippingAddress=address, items=items)
    payload = await api.done("createOrder", input)
    await api.project()
    order = payload["order"]
    assert order == await api.order(ORDER_ID)
    at = order["createdAt"]
    euro = {"currency": "EUR"}
    assert order == {
        "id": ORDER_ID,
        "customerId": "ada",
        "customerName": "Ada",
        "customerEmail": "ada@example.com",
        "status": "DRAFT",
        "statusDisplay": "Draft",
        "version": 1,
        "items": [
            {"sku": "tea", "title": "Tea", "quantity": 3}
            | {"unitPrice": euro | {"amount": "5.00"}, "lineTotal": euro | {"amount": "15.00"}},
            {"sku": "jam", "title": "Jam", "quantity": 1}
            | {"unitPrice": euro | {"amount": "1.50"}, "lineTotal": euro | {"amount": "1.50"}},
        ],
        "itemCount": 2,
        "total": euro | {"amount": "16.50"},
        "productIds": ["tea", "jam"],
        "shippingAddress": ADDRESS | {"line2": "c/o Bob", "region": None},
        "shippingSummary": "Ada, Berlin, DE",
        "paymentMethod": None,
        "trackingNumber": None,
        "cancelReason": None,
        "createdAt": at,
        "updatedAt": at,
        "submittedAt": None,
    }


async def test_an_order_may_be_created_with_nothing_but_a_customer(api: Api) -> None:
    order = (await api.done("createOrder", new_order("customer:bob")))["order"]
    shown = [order[name] for name in ("customerId", "items", "total", "shippingAddress")]
    assert shown == ["bob", [], {"amount": "0.00", "currency": "USD"}, None]
    assert order["id"].startswith("order:bob:")


AIMS: list[tuple[list[Step], Step]] = [
    ([], ("changeItemQuantity", {"sku": "tea", "quantity": 2})),
    ([], ("setShippingAddress", {"address": ADDRESS})),
    ([SUBMIT], SUBMIT),
    ([SUBMIT, PAY], PAY),
    ([SUBMIT, PAY, SHIP], SHIP),
    ([SUBMIT, PAY, SHIP, DELIVER], DELIVER),
    ([("cancelOrder", {"reason": "a"})], ("cancelOrder", {"reason": "b"})),
]


@pytest.mark.parametrize(("before", "step"), AIMS, ids=[step[0] for _, step in AIMS])
async def test_a_command_whose_aim_is_fulfilled_succeeds_and_changes_nothing(
    api: Api, before: list[Step], step: Step
) -> None:
    id = await api.created()
    for mutation, input in before:
        await api.done(mutation, {"orderId": id, **input})
    await api.project()
    shown = await api.order(id)
    assert (await api.done(step[0], {"orderId": id, **step[1]}))["order"] == shown


async def test_a_command_id_that_is_sent_again_gives_the_same_result_as_replayed(api: Api) -> None:
    input = {"orderId": await api.created(), "commandId": COMMAND_ID, "item": line("jam")}
    first = await api.done("addItem", input)
    await api.done("submitOrder", {"orderId": input["orderId"]})
    assert await api.done("addItem", input) == first | {"replayed": True}


async def test_a_creation_that_is_sent_again_is_replayed(api: Api) -> None:
    input = new_order(orderUuid=UUIDS[1], commandId=COMMAND_ID)
    first = await api.done("createOrder", input)
    assert await api.done("createOrder", input) == first | {"replayed": True}


async def test_the_expected_version_lets_a_command_through_when_it_holds(api: Api) -> None:
    id = await api.created()
    payload = await api.done("submitOrder", {"orderId": id, "expectedVersion": 1})
    assert payload["order"]["version"] == 2


async def test_mutations_of_one_document_are_carried_out_in_turn_under_their_aliases(api: Api) -> None:
    id = await api.created()
    document = """
        mutation($id: ID!) {
          more: changeItemQuantity(input: {orderId: $id, sku: "tea", quantity: 3}) { ...version }
          done: submitOrder(input: {orderId: $id}) { ...version }
        }
        fragment version on OrderCommandResult { ... on OrderCommandSucceeded { at: order { v: version } } }
    """
    assert await api.ask(document, {"id": id}) == {"more": {"at": {"v": 2}}, "done": {"at": {"v": 3}}}


@pytest.mark.parametrize("given", [{}, {"commandId": None, "expectedVersion": None}])
async def test_what_is_optional_may_be_left_out_or_null(api: Api, given: dict[str, Any]) -> None:
    id = await api.created()
    input = {"orderId": id, "method": "CARD", **given}
    assert (await api.done("setPaymentMethod", input))["order"]["paymentMethod"] == "CARD"
