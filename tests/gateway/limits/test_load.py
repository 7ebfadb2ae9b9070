"""Limits on load: beyond them a quick answer with a hint, and those within them are served."""

import asyncio
import json
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from gateway.limits.configured import limits_of
from gateway.limits.load import network_of
from gateway.settings import Settings
from tests.gateway.edge import Edge, open_edge
from tests.gateway.subscribers import EVENTS, MULTIPART
from tests.projector.world import PATIENCE_S, until
from tests.schema.api import UUIDS, new_order

ASK = {"query": "{ orders(first: 10) { nodes { id } } }"}
FOLLOW = "subscription { ordersUpdated { kind } }"
CREATE = """mutation($input: CreateOrderInput!) { createOrder(input: $input) {
  __typename ... on OrderCommandSucceeded { consistencyToken replayed } } }"""
WAIT = """query($after: [ConsistencyToken!]!, $id: ID!) {
  order(id: $id, consistency: {after: $after, waitMs: 10000, onTimeout: ERROR}) { id } }"""


async def answered(edge: Edge, body: Any, **headers: str) -> tuple[int, str | None, dict[str, str]]:
    """The status of an answer, the code of its first error, and its headers."""
    async with edge.http.post(f"{edge.url}/graphql", json=body, headers=headers) as answer:
        errors = (await answer.json()).get("errors")
        return answer.status, errors and errors[0]["extensions"]["code"], dict(answer.headers)


async def begin(socket: Any, query: str, id: str = "1") -> Any:
    """What is answered to an operation on a socket."""
    await socket.send_json({"type": "subscribe", "id": id, "payload": {"query": query}})
    async with asyncio.timeout(PATIENCE_S):
        return await socket.receive_json()


async def test_who_asks_too_much_is_told_when_to_ask_again() -> None:
    async with open_edge(rate_per_address=5.2) as edge, edge.websocket() as socket:
        assert (await answered(edge, ASK))[:2] == (200, None)  # 2 for socket and request, 20 for a new document, and 30
        status, code, headers = await answered(edge, ASK)
        assert (status, code) == (429, "RATE_LIMITED")
        assert 1 <= int(headers["Retry-After"]) <= 6
        status, _, _ = await answered(edge, {"query": "{"})
        assert status == 429  # what is wrong is charged for too
        await socket.send_json({"type": "connection_init"})
        await socket.receive_json()
        told = await begin(socket, ASK["query"])
        assert (told["type"], told["payload"][0]["extensions"]["code"]) == ("error", "RATE_LIMITED")
        assert told["payload"][0]["extensions"]["retryAfter"] > 0
        async with edge.http.post(f"{edge.url}/graphql/stream", json=ASK) as answer:
            assert answer.status == 429
        _, text = await edge.get("/metrics")
        assert 'gateway_refused_total{code="RATE_LIMITED"} 4.0' in text


async def test_one_who_asks_too_much_leaves_others_alone() -> None:
    async with open_edge(rate_per_identity=5.0) as edge:
        for address, expected in (("192.0.2.1", 200), ("192.0.2.1", 429), ("192.0.2.2", 200)):
            # A proxy on this machine is trusted to name whom it asks for.
            assert (await answered(edge, ASK, **{"x-forwarded-for": address}))[0] == expected


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ([ASK], {}, 400),
        ({"query": 5}, {}, 400),
        (ASK, {"authorization": "Bearer x"}, 401),
        (ASK, {"content-type": "text/plain"}, 415),
    ],
    ids=["a batch", "no document", "a bad token", "another type"],
)
async def test_what_is_no_operation_is_charged_too(body: Any, headers: dict[str, str], status: int) -> None:
    for path in ("/graphql", "/graphql/stream"):
        async with open_edge(rate_per_address=0.5, token_secret="s" * 32) as edge:
            for expected in [status] * 5 + [429]:
                given = {"content-type": "application/json"} | headers
                async with edge.http.post(edge.url + path, data=json.dumps(body), headers=given) as answer:
                    assert answer.status == expected


async def test_what_is_long_is_charged_before_it_is_decoded() -> None:
    async with open_edge(rate_per_identity=1.0) as edge:
        for expected in (400, 429):
            assert (await edge.post(b"[" * 50_000))[0] == expected
    async with open_edge(rate_per_identity=1.0) as edge, edge.websocket() as socket:
        await socket.send_json({"type": "connection_init"})
        await socket.receive_json()
        for _ in range(2):
            await socket.send_json({"type": "pong", "payload": {"a": "x" * 50_000}})
        assert (await socket.receive()).data == 4429


async def test_a_handshake_too_many_is_closed_with_a_hint() -> None:
    async with open_edge(rate_per_address=0.1) as edge, edge.websocket(), edge.websocket() as socket:
        closed = await socket.receive()
        assert (closed.data, "Try again in" in (closed.extra or "")) == (4429, True)


@pytest.mark.parametrize("size", [0, 200_000])
async def test_a_socket_that_says_too_much_is_closed(size: int) -> None:
    async with open_edge() as edge, edge.websocket() as socket:
        await socket.send_json({"type": "connection_init"})
        await socket.receive_json()
        message = json.dumps({"type": "pong", "payload": {"a": "x" * size}})

        async def flood() -> None:
            while not socket.closed:
                await socket.send_str(message)

        flooding = asyncio.create_task(flood())
        async with asyncio.timeout(PATIENCE_S):
            assert (await socket.receive()).data == 4429
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        assert (await answered(edge, ASK))[0] == 200


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "ping", "payload": {"a": "x" * 10_000}}, 4400),
        ({"type": "connection_init", "payload": {"a": "x" * 10_000}}, 4400),
        ({"type": "complete", "id": "1"}, 4401),
    ],
)
async def test_nothing_long_and_no_operation_is_taken_before_a_socket_is_acknowledged(
    edge: Edge, message: dict[str, Any], code: int
) -> None:
    async with edge.websocket() as socket:
        await socket.send_json(message)
        assert (await socket.receive()).data == code


def test_of_ipv6_everybody_has_a_network() -> None:
    assert [network_of(one) for one in ("192.0.2.1", "2001:db8::1", "2001:db8::2:3", "2001:db8:0:1::", "::1%lo")] == [
        "192.0.2.1",
        "2001:db8::/64",
        "2001:db8::/64",
        "2001:db8:0:1::/64",
        "::/64",
    ]
    assert [network_of(one) for one in ("::ffff:192.0.2.1", "x:y", "")] == ["192.0.2.1", "x:y", ""]


async def test_clients_of_one_network_are_one() -> None:
    async with open_edge(rate_per_identity=5.0) as edge:
        for address, expected in (("2001:db8::1", 200), ("2001:db8::2", 429), ("2001:db8:0:1::1", 200)):
            assert (await answered(edge, ASK, **{"x-forwarded-for": address}))[0] == expected


async def test_a_socket_too_many_is_closed_with_a_hint() -> None:
    async with open_edge(sockets_per_address=1) as edge, edge.websocket():
        async with edge.websocket() as socket:
            closed = await socket.receive()
            assert (closed.data, "Try again in" in (closed.extra or "")) == (4429, True)
        assert (await answered(edge, ASK))[0] == 200


async def test_a_socket_that_has_closed_makes_room() -> None:
    async with open_edge(max_sockets=1) as edge:

        async def accepted() -> bool:
            async with edge.websocket() as socket:
                await socket.send_json({"type": "connection_init"})
                told = await socket.receive()
                return "connection_ack" in str(told.data)

        for _ in range(3):
            await until(accepted)


async def test_a_subscription_too_many_is_an_error_and_one_that_ends_makes_room() -> None:
    async with open_edge(subscriptions_per_identity=2) as edge, AsyncExitStack() as stack:
        socket = await stack.enter_async_context(edge.websocket())
        await socket.send_json({"type": "connection_init"})
        await socket.receive_json()
        assert [(await begin(socket, FOLLOW, id))["type"] for id in "12"] == ["next", "next"]
        told = await begin(socket, FOLLOW, "3")
        assert (told["id"], told["payload"][0]["extensions"]["code"]) == ("3", "TOO_MANY_SUBSCRIPTIONS")
        assert (await begin(socket, "{ __typename }", "4"))["type"] == "next"
        for path, accept in (("/graphql", MULTIPART), ("/graphql/stream", EVENTS)):
            headers = {"accept": accept}
            async with edge.http.post(edge.url + path, json={"query": FOLLOW}, headers=headers) as answer:
                code = (await answer.json())["errors"][0]["extensions"]["code"]
                assert (answer.status, code, "retry-after" in answer.headers) == (429, "TOO_MANY_SUBSCRIPTIONS", True)
        await socket.send_json({"type": "complete", "id": "1"})

        async def begun() -> bool:
            async with edge.http.post(
                f"{edge.url}/graphql/stream", json={"query": FOLLOW}, headers={"accept": EVENTS}
            ) as answer:
                return answer.status == 200

        await until(begun)


async def test_a_subscription_too_many_of_all_clients_is_an_error_too() -> None:
    async with open_edge(max_subscriptions=1) as edge, edge.websocket() as socket:
        await socket.send_json({"type": "connection_init"})
        await socket.receive_json()
        assert (await begin(socket, FOLLOW))["type"] == "next"
        headers = {"accept": EVENTS, "x-forwarded-for": "192.0.2.1"}
        async with edge.http.post(f"{edge.url}/graphql/stream", json={"query": FOLLOW}, headers=headers) as answer:
            code = (await answer.json())["errors"][0]["extensions"]["code"]
            assert (answer.status, code) == (429, "TOO_MANY_SUBSCRIPTIONS")


async def waiting(edge: Edge) -> dict[str, Any]:
    """A request that waits for what nobody projects."""
    created = (await edge.ask(CREATE, {"input": new_order(orderUuid=UUIDS[1])}))["createOrder"]
    variables = {"after": [created["consistencyToken"]], "id": f"order:ada:{UUIDS[1]}"}
    return {"query": WAIT, "variables": variables}


async def test_one_that_would_wait_too_many_is_told_at_once() -> None:
    async with open_edge(projector=False, max_waiting=1) as edge:
        request = await waiting(edge)
        first = asyncio.create_task(answered(edge, request))
        await until(lambda: edge.gateway.context.waits.held == 1)
        assert (await answered(edge, request))[:2] == (200, "TOO_MANY_WAITING")
        assert (await answered(edge, ASK))[:2] == (200, None)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await until(lambda: edge.gateway.context.waits.held == 0)


async def test_one_too_many_at_a_time_is_told_at_once_on_every_transport() -> None:
    async with open_edge(projector=False, max_running=1) as edge:
        request = await waiting(edge)
        first = asyncio.create_task(answered(edge, request))
        await until(lambda: edge.gateway.context.waits.held == 1)
        status, code, headers = await answered(edge, ASK)
        assert (status, code, headers["Retry-After"]) == (503, "OVERLOADED", "1")
        async with edge.websocket() as socket:
            await socket.send_json({"type": "connection_init"})
            await socket.receive_json()
            told = await begin(socket, "{ __typename }")
            assert (told["type"], told["payload"][0]["extensions"]["code"]) == ("error", "OVERLOADED")
            told = await begin(socket, FOLLOW, "2")  # it would begin with a read
            assert (told["type"], told["payload"][0]["extensions"]["code"]) == ("error", "OVERLOADED")
        for path, accept in (("/graphql", MULTIPART), ("/graphql/stream", EVENTS)):
            headers = {"accept": accept}
            async with edge.http.post(edge.url + path, json={"query": FOLLOW}, headers=headers) as streamed:
                assert "OVERLOADED" in await streamed.text()  # after which it ends
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await until(lambda: edge.gateway.context.waits.held == 0)
        assert (await answered(edge, ASK))[:2] == (200, None)


async def test_who_was_let_in_when_there_was_room_and_waited_for_the_body_is_one_too_many_too() -> None:
    async with open_edge(projector=False, max_running=1) as edge:
        body = json.dumps(await waiting(edge)).encode()
        head = "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        head += f"content-length: {len(body)}\r\n\r\n"
        port = int(edge.url.rpartition(":")[2])
        clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
        for _, to in clients:
            to.write(head.encode() + body[:10])
        await until(lambda: len(edge.server.server_state.tasks) == len(clients))
        for _, to in clients:
            to.write(body[10:])
        refused = [asyncio.create_task(source.readline()) for source, _ in clients]
        await until(lambda: sum(one.done() for one in refused) == len(clients) - 1)
        assert edge.gateway.context.waits.held == 1
        assert all(b" 503 " in one.result() for one in refused if one.done())
        for _, to in clients:
            to.close()
        await asyncio.gather(*refused)
        await until(lambda: edge.gateway.context.waits.held == 0)


async def test_one_command_too_many_at_a_time_is_refused_and_may_be_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_edge(max_commands=1) as edge:
        begun, let_go, execute = asyncio.Event(), asyncio.Event(), edge.gateway.callers.nobody.execute

        async def slow(*arguments: Any) -> Any:
            begun.set()
            await let_go.wait()
            return await execute(*arguments)

        monkeypatch.setattr(edge.gateway.callers, "_nobody", replace(edge.gateway.callers.nobody, execute=slow))
        first, second = (
            {"query": CREATE, "variables": {"input": new_order(commandId=UUIDS[n], orderUuid=UUIDS[n])}} for n in (1, 2)
        )
        running = asyncio.create_task(answered(edge, first))
        await begun.wait()
        status, code, headers = await answered(edge, second)
        assert (status, code, headers["Retry-After"]) == (503, "OVERLOADED", "1")
        assert (await answered(edge, ASK))[:2] == (200, None)  # queries have room
        let_go.set()
        assert (await running)[:2] == (200, None)
        assert (await answered(edge, second))[:2] == (200, None)


async def test_a_query_that_takes_too_long_is_cancelled_and_told_so() -> None:
    async with open_edge(projector=False, operation_timeout_s=0.2) as edge:
        request = await waiting(edge)
        assert (await answered(edge, request))[:2] == (200, "OPERATION_TIMEOUT")
        assert edge.gateway.context.waits.held == 0
        async with edge.websocket() as socket:
            await socket.send_json({"type": "connection_init"})
            await socket.receive_json()
            await socket.send_json({"type": "subscribe", "id": "1", "payload": request})
            told = await socket.receive_json()
            assert (told["type"], told["payload"][0]["extensions"]["code"]) == ("error", "OPERATION_TIMEOUT")
            assert (await begin(socket, "{ __typename }", "2"))["type"] == "next"


async def test_a_command_that_takes_too_long_is_finished_and_may_be_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_edge(operation_timeout_s=0.2) as edge:
        let_go, context = asyncio.Event(), edge.gateway.context

        async def slow(*arguments: Any) -> Any:
            await let_go.wait()
            return await context.execute(*arguments)

        monkeypatch.setattr(edge.gateway.callers, "_nobody", replace(edge.gateway.callers.nobody, execute=slow))
        command = {"query": CREATE, "variables": {"input": new_order(commandId=UUIDS[5], orderUuid=UUIDS[1])}}
        status, text = await edge.post(command)
        (error,) = json.loads(text)["errors"]
        assert (status, error["extensions"]) == (200, {"code": "OPERATION_TIMEOUT", "outcome": "UNKNOWN"})
        let_go.set()
        monkeypatch.undo()

        async def replayed() -> bool:
            _, text = await edge.post(command)
            return bool(json.loads(text)["data"]["createOrder"]["replayed"])

        await until(replayed)


async def test_a_connection_too_many_is_answered_with_503() -> None:
    async with open_edge(max_connections=1) as edge, edge.websocket():
        reader, writer = await asyncio.open_connection("127.0.0.1", int(edge.url.rpartition(":")[2]))
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 5" in answer
        finally:
            writer.close()


async def test_what_would_wait_for_its_turn_is_refused_while_the_loop_is_late() -> None:
    async with open_edge(max_lag_s=0.001) as edge:
        codes: set[str | None] = set()

        async def keep_busy() -> None:
            while "OVERLOADED" not in codes:
                time.sleep(0.01)  # noqa: ASYNC251  that is what is tried
                await asyncio.sleep(0)

        async def ask() -> None:
            while "OVERLOADED" not in codes:
                codes.add((await answered(edge, ASK))[1])

        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(keep_busy(), *(ask() for _ in range(8)))
        assert (await edge.get("/healthz"))[0] == 200


def test_production_is_strict_where_nothing_else_is_set() -> None:
    strict, lax = limits_of(Settings(gateway_env="production")), limits_of(Settings(gateway_env="development"))
    assert [(one.bounds.introspection, one.bounds.suggestions, one.load.has_rates) for one in (strict, lax)] == [
        (False, False, True),
        (True, True, False),
    ]
    chosen = limits_of(Settings(gateway_env="production", introspection=True, rate_per_identity=0, rate_per_address=0))
    assert (chosen.bounds.introspection, chosen.load.has_rates) == (True, False)


@pytest.mark.parametrize("name", ["max_running", "operation_timeout_s", "max_waiting"])
async def test_there_is_no_bound_where_it_is_zero(name: str) -> None:
    settings: dict[str, Any] = {name: 0}
    async with open_edge(**settings) as edge:
        created = (await edge.ask(CREATE, {"input": new_order(orderUuid=UUIDS[1])}))["createOrder"]
        variables = {"after": [created["consistencyToken"]], "id": f"order:ada:{UUIDS[1]}"}
        assert await edge.ask(WAIT, variables) == {"order": {"id": f"order:ada:{UUIDS[1]}"}}
