"""Answers as they are on the wire, whatever the client's HTTP is like."""

import asyncio
from urllib.parse import urlsplit

import pytest

from tests.gateway.edge import Edge, open_edge
from tests.projector.world import PATIENCE_S

BODY = b'{"query": "{ __typename }"}'
DATA = b'{"data":{"__typename":"Query"},"extensions":{"cost":{"requested":0,"limit":5000}}}'


def request(*headers: bytes, method: bytes = b"POST", version: bytes = b"1.1", body: bytes = BODY) -> bytes:
    lines = (b"Host: x", b"Content-Type: application/json", b"Content-Length: %d" % len(body), *headers)
    return b"%b /graphql HTTP/%b\r\n%b\r\n\r\n%b" % (method, version, b"\r\n".join(lines), body)


async def told(edge: Edge, *parts: bytes, answers: int = 1) -> tuple[bytes, bool]:
    """What comes back until so many answers are there, and whether the server has closed by then."""
    where = urlsplit(edge.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        async with asyncio.timeout(PATIENCE_S):
            writer.writelines(parts)
            answer = b""
            while answer.count(DATA) < answers:
                more = await reader.read(65536)
                assert more, answer
                answer += more
            if b"connection: close" in answer:
                return answer, not await reader.read(1)
            return answer, False
    finally:
        writer.close()


async def test_an_answer_has_the_headers_of_the_server_and_of_the_request(edge: Edge) -> None:
    answer, closed = await told(edge, request(b"X-Request-Id: one"))
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    headers = dict(line.split(b": ") for line in lines)
    assert status == b"HTTP/1.1 200 OK"
    assert (body, closed) == (DATA, False)
    assert headers.keys() == {b"date", b"server", b"content-type", b"x-request-id", b"content-length"}
    assert headers[b"x-request-id"] == b"one"
    assert headers[b"content-length"] == b"%d" % len(DATA)


async def test_requests_that_are_sent_at_once_are_answered_in_turn(edge: Edge) -> None:
    answer, closed = await told(edge, *(request(b"X-Request-Id: %d" % number) for number in range(20)), answers=20)
    ids = [line.partition(b": ")[2] for line in answer.split(b"\r\n") if line.startswith(b"x-request-id")]
    assert ids == [b"%d" % number for number in range(20)]
    assert not closed


@pytest.mark.parametrize(("headers", "version"), [((b"Connection: close",), b"1.1"), ((), b"1.0")])
async def test_a_connection_that_is_not_kept_is_closed_behind_the_answer(
    edge: Edge, headers: tuple[bytes, ...], version: bytes
) -> None:
    answer, closed = await told(edge, request(*headers, version=version))
    assert answer.endswith(DATA)
    assert closed


async def test_a_client_that_waits_for_leave_to_send_gets_it_and_then_the_answer(edge: Edge) -> None:
    answer, _ = await told(edge, request(b"Expect: 100-continue", body=BODY))
    assert answer.endswith(DATA)
    assert answer.count(b"200 OK") == 1


async def test_a_body_in_pieces_is_one_request(edge: Edge) -> None:
    whole = request()
    answer, _ = await told(edge, *(whole[place : place + 7] for place in range(0, len(whole), 7)))
    assert answer.endswith(DATA)


async def test_a_long_answer_comes_whole_and_compressed_for_who_takes_that() -> None:
    query = "{" + "".join(f"a{number}: __typename " for number in range(10)) + "}"
    async with open_edge(compress_bytes=100) as edge:
        async with edge.http.post(f"{edge.url}/graphql", json={"query": query}) as answer:
            assert answer.headers["content-encoding"] == "gzip"
            assert answer.headers["vary"] == "accept-encoding"
            assert len((await answer.json())["data"]) == 10
        headers = {"accept-encoding": "identity"}
        async with edge.http.post(f"{edge.url}/graphql", json={"query": query}, headers=headers) as answer:
            assert "content-encoding" not in answer.headers
            assert len((await answer.json())["data"]) == 10
