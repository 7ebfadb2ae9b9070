"""The HTTP edge: GraphQL by POST and GET, health, and bodies that are no requests."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.edge import Edge, open_edge
from tests.gateway.subscribers import MULTIPART
from tests.projector.world import until
from tests.schema.api import UUIDS, new_order

ORDER_ID = f"order:ada:{UUIDS[1]}"
CREATE = """mutation($input: CreateOrderInput!) { createOrder(input: $input) {
  __typename ... on OrderCommandSucceeded { order { id } consistencyToken } } }"""
ASK = """query($id: ID!, $after: [ConsistencyToken!]!) {
  order(id: $id, consistency: {after: $after, waitMs: 10000, onTimeout: ERROR}) { id status } }"""


async def test_a_command_and_a_query_are_answered_by_post(edge: Edge) -> None:
    created = (await edge.ask(CREATE, {"input": new_order(orderUuid=UUIDS[1])}))["createOrder"]
    assert created["order"] == {"id": ORDER_ID}
    answer = await edge.ask(ASK, {"id": ORDER_ID, "after": [created["consistencyToken"]]})
    assert answer == {"order": {"id": ORDER_ID, "status": "DRAFT"}}


async def test_a_query_is_answered_by_get(edge: Edge) -> None:
    status, text = await edge.get(
        "/graphql", query="query($n: Int) { orders(first: $n) { nodes { id } } }", variables='{"n": 1}'
    )
    assert (status, json.loads(text)["data"]) == (200, {"orders": {"nodes": []}})


async def test_a_command_is_refused_by_get(edge: Edge) -> None:
    query = f'mutation {{ submitOrder(input: {{orderId: "{ORDER_ID}"}}) {{ __typename }} }}'
    async with edge.http.get(f"{edge.url}/graphql", params={"query": query}) as answer:
        assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "document",
    ["{ nothing }", "{", '{ order(id: "x") { id } }', "\ud800"],
)
async def test_what_is_wrong_with_a_document_is_told_in_errors(edge: Edge, document: str) -> None:
    status, text = await edge.post({"query": document})
    assert status == 200
    answer = json.loads(text)
    assert answer["errors"][0]["message"]
    assert ("data" in answer) is ("order" in document)


SUBSCRIPTION = {"query": "subscription { ordersUpdated { kind } }"}


@pytest.mark.parametrize("accept", ["application/json", "multipart/mixed", "multipart/mixed;deferSpec=20220824", "*/*"])
async def test_a_subscription_is_refused_where_it_cannot_be_streamed(edge: Edge, accept: str) -> None:
    async with edge.http.post(f"{edge.url}/graphql", json=SUBSCRIPTION, headers={"accept": accept}) as answer:
        assert (answer.status, answer.content_type) == (406, "application/json")


@pytest.mark.parametrize("query", ["{ __typename }", "{", "{ nothing }"])
async def test_a_query_of_a_client_that_accepts_parts_has_one_answer(edge: Edge, query: str) -> None:
    async with edge.http.post(f"{edge.url}/graphql", json={"query": query}, headers={"accept": MULTIPART}) as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")


DEEP = b'{"query": "{ __typename }", "variables": {"a": %s%s}}' % (b"[" * 100_000, b"]" * 100_000)
BODIES: dict[str, bytes] = {
    "null": b"null",
    "number": b"5",
    "array": b"[]",
    "batch": b'[{"query": "{ __typename }"}]',
    "string": b'"x"',
    "nothing": b"",
    "empty object": b"{}",
    "cut off": b'{"query": "{ __typen',
    "not UTF-8": b'{"query": "\xff\xfe"}',
    "deep": DEEP,
    "deep and open": b"[" * 100_000,
    "long integer": b'{"query": "{ __typename }", "variables": {"a": ' + b"9" * 5000 + b"}}",
    "no number": b'{"query": "{ __typename }", "variables": {"a": NaN}}',
    "operation name is half a character": b'{"query": "{ __typename }", "operationName": "\\ud800"}',
    "query is a number": b'{"query": 5}',
    "query is null": b'{"query": null}',
    "query is an object": b'{"query": {}}',
    "query is empty": b'{"query": ""}',
    "variables are an array": b'{"query": "{ __typename }", "variables": []}',
    "variables are text": b'{"query": "{ __typename }", "variables": "x"}',
    "extensions are a number": b'{"query": "{ __typename }", "extensions": 5}',
    "unknown operation": b'{"query": "query a { __typename }", "operationName": "b"}',
    "operation name is a number": b'{"query": "query a { __typename }", "operationName": 5}',
    "operation name is an object": b'{"query": "query a { __typename }", "operationName": {}}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_body_that_is_no_request_is_a_400_with_a_sentence(edge: Edge, body: bytes) -> None:
    status, text = await edge.post(body)
    assert (status, "Traceback" in text) == (400, False)
    assert 10 < len(text) < 300
    assert json.loads(text)["errors"][0]["message"]


@pytest.mark.parametrize("name", ["variables", "extensions"])
@pytest.mark.parametrize("value", ["5", "[]", '"x"', "{", "[" * 10_000, "9" * 5000])
async def test_a_parameter_that_is_no_object_is_a_400_with_a_sentence(edge: Edge, name: str, value: str) -> None:
    status, text = await edge.get("/graphql", query="{ __typename }", **{name: value})
    assert (status, "Traceback" in text) == (400, False)
    assert text


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x", ""]
)
async def test_a_body_of_another_type_is_refused(edge: Edge, content_type: str) -> None:
    status, text = await edge.post(b'{"query": "{ __typename }"}', content_type)
    assert (status, json.loads(text)["errors"][0]["message"]) == (415, "The body must be application/json.")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_another_method_is_not_allowed(edge: Edge, method: str) -> None:
    async with edge.http.request(method, f"{edge.url}/graphql") as answer:
        assert answer.status == 405


async def test_a_running_gateway_is_healthy_and_ready(edge: Edge) -> None:
    assert [json.loads((await edge.get(path))[1]) for path in ("/healthz", "/readyz")] == [
        {"status": "ok"},
        {"status": "ok", "problems": {}},
    ]


async def readiness(edge: Edge) -> tuple[int, dict[str, Any]]:
    status, text = await edge.get("/readyz")
    return status, json.loads(text)["problems"]


async def test_a_gateway_whose_projector_fails_is_not_ready_and_says_why_but_is_alive(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with open_edge(path, lease_renew_s=0.01) as edge:
        with closing(sqlite3.connect(path)) as saboteur:
            saboteur.execute("DROP TABLE c_leases")

        async def failing() -> bool:
            status, problems = await readiness(edge)
            return status == 503 and any("leases" in why for why in problems.values())

        await until(failing)
        assert (await edge.get("/healthz"))[0] == 200


async def test_a_gateway_whose_store_cannot_answer_is_not_ready(edge: Edge) -> None:
    await edge.gateway.store.close()
    status, problems = await readiness(edge)
    assert status == 503
    assert "the store cannot read" in problems["store"]


async def test_a_gateway_that_has_lost_a_loop_is_not_healthy(edge: Edge) -> None:
    task = next(iter(edge.gateway.supervisor.states.values())).task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    status, text = await edge.get("/healthz")
    assert (status, json.loads(text)) == (503, {"status": "a loop has died"})


async def test_a_gateway_without_a_projector_leaves_projecting_to_others(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with open_edge(path, projector=False) as edge, open_edge(path) as other:
        assert not any(name.startswith("projector") for name in edge.gateway.supervisor.states)
        assert any(name.startswith("projector") for name in other.gateway.supervisor.states)
        created = (await edge.ask(CREATE, {"input": new_order(orderUuid=UUIDS[1])}))["createOrder"]
        answer = await edge.ask(ASK, {"id": ORDER_ID, "after": [created["consistencyToken"]]})
        assert answer["order"]["id"] == ORDER_ID


LONG = "{ " + " ".join(f"name{number}{'x' * 40}: __typename" for number in range(50)) + " }"


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("deflate, br", False),
        ("gzip;q=0, *", False),
        ("gzip; q=0.000", False),
        ("", False),
    ],
)
async def test_a_long_answer_is_compressed_for_who_accepts_it(edge: Edge, accepted: str, compressed: bool) -> None:
    headers = {"accept-encoding": accepted}
    async with edge.http.post(f"{edge.url}/graphql", json={"query": LONG}, headers=headers) as answer:
        assert len((await answer.json())["data"]) == 50
        assert (answer.headers.get("content-encoding"), answer.headers["vary"]) == (
            "gzip" if compressed else None,
            "accept-encoding",
        )
        assert (int(answer.headers["content-length"]) < 2000) is compressed
    async with edge.http.post(f"{edge.url}/graphql", json={"query": "{ __typename }"}, headers=headers) as answer:
        assert "content-encoding" not in answer.headers


async def test_no_answer_is_compressed_where_that_is_off(tmp_path: Path) -> None:
    async with (
        open_edge(compress_bytes=0) as edge,
        edge.http.post(f"{edge.url}/graphql", json={"query": LONG}, headers={"accept-encoding": "gzip"}) as answer,
    ):
        assert not {"content-encoding", "vary"} & {name.lower() for name in answer.headers}
