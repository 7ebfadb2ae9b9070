"""Every field x every role, as docs/security/access.md has it; what is somebody else's is as if it were not there."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable, Hashable
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import strawberry
from graphql import is_object_type

from gateway.execution import Operation
from gateway.execution.plans import Plan, SendNow
from read_model.watches import Batch, Hand
from schema.access import Undeclared, access_of
from schema.viewer import FULFIL, WRITE
from tests.engines import Engine
from tests.projector.world import until
from tests.schema.api import EXECUTOR, SCHEMA, UUIDS, Api, Told, open_api
from tests.security.roles import ID, INPUTS, QUESTIONS, ROLES, As, outcome, question, service

PAGE = (Path(__file__).parents[2] / "docs" / "security" / "access.md").read_text()
CELLS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| ")]
HEADING = next(cells for cells in CELLS if cells[0] == "field")
TABLE = {
    cells[0].strip("`"): dict(zip(HEADING[1:], cells[1:], strict=True))
    for cells in CELLS
    if re.match(r"`\w+\.", cells[0])
}
PARTS = {cells[0].strip("`"): cells[1].split() for cells in CELLS if re.fullmatch(r"`\w+`", cells[0])}
ADA, BOB = ROLES["its customer"], ROLES["another customer"]
PATHS = {"plan": True, "reference": False}
HIDDEN = [field for field, row in TABLE.items() if row["another customer"] == "absent"]
NOT_THERE = f"order:ada:{UUIDS[99]}"
NOBODYS = f"order:bob:{UUIDS[99]}"
FRAMES = 'subscription($after: String) { it: customerOrdersUpdated(customerId: "ada", after: $after) { kind cursor } }'


@pytest.fixture
async def shop(api: Api) -> Api:
    """Ada has an order that was submitted, and nobody waits for more."""
    await api.submitted("ada", 1)
    await api.project()
    api.context.live.drain()
    return api


# ---------------------------------------------------------------------------------------------------- the table


def test_every_field_with_a_resolver_is_in_the_table_and_has_a_question() -> None:
    assert sorted(TABLE) == sorted(access_of(SCHEMA)) == sorted(QUESTIONS)
    assert HEADING[1:] == list(ROLES)


def test_every_part_of_an_object_is_in_the_table() -> None:
    parts: dict[str, list[str]] = defaultdict(list)
    for type_ in SCHEMA._schema.type_map.values():
        if is_object_type(type_) and not type_.name.startswith("__"):
            for name in type_.fields:
                if f"{type_.name}.{name}" not in TABLE:
                    parts[type_.name].append(name)
    assert parts == PARTS


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("role", ROLES)
async def test_who_may_ask_for_what_is_as_the_table_has_it(shop: Api, role: str, path: str) -> None:
    somebody = As(shop, ROLES[role], PATHS[path])
    outcomes = {field: outcome(await somebody.ask(question(field))) for field in TABLE}
    assert outcomes == {field: row[role] for field, row in TABLE.items()}


def test_the_questions_have_plans() -> None:
    for field in TABLE:
        asked = question(field)
        prepared = EXECUTOR.prepared(asked)
        assert prepared
        assert isinstance(prepared.plan(asked.variables or {}), Plan), field


async def test_who_has_not_said_otherwise_may_do_everything_in_development(shop: Api) -> None:
    developer = As(shop, shop.context.viewer)
    assert {outcome(await developer.ask(question(field))) for field in TABLE} == {"yes"}


def test_a_field_that_declares_nothing_keeps_the_schema_from_being_built() -> None:
    @strawberry.type(name="Query")
    class Careless:
        @strawberry.field
        async def secrets(self) -> str:
            return ""

    with pytest.raises(Undeclared, match=r"Query\.secrets does not say who may ask for it"):
        access_of(strawberry.Schema(query=Careless))


def test_a_root_field_without_a_resolver_keeps_it_too() -> None:
    @strawberry.type(name="Query")
    class Plain:
        secret: str

    with pytest.raises(Undeclared, match=r"Query\.secret "):
        access_of(strawberry.Schema(query=Plain))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("scope", "name"), [(WRITE, "cancelOrder"), (FULFIL, "deliverOrder")])
async def test_who_may_give_commands_is_told_the_order_and_not_its_history(
    shop: Api, scope: str, name: str, path: str
) -> None:
    query = f"""mutation($input: {name[0].upper()}{name[1:]}Input!) {{ it: {name}(input: $input) {{
      ... on VersionConflict {{ order {{ id history {{ nodes {{ actor }} }} }} }} }} }}"""
    input = {"orderId": ID, "expectedVersion": 99, **INPUTS[name]}
    answer = await As(shop, service(scope), PATHS[path]).ask(Operation(query, variables={"input": input}))
    assert answer
    assert answer.errors
    assert [(error.path, error.extensions and error.extensions["code"]) for error in answer.errors] == [
        (["it", "order", "history"], "FORBIDDEN")
    ]


# ---------------------------------------------------------------------------------------------------- as if not there


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("field", HIDDEN)
async def test_somebody_elses_order_looks_like_one_that_does_not_exist(shop: Api, field: str, path: str) -> None:
    bob = As(shop, BOB, PATHS[path])
    theirs, absent, none = [await bob.ask(question(field, id)) for id in (ID, NOT_THERE, NOBODYS)]
    assert told(theirs, ID) == told(absent, NOT_THERE) == told(none, NOBODYS)


def told(result: Told | None, id: str) -> str:
    """All that a client is told, how fresh it is included, with the ID as it was given left out."""
    return msgspec.json.encode(result).decode().replace(id, "ID")


@pytest.mark.parametrize("id", ["customer:ada", "product:tea"])
async def test_other_nodes_that_are_not_ones_own_are_absent_too(shop: Api, id: str) -> None:
    node = QUESTIONS["Query.node"]
    bob = As(shop, BOB)
    theirs, absent = [await bob.ask(Operation(node, variables={"id": one})) for one in (id, f"{id}-not-there")]
    assert outcome(theirs) == "absent"
    assert told(theirs, id) == told(absent, f"{id}-not-there")
    assert outcome(await As(shop, ROLES["staff"]).ask(Operation(node, variables={"id": id}))) == "yes"


async def test_ones_own_node_is_there(shop: Api) -> None:
    operation = Operation(QUESTIONS["Query.node"], variables={"id": "customer:ada"})
    assert outcome(await As(shop, ADA).ask(operation)) == "yes"


@pytest.mark.parametrize("id", ["x", "order:ada:1", "order:bob:x", "ada", "order::"])
async def test_what_is_no_id_is_told_to_everybody_alike(shop: Api, id: str) -> None:
    for field in ("Query.order", "Query.node", "Subscription.orderUpdated"):
        outcomes = {outcome(await As(shop, viewer).ask(question(field, id))) for viewer in (ADA, BOB, ROLES["staff"])}
        assert outcomes == {"BAD_ID"}
    results = [await As(shop, viewer).ask(question("Mutation.submitOrder", id)) for viewer in (BOB, ROLES["staff"])]
    assert told(results[0], id) == told(results[1], id)
    assert results[0]
    assert results[0].data
    assert results[0].data["it"]["code"] == "ID_INVALID"


@pytest.mark.parametrize("customer", ["customer:ada", "ada", "nobody-there"])
async def test_whose_orders_are_asked_for_does_not_tell_whether_there_are_any(shop: Api, customer: str) -> None:
    query = "query($id: ID!) { it: customerOrders(customerId: $id) { nodes { id } } }"
    assert outcome(await As(shop, BOB).ask(Operation(query, variables={"id": customer}))) == "FORBIDDEN"


async def test_a_command_that_may_not_be_given_changes_nothing(shop: Api) -> None:
    before = await shop.order(ID)
    for name in INPUTS:
        await As(shop, BOB).ask(question(f"Mutation.{name}"))
        await As(shop, ROLES["nobody"]).ask(question(f"Mutation.{name}"))
    await shop.project()
    assert await shop.order(ID) == before
    orders = await shop.ask('{ customerOrders(customerId: "ada") { nodes { id } } }')
    assert orders["customerOrders"]["nodes"] == [{"id": ID}]


async def test_what_is_denied_keeps_nothing_else_from_being_answered(shop: Api) -> None:
    query = f'{{ mine: order(id: "{ID}") {{ id }} all: projections {{ name }} }}'
    result = await As(shop, ADA).ask(Operation(query))
    assert result
    assert result.errors
    assert [error.path for error in result.errors] == [["all"]]


# ---------------------------------------------------------------------------------------------------- tokens, cursors

WITH_TOKEN = """query($id: ID!, $token: ConsistencyToken!) {
  it: order(id: $id, consistency: {after: [$token], waitMs: 10000, onTimeout: ERROR}) { id } }"""


async def test_a_consistency_token_of_somebody_else_is_as_one_that_was_made_up(api: Api) -> None:
    """It is not waited for either: the projection would never come."""
    mine = (await api.submitted("bob", 3))["order"]["id"]
    token = (await api.submitted("ada", 1))["consistencyToken"]
    forged, theirs = [
        await As(api, BOB).ask(Operation(WITH_TOKEN, variables={"id": mine, "token": one})) for one in ("x", token)
    ]
    assert told(forged, "") == told(theirs, "")
    assert outcome(theirs) == "BAD_TOKEN"


async def test_a_consistency_token_of_ones_own_is_taken_and_staff_may_present_any(api: Api) -> None:
    token = (await api.submitted("ada", 1))["consistencyToken"]
    await api.project()
    for viewer in (ADA, ROLES["staff"], ROLES["`orders:read`"]):
        operation = Operation(WITH_TOKEN, variables={"id": ID, "token": token})
        assert outcome(await As(api, viewer).ask(operation)) == "yes"


async def test_a_cursor_of_somebody_elses_list_lets_nobody_in(shop: Api) -> None:
    await shop.created("bob", 5)
    await shop.project()
    query = """query($id: ID!, $after: String) {
      it: customerOrders(customerId: $id, first: 1, after: $after) { nodes { customerId } pageInfo { endCursor } } }"""
    page = await As(shop, ADA).ask(Operation(query, variables={"id": "ada"}))
    assert page
    assert page.data
    cursor = page.data["it"]["pageInfo"]["endCursor"]
    denied = await As(shop, BOB).ask(Operation(query, variables={"id": "ada", "after": cursor}))
    assert outcome(denied) == "FORBIDDEN"
    own = await As(shop, BOB).ask(Operation(query, variables={"id": "bob", "after": cursor}))
    assert own
    assert own.data
    assert {node["customerId"] for node in own.data["it"]["nodes"]} <= {"bob"}


async def test_a_cursor_of_somebody_elses_stream_lets_nobody_in(shop: Api) -> None:
    begun = await As(shop, ADA).ask(Operation(FRAMES))
    assert begun
    assert begun.data
    cursor = begun.data["it"]["cursor"]
    assert outcome(await As(shop, BOB).ask(Operation(FRAMES, variables={"after": cursor}))) == "FORBIDDEN"
    own = Operation(FRAMES.replace('"ada"', '"bob"'), variables={"after": cursor})
    result = await As(shop, BOB).ask(own)
    assert result
    assert result.data
    assert result.data["it"]["kind"] == "RESET"


# ---------------------------------------------------------------------------------------------------- frames


async def test_frames_go_to_those_who_were_let_in_and_to_nobody_else(engine: Engine) -> None:
    """All ask the same, so that what is made of a change is made once; some are let in."""
    async with open_api(engine, projector=True) as api, AsyncExitStack() as following:
        await api.created("ada", 1)
        await until(lambda: api.order(ID))
        sent: dict[str, list[bytes]] = {name: [] for name in ROLES}
        waiting = []
        for name, viewer in ROLES.items():
            stream = EXECUTOR.stream(
                question("Subscription.orderUpdated"), replace(api.context, viewer=viewer), collector(sent[name])
            )
            await following.enter_async_context(aclosing(stream))
            expected = TABLE["Subscription.orderUpdated"][name]
            if expected != "absent":
                assert outcome(Told.of(await anext(stream))) == expected
            waiting.append(asyncio.ensure_future(anext(stream, None)))
        await until(lambda: api.watchers == 4)  # of those who were let in, and of the one who waits for nothing
        await asyncio.sleep(0)
        await api.done("setPaymentMethod", {"orderId": ID, "method": "CARD"})
        let_in = [name for name, told in TABLE["Subscription.orderUpdated"].items() if told == "yes"]
        await until(lambda: all(sent[name] for name in let_in))
        api.context.live.drain()
        assert await asyncio.gather(*waiting) == [None] * len(ROLES)
        assert [name for name in ROLES if sent[name]] == let_in


def collector(sent: list[bytes]) -> SendNow:
    def send(what: Hashable, encoded: Callable[[Any], bytes | None]) -> Hand:
        def hand(batch: Batch, make: Callable[[], Any]) -> bool:
            result = encoded(make())
            assert result
            sent.append(result)
            return True

        return hand

    return send
