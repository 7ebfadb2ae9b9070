"""Variables that take long to be converted, or to be used: refused before, on every transport."""

import json
from typing import Any

import pytest

from gateway.limits.variables import LEAST_BYTES, values_in
from gateway.settings import Settings
from tests.gateway.edge import open_edge
from tests.schema.api import new_order
from tests.security.attacked import Attacked

MOST = Settings.model_fields["max_variable_values"].default
LISTED = "query($f: OrderFilter) { orders(filter: $f) { nodes { id } } }"
CREATE = """mutation($input: CreateOrderInput!) { createOrder(input: $input) {
  __typename ... on OrderCommandSucceeded { order { items { sku } } } } }"""
FLOODS: dict[str, tuple[str, Any]] = {
    "objects in a list": (CREATE, {"input": {**new_order(), "items": [{}] * 60_000}}),
    "unknown keys": (CREATE, {"input": {f"k{n}": 1 for n in range(20_000)}}),
    "unknown variables": ("{ __typename }", {f"k{n}": 1 for n in range(20_000)}),
    "lists in lists": (LISTED, {"f": {"status": [[[]] * 50] * 50}}),
    "the same status": (LISTED, {"f": {"status": ["PAID"] * MOST}}),
}


@pytest.mark.parametrize(("document", "variables"), FLOODS.values(), ids=FLOODS)
async def test_too_many_values_are_refused_before_they_are_converted(
    attacked: Attacked, document: str, variables: Any
) -> None:
    request = {"query": document, "variables": variables}
    status, answer = await attacked.post(request)
    assert (status, answer["errors"][0]["extensions"]["code"]) == (400, "VARIABLES_LIMIT")
    async with attacked.http.post(f"{attacked.url}/graphql/stream", json=request) as streamed:
        assert (streamed.status, "VARIABLES_LIMIT" in await streamed.text()) == (400, True)
    async with attacked.socket() as socket:
        await socket.send_json({"type": "subscribe", "id": "1", "payload": request})
        told = await socket.receive_json()
        assert (told["type"], told["payload"][0]["extensions"]["code"]) == ("error", "VARIABLES_LIMIT")


async def test_too_many_values_are_refused_by_get_too(attacked: Attacked) -> None:
    variables = json.dumps({"f": {"status": [1] * MOST}}, separators=(",", ":"))
    async with attacked.http.get(attacked.graphql, params={"query": LISTED, "variables": variables}) as answer:
        assert (answer.status, "VARIABLES_LIMIT" in await answer.text()) == (400, True)


@pytest.mark.parametrize(
    ("variables", "count"),
    [
        ({}, 0),
        ({"a": 1, "b": None}, 2),
        ({"a": [1, "x", [True]], "b": {"c": {}, "d": [[], {}]}}, 10),
        ({"a": [[]] * 7}, 8),
    ],
)
def test_every_value_is_counted_and_takes_so_many_bytes_at_least(variables: Any, count: int) -> None:
    assert values_in(variables) == count
    assert count * LEAST_BYTES <= len(json.dumps(variables, separators=(",", ":")))
    assert values_in({"a": [variables] * 100, "b": [1] * 1_000}, at_most=10) > 10


async def test_the_largest_order_passes_however_it_is_written(attacked: Attacked) -> None:
    items = [
        {"sku": f"{n:064}", "title": "\N{GREEN BOOK}" * 200, "quantity": 1000, "unitPrice": "1000000.00"}
        for n in range(100)
    ]
    status, answer = await attacked.post({"query": CREATE, "variables": {"input": new_order(items=items)}})
    assert (status, len(answer["data"]["createOrder"]["order"]["items"])) == (200, 100), answer


async def test_more_statuses_than_there_are_are_refused(attacked: Attacked) -> None:
    document = "query($s: [OrderStatus!]) { orders(filter: {status: $s}) { nodes { id } } }"
    assert await attacked.code(document, {"s": ["PAID"] * 6}) is None
    assert await attacked.code(document, {"s": ["PAID"] * 7}) == "BAD_INPUT"
    assert await attacked.code("{ orders(filter: {status: [%s]}) { nodes { id } } }" % ("PAID " * 7)) == "BAD_INPUT"
    assert await attacked.code(LISTED, {"f": {"status": ["PAID"] * 1_999}}) == "VARIABLES_LIMIT"
    assert await attacked.code(LISTED, {"f": {"status": ["PAID"] * 1_998}}) == "BAD_INPUT"


async def test_many_values_cost_more() -> None:
    document = "query($a: [ConsistencyToken!]!) { order(id: 1, consistency: {after: $a}) { id } }"
    async with open_edge(rate_per_identity=2.2) as edge:  # 22 at once, of which the document takes 20
        for count, expected in ((1, 200), (1_900, 429)):
            status, _ = await edge.post({"query": document, "variables": {"a": ["x"] * count}})
            assert status == expected
