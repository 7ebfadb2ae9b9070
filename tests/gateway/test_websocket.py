"""GraphQL over WebSocket: graphql-transport-ws, and nothing older."""

import json
from typing import Any

import aiohttp
import pytest

from tests.gateway.edge import TRANSPORT_WS, Edge
from tests.projector.world import until
from tests.schema.api import UUIDS, new_order

ORDER_ID = f"order:ada:{UUIDS[1]}"
CREATE = "mutation($input: CreateOrderInput!) { createOrder(input: $input) { __typename } }"
FOLLOW = f'subscription {{ orderUpdated(id: "{ORDER_ID}") {{ version }} }}'
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
            {"type": "next", "id": "1", "payload": {"data": {"__typename": "Query"}}},
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


@pytest.mark.parametrize("protocol", ["graphql-ws", "nonsense"])
async def test_an_older_or_unknown_protocol_is_refused(edge: Edge, protocol: str) -> None:
    async with edge.websocket(protocol) as socket:
        message = await socket.receive()
        assert (message.type, message.data, socket.protocol) == (aiohttp.WSMsgType.CLOSE, 4406, None)


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
