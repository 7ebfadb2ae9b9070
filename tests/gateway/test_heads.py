"""Requests whose head came before: not parsed again, and answered as if they were."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from gateway.heads import MAX_HEAD, Heads
from gateway.protocol import HttpProtocol
from tests.gateway.edge import Edge, open_edge
from tests.gateway.test_transports import CREATE, ORDER_ID
from tests.projector.world import PATIENCE_S, until
from tests.schema.api import UUIDS, line, new_order

BODY = b'{"query": "{ __typename }"}'
TOKEN = CREATE.replace("__typename", "... on OrderCommandSucceeded { consistencyToken }")
WAITING = "query($id: ID!, $consistency: ConsistencyInput) { order(id: $id, consistency: $consistency) { version } }"
SCOPE: dict[str, Any] = {"type": "http", "method": "POST", "path": "/graphql", "http_version": "1.1"}


def request(*headers: bytes, body: bytes = BODY, length: int | None = None) -> bytes:
    lines = (b"Host: x", b"Content-Type: application/json", b"Content-Length: %d" % (length or len(body)), *headers)
    return b"POST /graphql HTTP/1.1\r\n%b\r\n\r\n%b" % (b"\r\n".join(lines), body)


def scope_of(data: bytes, **more: Any) -> dict[str, Any]:
    """What the parser makes of a head."""
    lines = data.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    headers = [(name.lower(), value) for name, _, value in (line.partition(b": ") for line in lines)]
    return {**SCOPE, "headers": headers, **more}


def learned(data: bytes, body: bytes = BODY, **scope: Any) -> bool:
    heads = Heads()
    heads.learn(data, scope_of(data, **scope), body)
    return heads.find(data) is not None


class Client:
    """A connection that says exactly what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the next answer."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        status, *lines = head.strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        return int(status.split()[1]), headers, await self._reader.readexactly(int(headers["content-length"]))

    async def ask(self, *parts: bytes) -> tuple[int, bytes]:
        """Write, each part by itself, and return the next answer."""
        for part in parts:
            self.writer.write(part)
            await asyncio.sleep(0.01)
        status, _, body = await self.answer()
        return status, body

    async def rest(self) -> bytes:
        """What comes until the server closes."""
        return await self._reader.read()


@asynccontextmanager
async def connected(edge: Edge) -> AsyncIterator[Client]:
    where = urlsplit(edge.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield Client(reader, writer)
    finally:
        writer.close()


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The bodies of requests whose heads were known."""
    bodies: list[bytes] = []
    begin = HttpProtocol._begin

    def noting(self: HttpProtocol, head: Any, body: bytes) -> None:
        bodies.append(body)
        begin(self, head, body)

    monkeypatch.setattr(HttpProtocol, "_begin", noting)
    return bodies


def asked(body: bytes) -> str:
    """The data of an answer."""
    return json.dumps(json.loads(body)["data"])


def test_a_head_is_known_again_with_a_body_of_its_length() -> None:
    heads = Heads()
    data = request()
    heads.learn(data, scope_of(data), BODY)
    other = b"x" * len(BODY)
    found = heads.find(request(body=other))
    assert found
    head, body = found
    assert (body, head.scope["path"], head.is_forwarded) == (other, "/graphql", False)
    for unlike in (data + b"x", data[:-1], request(b"A: b"), request(body=BODY * 2), b"\r\n" + data, b"", data[:30]):
        assert heads.find(unlike) is None


@pytest.mark.parametrize(
    "header",
    [
        b"Connection: close",
        b"Connection: Upgrade",
        b"Upgrade: h2c",
        b"Expect: 100-continue",
        b"Transfer-Encoding: chunked",
        b"Host: twice",
        b"X-Request-Id: 1",
        b"Traceparent: 00-1-1-00",
    ],
)
def test_what_is_no_usual_request_is_not_learned(header: bytes) -> None:
    assert learned(request())
    assert not learned(request(header))


def test_what_might_have_been_parsed_in_another_way_is_not_learned() -> None:
    data = request()
    assert not learned(data, http_version="1.0")
    assert not learned(data, body=BODY[:-1])  # the parser took less of it
    assert not learned(data[: -len(BODY)] + b"\r\n\r\n" + BODY)
    assert not learned(data.replace(b"Host: x\r\n", b"Host: x\n"))
    assert not learned(request(b"A: " + b"a" * MAX_HEAD))
    assert not learned(request().replace(b"Content-Length: 27\r\n", b""))


def test_who_says_that_the_connection_is_kept_says_nothing_unusual() -> None:
    assert learned(request(b"Connection: Keep-Alive"))


def test_all_heads_together_have_a_bound_however_small_they_are() -> None:
    heads = Heads()
    for number in range(10_000):
        data = request(b"A: %d" % number)
        heads.learn(data, scope_of(data), BODY)
    assert sum(heads.find(request(b"A: %d" % number)) is not None for number in range(10_000)) < 5_000
    assert heads.find(request(b"A: 9999"))


def test_who_asks_through_a_proxy_is_known_as_such() -> None:
    data = request(b"X-Forwarded-For: 192.0.2.1")
    heads = Heads()
    heads.learn(data, scope_of(data), BODY)
    found = heads.find(data)
    assert found
    assert found[0].is_forwarded


async def test_the_second_request_is_answered_as_the_first(edge: Edge, known: list[bytes]) -> None:
    async with connected(edge) as client:
        answers = []
        for _ in range(3):
            client.writer.write(request())
            answers.append(await client.answer())
    assert [status for status, _, _ in answers] == [200] * 3
    assert len({body for _, _, body in answers}) == 1
    assert len({headers["x-request-id"] for _, headers, _ in answers}) == 3
    assert len({frozenset(headers) for _, headers, _ in answers}) == 1
    assert len(known) == 2


async def test_another_connection_and_another_body_are_told_apart(edge: Edge, known: list[bytes]) -> None:
    bodies = [json.dumps({"query": f"{{ a{number}: __typename }}"}).encode() for number in range(3)]
    for body in bodies:
        async with connected(edge) as client:
            status, answer = await client.ask(request(body=body))
            assert (status, asked(answer)) == (200, asked(answer).replace("b", "a"))
            assert f"a{bodies.index(body)}" in asked(answer)
    assert known == bodies[1:]


async def test_what_is_cut_or_comes_in_one_piece_is_parsed(edge: Edge, known: list[bytes]) -> None:
    whole = request()
    async with connected(edge) as client:
        await client.ask(whole)
        for at in (10, whole.index(b"\r\n\r\n") + 2, whole.index(b"\r\n\r\n") + 4, len(whole) - 1):
            assert (await client.ask(whole[:at], whole[at:]))[0] == 200
        assert known == []
        client.writer.write(whole * 5)
        assert [(await client.answer())[0] for _ in range(5)] == [200] * 5
        assert known == []
        assert (await client.ask(whole))[0] == 200
        assert known == [BODY]
        assert (await client.ask(whole[:-3], b"\x00\x00\x00"))[0] == 400  # not JSON
        client.writer.write(whole + b"no request\r\n\r\n")
        assert b" 400 " in await client.rest()


async def test_what_comes_behind_one_that_has_to_wait_is_answered_in_turn(known: list[bytes]) -> None:
    async with open_edge(projector=False) as edge, connected(edge) as client:
        created = await edge.ask(TOKEN, {"input": new_order(orderUuid=UUIDS[1], items=[line()])})
        after = [created["createOrder"]["consistencyToken"]]

        def waiting(ms: int) -> bytes:
            variables = {"id": ORDER_ID, "consistency": {"after": after, "waitMs": ms}}
            return request(body=json.dumps({"query": WAITING, "variables": variables}).encode())

        assert (await client.ask(waiting(100)))[0] == 200
        client.writer.write(waiting(500))
        await until(lambda: len(known) == 1)
        for _ in range(3):
            client.writer.write(request())
            await asyncio.sleep(0.01)
        answers = [json.loads((await client.answer())[2]) for _ in range(4)]
        assert [answer["data"] for answer in answers] == [{"order": None}] + [{"__typename": "Query"}] * 3
        assert answers[0]["extensions"]["freshness"]["satisfied"] is False
        assert [(await client.ask(request()))[0] for _ in range(2)] == [200, 200]
        assert known[1:] == [BODY]


async def test_one_that_waits_ends_with_its_client(known: list[bytes]) -> None:
    async with open_edge(projector=False) as edge:
        created = await edge.ask(TOKEN, {"input": new_order(orderUuid=UUIDS[1], items=[line()])})
        consistency = {"after": [created["createOrder"]["consistencyToken"]], "waitMs": 9999}
        body = json.dumps({"query": WAITING, "variables": {"id": ORDER_ID, "consistency": consistency}}).encode()
        for at_once, sent in ((False, body.replace(b"9999", b"1000")), (True, body)):
            async with connected(edge) as client:
                client.writer.write(request(body=sent))
                await until(lambda: edge.server.server_state.tasks)
            await until(lambda: not edge.server.server_state.tasks)
            assert bool(known) is at_once
        assert edge.gateway.telemetry.metrics.operations.counts["query", "CANCELLED"] == 2


async def test_limits_hold_for_known_heads_too(known: list[bytes]) -> None:
    async with open_edge(rate_per_address=5) as edge, connected(edge) as client:
        statuses = [(await client.ask(request()))[0] for _ in range(30)]
    assert statuses[0] == 200
    assert statuses[-1] == 429
    assert len(known) == 29


async def test_headers_that_are_too_large_are_refused_however_often_they_come() -> None:
    large = request(b"A: " + b"a" * 2000)
    async with open_edge(max_header_bytes=1024) as edge:
        for _ in range(3):
            async with connected(edge) as client:
                assert (await client.ask(large))[0] == 431


async def test_what_fails_on_the_way_out_is_told_by_an_id(
    edge: Edge, known: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Any:
        raise RuntimeError("a secret")

    async with connected(edge) as client:
        await client.ask(request())
        with monkeypatch.context() as patched:
            patched.setattr("gateway.transports.http.written", broken)
            status, answer = await client.ask(request())
        assert (status, b"INTERNAL" in answer, b"secret" in answer) == (500, True, False)
        assert (await client.ask(request()))[0] == 200
    assert len(known) == 2


async def test_who_waits_while_the_server_ends_is_answered_and_told_so() -> None:
    async with open_edge(projector=False) as edge:
        created = await edge.ask(TOKEN, {"input": new_order(orderUuid=UUIDS[1], items=[line()])})
        consistency = {"after": [created["createOrder"]["consistencyToken"]], "waitMs": 800}
        body = json.dumps({"query": WAITING, "variables": {"id": ORDER_ID, "consistency": consistency}}).encode()
        async with connected(edge) as client:
            await client.ask(request(body=body.replace(b"800", b"100")))
            client.writer.write(request(body=body))
            await until(lambda: edge.server.server_state.tasks)
            edge.server.should_exit = True
            status, headers, _ = await client.answer()
            assert (status, headers["connection"]) == (200, "close")
            assert await client.rest() == b""


async def test_who_is_shed_is_told_so_before_the_body_is_looked_at(known: list[bytes]) -> None:
    async with open_edge(projector=False, max_running=1) as edge, connected(edge) as client:
        created = await edge.ask(TOKEN, {"input": new_order(orderUuid=UUIDS[1], items=[line()])})
        consistency = {"after": [created["createOrder"]["consistencyToken"]], "waitMs": 5000}
        body = json.dumps({"query": WAITING, "variables": {"id": ORDER_ID, "consistency": consistency}}).encode()
        assert (await client.ask(request()))[0] == 200
        async with connected(edge) as waiting:
            waiting.writer.write(request(body=body))
            await until(lambda: edge.server.server_state.tasks)
            await asyncio.sleep(0)
            status, answer = await client.ask(request(body=b"x" * len(BODY)))
        assert (status, json.loads(answer)["errors"][0]["extensions"]["code"]) == (503, "OVERLOADED")
        assert known == [b"x" * len(BODY)]


async def test_a_body_that_is_too_long_is_refused_whoever_knows_its_head(known: list[bytes]) -> None:
    body = json.dumps({"query": "{ __typename }", "operationName": "a" * 2000}).encode()
    async with open_edge(max_body_bytes=1000) as edge:
        for _ in range(2):
            async with connected(edge) as client:
                assert (await client.ask(request(body=body)))[0] == 413
    assert known == [body]


async def test_a_connection_by_which_nothing_is_asked_any_more_is_closed(edge: Edge) -> None:
    async with connected(edge) as client:
        await client.ask(request())
        await client.ask(request())
        (connection,) = (one for one in edge.server.server_state.connections if isinstance(one, HttpProtocol))
        now = asyncio.get_running_loop().time()
        connection.end_if_late(connection._bounds, now + connection.timeout_keep_alive - 1)
        assert (await client.ask(request()))[0] == 200
        connection.end_if_late(connection._bounds, asyncio.get_running_loop().time() + 6)
        assert await client.rest() == b""
    await until(lambda: connection not in edge.server.server_state.connections)


async def test_a_command_with_a_known_head_is_carried_out_though_its_client_goes(
    edge: Edge, known: list[bytes]
) -> None:
    bodies = [
        json.dumps({"query": CREATE, "variables": {"input": new_order(orderUuid=uuid, items=[line()])}}).encode()
        for uuid in UUIDS[1:3]
    ]
    async with connected(edge) as client:
        status, answer = await client.ask(request(body=bodies[0]))
        assert (status, json.loads(answer)["data"]["createOrder"]["__typename"]) == (200, "OrderCommandSucceeded")
    async with connected(edge) as client:
        client.writer.write(request(body=bodies[1]))
        await until(lambda: known == bodies[1:])
    async with connected(edge) as client:
        query = f'{{ order(id: "order:ada:{UUIDS[2]}") {{ version }} }}'

        async def version() -> Any:
            _, answer = await client.ask(request(body=json.dumps({"query": query}).encode()))
            return json.loads(answer)["data"]["order"]

        while await version() is None:  # until it is projected
            pass
