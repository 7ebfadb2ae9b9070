"""Sockets and streams: they belong to who opened them, and end with the token unless it is refreshed in band."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.gateway.edge import TRANSPORT_WS, Edge, open_edge
from tests.gateway.subscribers import EVENTS, MULTIPART, Events, Parts, Socket
from tests.projector.world import until
from tests.schema.api import UUIDS, new_order
from tests.security.asking import bearer, named, post
from tests.security.issuer import Issuer

ORDER_ID = f"order:alice:{UUIDS[1]}"
FOLLOW = 'subscription { customerOrdersUpdated(customerId: "alice") { kind } }'
CREATE = "mutation($input: CreateOrderInput!) { createOrder(input: $input) { __typename } }"
SNAPSHOT = {"data": {"customerOrdersUpdated": {"kind": "SNAPSHOT"}}}
Json = dict[str, Any]
LIFE_S = 3
"""Of a token that is to expire: time enough to begin with it, also on a slow machine."""


@asynccontextmanager
async def opened(edge: Edge, headers: Json | None = None) -> AsyncIterator[Socket]:
    """A socket, not initialised yet."""
    url = f"{edge.url}/graphql"
    async with edge.http.ws_connect(url, protocols=[TRANSPORT_WS], headers=headers) as connection:
        yield Socket(connection)


@asynccontextmanager
async def begun(edge: Edge, payload: Json | None = None, headers: Json | None = None) -> AsyncIterator[Socket]:
    async with opened(edge, headers) as socket:
        await socket.socket.send_json({"type": "connection_init", "payload": payload})
        assert await socket.receive() == {"type": "connection_ack"}
        yield socket


async def follow(socket: Socket, query: str = FOLLOW) -> Json:
    await socket.socket.send_json({"type": "subscribe", "id": "1", "payload": {"query": query}})
    return await socket.next()


@pytest.fixture
async def strict(issuer: Issuer) -> AsyncIterator[Edge]:
    """A gateway that has its clock from where the issuer has it."""
    async with open_edge(**issuer.settings, token_leeway_s=0) as edge:
        yield edge


# ---------------------------------------------------------------------------------------------------- who it is


@pytest.mark.parametrize("name", ["authorization", "Authorization"])
async def test_a_token_in_the_first_message_says_whose_socket_it_is(issuer: Issuer, guarded: Edge, name: str) -> None:
    async with begun(guarded, {name: f"Bearer {issuer.token()}"}) as socket:
        assert await follow(socket) == SNAPSHOT
    async with begun(guarded, {name: f"Bearer {issuer.token(customer='bob')}"}) as socket:
        assert "FORBIDDEN" in str(await follow(socket))


async def test_a_token_of_the_handshake_does_too_and_the_message_goes_first(issuer: Issuer, guarded: Edge) -> None:
    async with begun(guarded, headers=bearer(issuer.token())) as socket:
        assert await follow(socket) == SNAPSHOT
    other = {"authorization": f"Bearer {issuer.token(customer='bob')}"}
    async with begun(guarded, other, headers=bearer(issuer.token())) as socket:
        assert "FORBIDDEN" in str(await follow(socket))


@pytest.mark.parametrize("payload", [None, {}, {"authorization": None}, {"token": "x"}])
async def test_a_socket_without_a_token_is_nobodys(guarded: Edge, payload: Json | None) -> None:
    async with begun(guarded, payload) as socket:
        assert "UNAUTHENTICATED" in str(await follow(socket))


@pytest.mark.parametrize("value", ["x", "Bearer x", 7, [], {"a": 1}, "\ud800", ""])
async def test_a_token_that_proves_nothing_closes_the_socket(guarded: Edge, value: Any) -> None:
    async with opened(guarded) as socket:
        await socket.socket.send_json({"type": "connection_init", "payload": {"authorization": value}})
        assert await socket.receive() == 4401


async def test_a_bad_token_of_the_handshake_closes_the_socket(guarded: Edge) -> None:
    async with opened(guarded, bearer("x")) as socket:
        await socket.socket.send_json({"type": "connection_init"})
        assert await socket.receive() == 4401


async def test_a_token_that_has_expired_is_told_from_a_bad_one(issuer: Issuer, guarded: Edge) -> None:
    async with opened(guarded) as socket:
        payload = {"authorization": f"Bearer {issuer.token(exp=time.time() - 60)}"}
        await socket.socket.send_json({"type": "connection_init", "payload": payload})
        message = await socket.socket.receive()
        assert (message.type, message.data, message.extra) == (aiohttp.WSMsgType.CLOSE, 4403, "Token expired")


async def test_a_socket_whose_token_cannot_be_verified_is_to_try_again(issuer: Issuer) -> None:
    issuer.broken = True
    async with open_edge(**issuer.settings) as edge, opened(edge) as socket:
        payload = {"authorization": f"Bearer {issuer.token()}"}
        await socket.socket.send_json({"type": "connection_init", "payload": payload})
        assert await socket.receive() == 1013


async def test_in_development_the_first_message_may_name_somebody(edge: Edge) -> None:
    async with begun(edge, {"x-development-identity": "customer:bob"}) as socket:
        assert "FORBIDDEN" in str(await follow(socket))
    async with begun(edge, headers=named("customer:alice")) as socket:
        assert await follow(socket) == SNAPSHOT


# ---------------------------------------------------------------------------------------------------- its end


async def test_a_socket_ends_when_its_token_expires(issuer: Issuer, strict: Edge) -> None:
    async with begun(strict, {"authorization": f"Bearer {issuer.token(exp=time.time() + LIFE_S)}"}) as socket:
        assert await follow(socket) == SNAPSHOT
        message = await socket.socket.receive()
        assert (message.type, message.data, message.extra) == (aiohttp.WSMsgType.CLOSE, 4403, "Token expired")
    await until(lambda: strict.gateway.context.live.watchers == 0)


async def test_a_socket_goes_on_with_a_token_that_comes_in_a_ping(issuer: Issuer, strict: Edge) -> None:
    expires_at = time.time() + LIFE_S
    async with begun(strict, {"authorization": f"Bearer {issuer.token(exp=expires_at)}"}) as socket:
        assert await follow(socket) == SNAPSHOT
        payload = {"authorization": f"Bearer {issuer.token()}", "more": 1}
        await socket.socket.send_json({"type": "ping", "payload": payload})
        assert await socket.receive() == {"type": "pong", "payload": {"more": 1}}, "the token is not sent back"
        await until(lambda: time.time() > expires_at + 0.2)
        create = {"query": CREATE, "variables": {"input": new_order("alice", orderUuid=UUIDS[1])}}
        await socket.socket.send_json({"type": "subscribe", "id": "2", "payload": create})
        told = [await socket.receive() for _ in range(3)]
        assert {str(one["id"]) for one in told if isinstance(one, dict)} == {"1", "2"}


async def test_a_ping_without_a_token_extends_nothing(issuer: Issuer, strict: Edge) -> None:
    async with begun(strict, {"authorization": f"Bearer {issuer.token(exp=time.time() + LIFE_S)}"}) as socket:
        await socket.socket.send_json({"type": "ping", "payload": {"at": 1}})
        assert await socket.receive() == {"type": "pong", "payload": {"at": 1}}
        assert await socket.receive() == 4403


@pytest.mark.parametrize(
    "claims", [{"sub": "bob"}, {"customer": "bob"}, {"roles": ["staff"]}, {"customer": None, "scope": "orders:read"}]
)
async def test_a_token_of_somebody_else_does_not_take_a_socket_over(
    issuer: Issuer, guarded: Edge, claims: Json
) -> None:
    async with begun(guarded, {"authorization": f"Bearer {issuer.token()}"}) as socket:
        payload = {"authorization": f"Bearer {issuer.token(**claims)}"}
        await socket.socket.send_json({"type": "ping", "payload": payload})
        assert await socket.receive() == 4403


async def test_a_bad_token_in_a_ping_closes_the_socket(issuer: Issuer, guarded: Edge) -> None:
    async with begun(guarded, {"authorization": f"Bearer {issuer.token()}"}) as socket:
        await socket.socket.send_json({"type": "ping", "payload": {"authorization": "Bearer x"}})
        assert await socket.receive() == 4401


async def test_a_ping_before_the_first_message_lets_nobody_in(issuer: Issuer, guarded: Edge) -> None:
    async with opened(guarded) as socket:
        await socket.socket.send_json({"type": "ping", "payload": {"authorization": f"Bearer {issuer.token()}"}})
        assert await socket.receive() == {"type": "pong", "payload": {}}
        await socket.socket.send_json({"type": "subscribe", "id": "1", "payload": {"query": FOLLOW}})
        assert await socket.receive() == 4401


async def test_a_socket_of_nobody_stays_nobodys(issuer: Issuer, guarded: Edge) -> None:
    """Who it is, is said at first."""
    async with begun(guarded) as socket:
        await socket.socket.send_json({"type": "ping", "payload": {"authorization": f"Bearer {issuer.token()}"}})
        assert await socket.receive() == 4403


EXPIRED = {"message": "The token has expired.", "extensions": {"code": "UNAUTHENTICATED"}}
FORMS: dict[str, tuple[str, str, type[Events | Parts]]] = {
    "events": ("/graphql/stream", EVENTS, Events),
    "parts": ("/graphql", MULTIPART, Parts),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("keep_alive_s", [0.2, 15.0])
async def test_a_stream_ends_with_an_error_when_its_token_expires(
    issuer: Issuer, form: str, keep_alive_s: float
) -> None:
    path, accept, read = FORMS[form]
    async with open_edge(**issuer.settings, token_leeway_s=0, keep_alive_s=keep_alive_s) as edge:
        headers = {"accept": accept, **bearer(issuer.token(exp=time.time() + LIFE_S))}
        async with edge.http.post(edge.url + path, json={"query": FOLLOW}, headers=headers) as answer:
            stream = read(answer)
            assert await stream.next() == SNAPSHOT
            assert await stream.next() == {"errors": [EXPIRED]}
            assert await stream.end() == "complete"
        await until(lambda: edge.gateway.context.live.watchers == 0)


@pytest.mark.parametrize("form", FORMS)
async def test_a_stream_is_of_who_the_header_says(issuer: Issuer, guarded: Edge, form: str) -> None:
    path, accept, read = FORMS[form]
    for token, expected in ((issuer.token(), SNAPSHOT), (issuer.token(customer="bob"), "FORBIDDEN")):
        headers = {"accept": accept, **bearer(token)}
        async with guarded.http.post(guarded.url + path, json={"query": FOLLOW}, headers=headers) as answer:
            result = await read(answer).next()
            assert result == expected or str(expected) in str(result)


async def test_a_command_that_is_being_carried_out_is_when_the_token_expires(issuer: Issuer, strict: Edge) -> None:
    async with begun(strict, {"authorization": f"Bearer {issuer.token(exp=time.time() + LIFE_S)}"}) as socket:
        create = {"query": CREATE, "variables": {"input": new_order("alice", orderUuid=UUIDS[1])}}
        await socket.socket.send_json({"type": "subscribe", "id": "1", "payload": create})
        assert (await socket.next())["data"] == {"createOrder": {"__typename": "OrderCommandSucceeded"}}
        assert await socket.end() == "complete"
        assert await socket.receive() == 4403
    answer = await post(strict, bearer(issuer.token()), f'{{ order(id: "{ORDER_ID}") {{ id }} }}')
    assert answer.status == 200
