"""GraphQL over WebSocket: graphql-transport-ws, and nothing older."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from gateway.execution import Executor
from tests.gateway.edge import TRANSPORT_WS, Edge, open_edge
from tests.projector.world import until
from tests.schema.api import UUIDS, new_order

ORDER_ID = f"order:ada:{UUIDS[1]}"
CREATE = "mutation($input: CreateOrderInput!) { createOrder(input: $input) { __typename } }"
FOLLOW = f'subscription {{ orderUpdated(id: "{ORDER_ID}") {{ version }} }}'
TYPENAME = {"data": {"__typename": "Query"}, "extensions": {"cost": {"requested": 0, "limit": 5000}}}
INIT = {"type": "connection_init"}


def subscribe(document: Any, id: str = "1", **more: Any) -> dict[str, Any]:
    return {"type": "subscribe", "id": id, "payload": {"query": document, **more}}


async def test_a_query_is_answered_and_completed(edge: Edge) -> None:
    async with edge.websocket() as socket:
        assert socket.protocol == TRANSPORT_WS
        await socket.send_json(INIT)
        assert await socket.receive_json() == {"type": "connection_ack"}
        await socket.send_json(subscribe("{ __typename }"))
        assert [await socket.receive_json(), await socket.receive_json()] == [
            {"type": "next", "id": "1", "payload": TYPENAME},
            {"type": "complete", "id": "1"},
        ]


async def test_a_subscription_sends_each_version_until_the_client_completes_it(edge: Edge) -> None:
    async with edge.websocket() as socket:
        await socket.send_json(INIT)
        await socket.receive_json()
        await socket.send_json(subscribe(FOLLOW))
        await edge.ask(CREATE, {"input": new_order(orderUuid=UUIDS[1])})
        frame = {"type": "next", "id": "1", "payload": {"data": {"orderUpdated": {"version": 1}}}}
        assert await socket.receive_json() == frame
        await edge.ask(f'mutation {{ cancelOrder(input: {{orderId: "{ORDER_ID}", reason: "x"}}) {{ __typename }} }}')
        assert (await socket.receive_json())["payload"] == {"data": {"orderUpdated": {"version": 2}}}
        await socket.send_json({"type": "complete", "id": "1"})
        await until(lambda: edge.gateway.context.live.watchers == 0)


async def test_a_client_that_goes_away_leaves_no_watcher(edge: Edge) -> None:
    async with edge.websocket() as socket:
        await socket.send_json(INIT)
        for id in ("1", "2"):
            await socket.send_json(subscribe(FOLLOW, id))
        await until(lambda: edge.gateway.context.live.watchers == 2)
    await until(lambda: edge.gateway.context.live.watchers == 0)


async def test_a_subscription_that_makes_no_sense_is_an_error_with_a_code(edge: Edge) -> None:
    async with edge.websocket() as socket:
        await socket.send_json(INIT)
        await socket.receive_json()
        await socket.send_json(subscribe('subscription { orderUpdated(id: "x") { id } }'))
        assert '"code": "BAD_ID"' in json.dumps(await socket.receive_json())


@pytest.mark.parametrize("protocols", [["graphql-ws"], ["nonsense"], []])
async def test_an_older_or_unknown_protocol_or_none_is_refused(edge: Edge, protocols: list[str]) -> None:
    async with edge.http.ws_connect(f"{edge.url}/graphql", protocols=protocols) as socket:
        message = await socket.receive()
        assert (message.type, message.data, socket.protocol) == (aiohttp.WSMsgType.CLOSE, 4406, None)


async def test_the_protocol_is_chosen_from_those_that_the_client_offers(edge: Edge) -> None:
    async with edge.websocket("graphql-ws", TRANSPORT_WS) as socket:
        assert socket.protocol == TRANSPORT_WS


@pytest.mark.parametrize(
    ("origin", "more", "allowed"),
    [
        ("http://elsewhere.example", {}, False),
        ("null", {}, False),
        ("{url}", {}, True),
        ("http://behind.a.proxy", {"sec-fetch-site": "same-origin"}, True),
    ],
)
async def test_a_page_of_another_origin_cannot_open_a_socket(
    edge: Edge, origin: str, more: dict[str, str], allowed: bool
) -> None:
    headers = {"origin": origin.format(url=edge.url), **more}
    opening = edge.http.ws_connect(f"{edge.url}/graphql", protocols=[TRANSPORT_WS], headers=headers)
    if allowed:
        await (await opening).close()
    else:
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await opening


async def test_a_client_that_does_not_begin_in_time_is_closed() -> None:
    async with open_edge(socket_init_s=0.01) as edge, edge.websocket() as socket:
        assert (await socket.receive()).data == 4408


@asynccontextmanager
async def begun(edge: Edge) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with edge.websocket() as socket:
        await socket.send_json(INIT)
        assert await socket.receive_json() == {"type": "connection_ack"}
        yield socket


async def test_a_client_that_has_begun_in_time_stays(edge: Edge) -> None:
    async with open_edge(socket_init_s=0.5, keep_alive_s=0.3) as edge, begun(edge) as socket:
        for _ in range(4):
            assert await socket.receive_json() == {"type": "ping"}


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([INIT, INIT], 4429),
        ([INIT, subscribe(FOLLOW), subscribe(FOLLOW)], 4409),
        ([INIT, subscribe(FOLLOW), subscribe(FOLLOW, "x" * 1000), subscribe(FOLLOW, "x" * 1000)], 4409),
        ([INIT, {"type": "connection_ack"}], 4400),
        ([INIT, subscribe(FOLLOW, "")], 4400),
    ],
)
async def test_what_breaks_the_protocol_later_closes_the_socket_and_ends_all(
    edge: Edge, messages: list[dict[str, Any]], code: int
) -> None:
    async with edge.websocket() as socket:
        for message in messages:
            await socket.send_json(message)
        assert (await socket.receive_json())["type"] == "connection_ack"
        assert (await socket.receive()).data == code
    await until(lambda: edge.gateway.context.live.watchers == 0)


async def test_a_binary_message_closes_the_socket(edge: Edge) -> None:
    async with edge.websocket() as socket:
        await socket.send_bytes(json.dumps(INIT).encode())
        assert (await socket.receive()).data == 4400


async def test_a_ping_is_answered_at_any_time_with_what_came_with_it(edge: Edge) -> None:
    async with edge.websocket() as socket:
        await socket.send_json({"type": "ping"})
        assert await socket.receive_json() == {"type": "pong"}
        await socket.send_json({"type": "pong"})
        await socket.send_json(INIT)
        await socket.receive_json()
        await socket.send_json({"type": "ping", "payload": {"at": 5}})
        assert await socket.receive_json() == {"type": "pong", "payload": {"at": 5}}


async def test_the_error_of_one_operation_leaves_the_others_alone(edge: Edge) -> None:
    async with begun(edge) as socket:
        await socket.send_json(subscribe(FOLLOW, "good"))
        for id, document in {
            "syntax": "{",
            "rule": "{ nothing }",
            "none": "fragment a on Query { __typename }",
        }.items():
            await socket.send_json(subscribe(document, id))
            answer = await socket.receive_json()
            assert (answer["type"], answer["id"]) == ("error", id)
            assert answer["payload"][0]["message"]
        await edge.ask(CREATE, {"input": new_order(orderUuid=UUIDS[1])})
        assert (await socket.receive_json())["id"] == "good"


async def test_an_id_may_be_used_again_once_its_operation_has_ended(edge: Edge) -> None:
    async with begun(edge) as socket:
        for document, last in {"{ __typename }": "complete", "{": "error"}.items():
            for _ in range(2):
                await socket.send_json(subscribe(document))
                while (await socket.receive_json())["type"] != last:
                    pass
        for _ in range(2):
            await socket.send_json(subscribe(FOLLOW))
            await socket.send_json({"type": "complete", "id": "1"})
        await socket.send_json({"type": "complete", "id": "unknown"})
        await socket.send_json({"type": "ping"})
        assert await socket.receive_json() == {"type": "pong"}
        await until(lambda: edge.gateway.context.live.watchers == 0)


async def test_an_operation_too_many_is_an_error_of_its_own() -> None:
    async with open_edge(socket_operations=2) as edge, begun(edge) as socket:
        for id in ("1", "2", "3"):
            await socket.send_json(subscribe(FOLLOW, id))
        answer = await socket.receive_json()
        assert (answer["type"], answer["id"]) == ("error", "3")
        assert answer["payload"][0]["extensions"] == {"code": "TOO_MANY_OPERATIONS"}
        await socket.send_json({"type": "complete", "id": "1"})
        await socket.send_json(subscribe("{ __typename }", "3"))
        assert await socket.receive_json() == {"type": "next", "id": "3", "payload": TYPENAME}


async def test_an_operation_that_fails_for_a_reason_of_ours_is_an_error_and_logged(
    edge: Edge, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no such luck")

    monkeypatch.setattr(Executor, "stream", fail)
    async with begun(edge) as socket:
        await socket.send_json(subscribe(FOLLOW))
        answer = await socket.receive_json()
        (error,) = answer["payload"]
        assert (answer["type"], error["extensions"]["code"], "luck" in str(answer)) == ("error", "INTERNAL", False)
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.getMessage() == f"unexpected error {error['extensions']['id']}: no such luck"


HOSTILE = {
    "no JSON": ("nonsense", 4400),
    "number": ("5", 4400),
    "array": ("[]", 4400),
    "null": ("null", 4400),
    "no type": ("{}", 4400),
    "unknown type": ('{"type": "x"}', 4400),
    "long unknown type": (json.dumps({"type": "x" * 1000}), 4400),
    "unknown type with a surrogate": ('{"type": "\\ud800"}', 4400),
    "deep": ("[" * 100_000, 4400),
    "long integer": ("9" * 5000, 4400),
    "subscribe before init": (json.dumps(subscribe("{ __typename }")), 4401),
    "payload is a number": ('{"type": "connection_init", "payload": 5}', 4400),
}


@pytest.mark.parametrize(("text", "code"), HOSTILE.values(), ids=HOSTILE)
async def test_a_message_that_breaks_the_protocol_closes_the_socket(edge: Edge, text: str, code: int) -> None:
    async with edge.websocket() as socket:
        await socket.send_str(text)
        message = await socket.receive()
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, code)
    assert (await edge.get("/healthz"))[0] == 200


SUBSCRIBES = {
    "no payload": {"type": "subscribe", "id": "1"},
    "payload is a number": {"type": "subscribe", "id": "1", "payload": 5},
    "id is an array": {"type": "subscribe", "id": [], "payload": {"query": "{ __typename }"}},
    "query is a number": subscribe(5),
    "query is an object": subscribe({}),
    "variables are a number": subscribe("query($a: Int) { __typename @skip(if: false) }", variables=5),
    "variables are text": subscribe("query($id: ID!) { order(id: $id) { id } }", variables="id"),
    "syntax error": subscribe("{"),
    "long syntax error": subscribe("x" * 1000),
    "unknown operation": subscribe("query a { __typename }", operationName="b" * 1000),
    "unknown field": subscribe("{ nothing }"),
    "complete without an id": {"type": "complete"},
    "complete with an array": {"type": "complete", "id": []},
    "operation name is an object": subscribe("{ __typename }", operationName={}),
}


@pytest.mark.parametrize("message", SUBSCRIBES.values(), ids=SUBSCRIBES)
async def test_an_operation_that_cannot_be_is_answered_or_closes_the_socket(
    edge: Edge, message: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with edge.websocket() as socket:
        await socket.send_json(INIT)
        await socket.receive_json()
        await socket.send_json(message)
        answer = await socket.receive()
        refused = answer.type is aiohttp.WSMsgType.CLOSE and answer.data == 4400
        assert refused or json.loads(answer.data)["type"] == "error", answer
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
