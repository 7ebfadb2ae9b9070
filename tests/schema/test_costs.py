"""What operations cost: declared at the schema, by page sizes and variables, told in each answer."""

from typing import Any

import pytest
from graphql import GraphQLObjectType, get_introspection_query, get_named_type, is_leaf_type

from gateway.execution import Executor, Operation
from gateway.execution.documents import Document
from gateway.limits.bounds import Bounds
from schema.costs import COSTS
from tests.schema.api import SCHEMA, UUIDS, Api, Told, new_order

ROWS = "{ nodes { id } }"


def cost(document: str, variables: dict[str, Any] | None = None) -> int:
    prepared = Document(SCHEMA, document)
    assert not prepared.errors, prepared.errors
    return prepared.operation(None).price.told(variables or {})["requested"]


PRICES: list[tuple[str, dict[str, Any], int]] = [
    ("{ __typename }", {}, 0),
    ('{ order(id: "x") { id status total { amount } } }', {}, 2),
    ('{ order(id: "x") { items { sku unitPrice { amount } } } }', {}, 7),
    (f"{{ orders {ROWS} }}", {}, 20 + 50),
    (f"{{ orders(first: 7) {ROWS} }}", {}, 20 + 7),
    (f"{{ orders(first: 101) {ROWS} }}", {}, 20 + 100),
    (f"{{ orders(first: -5) {ROWS} }}", {}, 20),
    (f'{{ customerOrders(customerId: "a", last: 3) {ROWS} }}', {}, 2 + 3),
    ("{ orders(first: 10) { pageInfo { hasNextPage } edges { cursor node { id } } } }", {}, 20 + 1 + 10 * 2),
    ("{ orders(first: 10) { nodes { history(first: 20) { nodes { id } } } } }", {}, 20 + 10 * (1 + 5 + 20)),
    (f"query($n: Int) {{ orders(first: $n) {ROWS} }}", {}, 20 + 50),
    (f"query($n: Int) {{ orders(first: $n) {ROWS} }}", {"n": None}, 20 + 50),
    (f"query($n: Int) {{ orders(first: $n) {ROWS} }}", {"n": "x"}, 20 + 100),
    (f"query($n: Int) {{ orders(first: $n) {ROWS} }}", {"n": 7.0}, 20 + 7),
    (f"query($n: Int) {{ orders(first: $n) {ROWS} }}", {"n": 100.0}, 20 + 100),
    (f"query($n: Int) {{ orders(first: $n) {ROWS} }}", {"n": 7.5}, 20 + 100),
    (f"query($n: Int) {{ orders(first: $n) {ROWS} }}", {"n": float("inf")}, 20 + 100),
    (f"query($n: Int) {{ orders(first: $n) {ROWS} }}", {"n": True}, 20 + 100),
    (f"query($n: Int) {{ orders(first: $n) {ROWS} }}", {"n": [1]}, 20 + 100),
    (f"query($n: Int) {{ orders(first: $n) {ROWS} }}", {"n": 9}, 20 + 9),
    (f"query($n: Int = 8) {{ orders(first: $n) {ROWS} }}", {}, 20 + 8),
    (
        "query($n: Int, $m: Int) { orders(first: $n) { nodes { history(first: $m) { nodes { id } } } } }",
        {"n": 2, "m": 3},
        20 + 2 * (1 + 5 + 3),
    ),
    (
        "query($m: Int) { orders(first: 4) { nodes { history(first: $m) { nodes { id } } } } }",
        {"m": 3},
        20 + 4 * (1 + 5 + 3),
    ),
    ("{ a: orders(first: 1) { nodes { id } } b: orders(first: 2) { nodes { id } } }", {}, 43),
    ("{ orders(first: 5) { nodes { id } } orders(first: 5) { nodes { version } } }", {}, 25),
    (
        "{ ...a } fragment a on Query { orders(first: 5) { ...b } } fragment b on OrderConnection { nodes { id } }",
        {},
        25,
    ),
    ('{ node(id: "x") { ... on Order { items { sku } } ... on ProductSales { revenue { amount } } } }', {}, 1 + 5 + 1),
    ('mutation { submitOrder(input: {orderId: "x"}) { __typename } }', {}, 10),
    ('subscription { orderUpdated(id: "x") { items { sku } } }', {}, 10 + 5),
    ('subscription { customerOrdersUpdated(customerId: "a", snapshot: 3) { orders { id } } }', {}, 10 + 3),
    ("subscription { ordersUpdated { orders { id } } }", {}, 10 + 50),
]


@pytest.mark.parametrize(("document", "variables", "expected"), PRICES, ids=range(len(PRICES)))
def test_an_operation_costs_what_it_may_answer_with(document: str, variables: dict[str, Any], expected: int) -> None:
    assert cost(document, variables) == expected


def test_tools_can_ask_for_the_schema_and_nobody_for_much_more() -> None:
    assert cost(get_introspection_query()) <= Bounds().cost
    fields = "fields { type { fields { type { name } } } }"
    assert cost(f"{{ __schema {{ types {{ {fields} }} }} }}") * 3 > Bounds().cost
    assert cost(f"{{ __schema {{ types {{ a: {fields} b: {fields} c: {fields} }} }} }}") > Bounds().cost


@pytest.mark.parametrize("name", COSTS)
def test_each_cost_is_of_a_field_that_there_is(name: str) -> None:
    type_name, _, field = name.partition(".")
    type_ = SCHEMA._schema.type_map[type_name]
    assert isinstance(type_, GraphQLObjectType)
    assert field in type_.fields


def test_each_field_that_is_asked_of_a_store_has_a_cost() -> None:
    types = [type_ for name, type_ in SCHEMA._schema.type_map.items() if isinstance(type_, GraphQLObjectType)]
    asked = {
        f"{type_.name}.{name}"
        for type_ in types
        for name, field in type_.fields.items()
        if type_.name not in ("Mutation", "Subscription")
        and not type_.name.startswith("__")
        and not is_leaf_type(get_named_type(field.type))
        and field.extensions["strawberry-definition"].base_resolver
    }
    assert asked <= set(COSTS)


async def told(api: Api, document: str, **variables: Any) -> Told:
    executor = Executor(SCHEMA, bounds=Bounds(cost=30))
    return Told.of(await executor.execute(Operation(document, variables=variables), api.context))


@pytest.mark.parametrize("engine", ["memory"], indirect=True)
async def test_an_answer_tells_what_it_cost(api: Api) -> None:
    answer = await told(api, f"query($n: Int) {{ orders(first: $n) {ROWS} }}", n=10)
    assert (answer.errors, (answer.extensions or {})["cost"]) == (None, {"requested": 30, "limit": 30})
    assert set(answer.extensions or {}) == {"cost", "freshness"}


@pytest.mark.parametrize("engine", ["memory"], indirect=True)
@pytest.mark.parametrize("kind", ["query", "mutation"])
async def test_what_costs_too_much_is_not_executed(api: Api, kind: str) -> None:
    if kind == "query":
        answer = await told(api, f"query($n: Int) {{ orders(first: $n) {ROWS} }}", n=11)
    else:
        create = "createOrder(input: $input) { __typename }"
        document = f"mutation($input: CreateOrderInput!) {{ a: {create} b: {create} c: {create} d: {create} }}"
        answer = await told(api, document, input=new_order(orderUuid=UUIDS[1]))
    (error,) = answer.errors or []
    assert error.extensions
    assert (answer.data, error.extensions["code"]) == (None, "COST_LIMIT")
    assert error.extensions["requested"] > error.extensions["limit"] == 30
    assert (answer.extensions or {})["cost"] == {name: error.extensions[name] for name in ("requested", "limit")}
    await api.project()
    assert await api.order(f"order:ada:{UUIDS[1]}") is None


@pytest.mark.parametrize("engine", ["memory"], indirect=True)
async def test_a_subscription_that_costs_too_much_is_not_begun(api: Api) -> None:
    operation = Operation("subscription { ordersUpdated { orders { id } } }")
    stream = Executor(SCHEMA, bounds=Bounds(cost=30)).stream(operation, api.context)
    (answer,) = [Told.of(result) async for result in stream]
    assert [(error.extensions or {})["code"] for error in answer.errors or []] == ["COST_LIMIT"]
    assert api.watchers == 0
