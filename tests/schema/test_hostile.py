"""Hostile input: whatever is sent, the answer is a typed rejection or an error that names the fault, never INTERNAL."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.schema.api import ADDRESS, RESULT, SCHEMA, UUIDS, Api, Json, line, new_order

# What each engine makes of hostile text is a matter of the store's contract.
pytestmark = pytest.mark.parametrize("engine", ["memory"], indirect=True)

ORDER_ID = f"order:ada:{UUIDS[1]}"
HOSTILE = {
    "huge": "x" * 1_000_000,
    "nul": "a\u0000b",
    "escape": "a\u001b[2Jb",
    "surrogate": "a\ud800b",
    "backwards": "\udc00\ud800",
    "digits": "9" * 5000,
    "quotes": "'; DROP TABLE orders; --\"\\",
    "bidi": "\u202eabc",
    "empty": "",
}
COMMANDS: dict[str, Json] = {
    "createOrder": new_order(
        currency="USD", orderUuid=UUIDS[1], commandId=UUIDS[2], items=[line()], shippingAddress=ADDRESS
    ),
    "addItem": {"orderId": ORDER_ID, "item": line()},
    "changeItemQuantity": {"orderId": ORDER_ID, "sku": "tea", "quantity": 1},
    "removeItem": {"orderId": ORDER_ID, "sku": "tea"},
    "setShippingAddress": {"orderId": ORDER_ID, "address": ADDRESS | {"line2": "x", "region": "x"}},
    "setPaymentMethod": {"orderId": ORDER_ID, "method": "CARD", "reference": "x"},
    "submitOrder": {"orderId": ORDER_ID, "commandId": UUIDS[3]},
    "recordPayment": {"orderId": ORDER_ID, "amount": "10.00", "reference": "x"},
    "shipOrder": {"orderId": ORDER_ID, "carrier": "x", "trackingNumber": "x"},
    "deliverOrder": {"orderId": ORDER_ID},
    "cancelOrder": {"orderId": ORDER_ID, "reason": "x"},
}


def texts(input: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in an input there is text."""
    match input:
        case str():
            yield path
        case dict():
            for name, value in input.items():
                yield from texts(value, (*path, name))
        case list():
            for index, value in enumerate(input):
                yield from texts(value, (*path, index))


def put(input: Json, path: tuple[Any, ...], value: Any) -> Json:
    """The input with another value at that path."""
    changed = copy.deepcopy(input)
    inner: Any = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return changed


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize(("mutation", "input"), COMMANDS.items(), ids=COMMANDS)
async def test_hostile_text_in_any_field_of_a_command_is_answered_clearly(
    api: Api, mutation: str, input: Json, text: str
) -> None:
    await api.created()
    name = SCHEMA._schema.mutation_type.fields[mutation].args["input"].type  # type: ignore[union-attr]
    document = f"mutation($input: {name}) {{ {mutation}(input: $input) {RESULT} }}"
    for path in texts(input):
        for given in (put(input, path, text), put(input, path, text) | {"commandId": UUIDS[7]}):
            result = await api.execute(document, {"input": given})
            if result.errors:
                assert [(error.extensions or {}).get("code") for error in result.errors] == ["BAD_INPUT"], path
                assert all(len(error.message) < 300 or text[:1000] in error.message for error in result.errors), path
            else:
                assert (result.data or {})[mutation]["__typename"], path
    await api.project()


REJECTED: list[tuple[str, str]] = [
    ("huge", "TEXT_TOO_LONG"),
    ("nul", "TEXT_INVALID"),
    ("escape", "TEXT_INVALID"),
    ("surrogate", "TEXT_INVALID"),
    ("empty", "TEXT_EMPTY"),
]


@pytest.mark.parametrize(("text", "code"), REJECTED)
async def test_a_title_that_cannot_be_kept_is_rejected(api: Api, text: str, code: str) -> None:
    result = await api.command("createOrder", new_order(items=[line(title=HOSTILE[text])]))
    assert (result["code"], result["fields"]) == (code, ["items.0.title"])


async def test_text_that_is_only_strange_is_kept_as_it_is(api: Api) -> None:
    title = "\u202e' OR 1=1; \\ \U0001f375 é"
    id = await api.created(items=[line(title=title)])
    await api.project()
    assert (await api.order(id) or {})["items"][0]["title"] == title


async def test_ten_thousand_items_are_rejected_before_they_are_looked_at(api: Api) -> None:
    result = await api.command(
        "createOrder", new_order(items=[line(f"tea{n}", -n, "x" and "0") for n in range(10_000)])
    )
    assert (result["code"], result["fields"]) == ("TOO_MANY_ITEMS", ["items"])


async def test_an_order_as_large_as_the_rules_allow_is_kept_and_projected(api: Api) -> None:
    items = [line("s" * 61 + f"{number:03}", 1000, "1000000.00", "\U0001f375" * 200) for number in range(100)]
    id = (await api.submitted(items=items))["order"]["id"]
    await api.project()
    order = await api.order(id) or {}
    assert (order["itemCount"], order["total"]["amount"]) == (100, "100000000000.00")


QUESTIONS = {
    "node": "query($text: ID!) { node(id: $text) { id } }",
    "order": "query($text: ID!) { order(id: $text) { id } }",
    "customer": "query($text: ID!) { customerOrders(customerId: $text) { nodes { id } } }",
    "summary": "query($text: ID!) { customerOrderSummary(customerId: $text) { id } }",
    "sales": "query($text: String!) { productSales(sku: $text) { id } }",
    "sku": "query($text: String) { orders(filter: {sku: $text}) { nodes { id } } }",
    "moment": "query($text: DateTime) { orders(filter: {createdTo: $text}) { nodes { id } } }",
    "after": "query($text: String) { orders(after: $text) { nodes { id } } }",
    "before": 'query($text: String) { customerOrders(customerId: "ada", last: 1, before: $text) { nodes { id } } }',
    "token": 'query($text: ConsistencyToken!) { productSales(sku: "a", consistency: {after: [$text]}) { id } }',
    "document": "query($text: ID!) { order(id: $text) { id } } fragment é on Order { id }",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("document", QUESTIONS.values(), ids=QUESTIONS)
async def test_hostile_text_in_any_question_is_answered_clearly(api: Api, document: str, text: str) -> None:
    result = await api.execute(document, {"text": text})
    for error in result.errors or []:
        assert error.message
        assert (error.extensions or {}).get("code") != "INTERNAL"


DOCUMENTS = {
    "deep": "{a" * 5000 + "}" * 5000,
    "deep value": f"{{ order(id: {'[' * 5000}1{']' * 5000}) {{ id }} }}",
    "long integer": '{ customerOrders(customerId: "a", first: %s) { nodes { id } } }' % ("9" * 5000),
    "surrogate": '{ order(id: "\ud800") { id } }',
    "nul": "{ \u0000 }",
    "circle": "{ ...a } fragment a on Query { ...a }",
    "unknown": "{ nothing }",
    "unclosed": '{ order(id: "',
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
async def test_a_document_that_cannot_be_executed_is_an_error_and_not_ours(api: Api, document: str) -> None:
    result = await api.execute(document)
    assert result.data is None
    assert result.errors
    assert not any((error.extensions or {}).get("code") == "INTERNAL" for error in result.errors)
