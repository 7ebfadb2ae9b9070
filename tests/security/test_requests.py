"""Requests that are no requests, or another page's: each has the status that HTTP has for it."""

import gzip
import json
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from tests.gateway.raw import RawClient
from tests.schema.api import UUIDS, new_order
from tests.security.attacked import HEAD, HONEST, Attacked

CREATE = "mutation($input: CreateOrderInput!) { createOrder(input: $input) { __typename } }"
FOREIGN = "https://evil.example"


async def test_batches_are_refused(attacked: Attacked) -> None:
    status, answer = await attacked.post([HONEST] * 1000)
    assert (status, "batches" in answer["errors"][0]["message"]) == (400, True)


BODIES: dict[str, bytes] = {
    "null": b"null",
    "a number": b"5",
    "not UTF-8": b'{"query": "\xff"}',
    "UTF-16": '{"query": "{ __typename }"}'.encode("utf-16"),
    "UTF-16 without a mark": '{"query": "{ __typename }"}'.encode("utf-16-le"),
    "UTF-32": '{"query": "{ __typename }"}'.encode("utf-32"),
    "deep variables": b'{"query": "{ __typename }", "variables": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    "a long integer": b'{"query": "{ __typename }", "variables": {"a": ' + b"9" * 5000 + b"}}",
    "a number in place of variables": b'{"query": "{ __typename }", "variables": 5}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_body_that_is_no_request_is_a_400(attacked: Attacked, body: bytes) -> None:
    status, answer = await attacked.post(body)
    assert (status, answer["errors"][0]["extensions"]["code"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("depth", range(20, 1000, 70))
async def test_variables_of_any_depth_are_never_our_fault(attacked: Attacked, depth: int) -> None:
    value = "[" * depth + "]" * depth
    for document in ("query($a: OrderFilter) { orders(filter: $a) { nodes { id } } }", "{ __typename }", CREATE):
        for name in ("a", "input"):
            body = f'{{"query": {json.dumps(document)}, "variables": {{"{name}": {value}}}}}'.encode()
            status, answer = await attacked.post(body)
            codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
            assert (status in (200, 400), "INTERNAL" in codes) == (True, False), answer
    async with attacked.socket() as socket:
        await socket.send_str(f'{{"type": "ping", "payload": {{"a": {value}}}}}')
        told = await socket.receive()
        assert told.type is aiohttp.WSMsgType.TEXT or told.data == 4400, told


@pytest.mark.parametrize("status", ["x" * 250_000, ["x" * 250_000], ["DRAFT"] * 30_000], ids=["text", "list", "many"])
async def test_what_is_as_long_as_a_request_may_be_is_not_shown_at_length(attacked: Attacked, status: Any) -> None:
    document = "query($f: OrderFilter) { orders(filter: $f) { nodes { id } } }"
    _, answer = await attacked.post({"query": document, "variables": {"f": {"status": status}}})
    assert len(json.dumps(answer)) < 10_000


async def test_a_body_that_says_that_it_is_too_large_is_refused_before_it_comes(attacked: Attacked) -> None:
    raw = await attacked.raw()
    await raw.send(HEAD + b"content-length: 100000000\r\n\r\n")
    assert b" 413 " in await raw.head()
    raw.close()


async def test_a_body_that_grows_too_large_is_refused(attacked: Attacked) -> None:
    raw = await attacked.raw()
    await raw.send(HEAD + b"transfer-encoding: chunked\r\n\r\n")
    await raw.send((b"10000\r\n" + b" " * 65536 + b"\r\n") * 20)
    assert b" 413 " in await raw.head()
    raw.close()


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "GZIP, identity"])
async def test_a_compressed_body_is_refused(attacked: Attacked, coding: str) -> None:
    bomb = gzip.compress(b'{"query": "' + b" " * 10_000_000 + b'"}')
    status, answer = await attacked.post(bomb, content_encoding=coding)
    assert (status, "compressed" in answer["errors"][0]["message"]) == (415, True)


LARGE = json.dumps({"type": "ping", "payload": {"a": " " * 20_000_000}})


async def test_a_message_that_is_too_large_closes_its_socket(attacked: Attacked) -> None:
    async with attacked.socket() as socket:
        with suppress(ConnectionError):  # it is not waited for
            await socket.send_str(LARGE)
        told = await socket.receive()
        assert told.type is not aiohttp.WSMsgType.TEXT, told


async def test_a_message_that_is_too_large_once_it_is_unpacked_closes_its_socket(attacked: Attacked) -> None:
    async with attacked.socket(compress=12) as socket:
        await socket.send_str(LARGE)
        told = await socket.receive()
        assert told.data == 1009, told


async def test_a_message_of_ever_more_empty_fragments_closes_its_socket(attacked: Attacked) -> None:
    client = RawClient(attacked.url)
    await client.handshake()
    await client.write(b"\x01\x80\0\0\0\0" + b"\x00\x80\0\0\0\0" * 5_000)
    opcode, content = await client.receive()
    assert (opcode, int.from_bytes(content[:2], "big")) == (8, 1009)
    client.reset()


@pytest.mark.parametrize(
    "head",
    [b"x: " + b"y" * 100_000 + b"\r\n\r\n", b"x: y\r\n" * 20_000 + b"\r\n", b"x: " + b"y" * 500_000],
    ids=["one long header", "many headers", "a header without an end"],
)
async def test_headers_that_are_too_large_are_refused(attacked: Attacked, head: bytes) -> None:
    raw = await attacked.raw()
    await raw.send(HEAD + head)
    assert b" 431 " in await raw.head()
    raw.close()


async def test_a_mutation_by_get_is_refused(attacked: Attacked) -> None:
    mutation = {"query": CREATE, "variables": json.dumps({"input": new_order(orderUuid=UUIDS[1])})}
    for path in ("/graphql", "/graphql/stream"):
        headers = {"accept": "*/*", "x-apollo-operation-name": "x"}
        async with attacked.http.get(attacked.url + path, params=mutation, headers=headers) as answer:
            assert (answer.status, answer.headers["allow"]) == (405, "POST")
    status, answered = await attacked.post({"query": f'{{ order(id: "order:ada:{UUIDS[1]}") {{ id }} }}'})
    assert (status, answered["data"]) == (200, {"order": None})


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "text/plain;application/json",
        "application/json; charset=utf-16",
    ],
)
async def test_what_a_page_may_send_anywhere_is_no_request(attacked: Attacked, kind: str) -> None:
    body = json.dumps({"query": CREATE, "variables": {"input": new_order()}}).encode()
    for path in ("/graphql", "/graphql/stream"):
        async with attacked.http.post(attacked.url + path, data=body, headers={"content-type": kind}) as answer:
            assert answer.status == 415


CROSS_SITE: list[dict[str, str]] = [
    {"origin": FOREIGN},
    {"origin": "null"},
    {"origin": "http://["},
    {"origin": "http://", "host": ""},
    {"origin": FOREIGN, "sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site", "content-type": "text/plain"},
]
OWN: list[dict[str, str]] = [
    {},
    {"sec-fetch-site": "same-origin"},
    {"sec-fetch-site": "none"},
    {"sec-fetch-site": "cross-site", "apollo-require-preflight": "true"},
    {"sec-fetch-site": "cross-site", "x-apollo-operation-name": "x"},
    {"sec-fetch-site": "cross-site", "content-type": "application/json"},
    {"sec-fetch-site": "cross-site", "origin": "https://shop.example"},
]


@pytest.mark.parametrize("headers", CROSS_SITE)
async def test_a_page_of_another_origin_cannot_ask_by_get(attacked: Attacked, headers: dict[str, str]) -> None:
    for path in ("/graphql", "/graphql/stream"):
        async with attacked.http.get(attacked.url + path, params=HONEST, headers=headers) as answer:
            code = (await answer.json())["errors"][0]["extensions"]["code"]
            assert (answer.status, code) == (403, "CROSS_SITE")


@pytest.mark.parametrize("headers", OWN)
async def test_what_is_no_page_of_another_origin_may_ask_by_get(attacked: Attacked, headers: dict[str, str]) -> None:
    for path in ("/graphql", "/graphql/stream"):
        async with attacked.http.get(attacked.url + path, params=HONEST, headers=headers) as answer:
            assert answer.status == 200


async def test_only_pages_of_listed_origins_are_let_through_by_browsers(attacked: Attacked) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    for origin, allowed in (("https://shop.example", "https://shop.example"), (FOREIGN, None), ("null", None)):
        async with attacked.http.options(attacked.graphql, headers={"origin": origin, **asked}) as answer:
            assert answer.headers.get("access-control-allow-origin") == allowed
            assert "access-control-allow-credentials" not in answer.headers
        headers = {"origin": origin, "content-type": "application/json"}
        async with attacked.http.post(attacked.graphql, json=HONEST, headers=headers) as answer:
            assert answer.headers.get("access-control-allow-origin") == allowed


@pytest.mark.parametrize("origin", [FOREIGN, "null", "http://[", "https://shop.example.evil.example"])
async def test_a_socket_of_a_page_of_another_origin_is_refused(attacked: Attacked, origin: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with attacked.socket(headers={"origin": origin}):
            pass
    assert refused.value.status == 403


@pytest.mark.parametrize("origin", ["https://shop.example", "HTTPS://SHOP.example"])
async def test_a_socket_of_a_page_of_a_listed_origin_is_accepted(attacked: Attacked, origin: str) -> None:
    async with attacked.socket(headers={"origin": origin}) as socket:
        assert not socket.closed


SECRETS = ("Traceback", 'File "', ".py", "site-packages", "sqlite", "gateway.db")


@pytest.mark.parametrize(
    "request_",
    [
        {"query": '{ order(id: "\\ud800") { id } }'},
        {"query": '{ orders(after: "x") { nodes { id } } }'},
        {"query": CREATE, "variables": {"input": {"customerId": 5}}},
        {"query": CREATE, "variables": {"input": new_order(items=[{"sku": "\ud800"}])}},
        {"query": 5},
        {"query": "{", "extensions": {"persistedQuery": {"version": 9}}},
        {"documentId": "sha256:0000"},
        {"query": 'mutation { submitOrder(input: {orderId: "../../etc/passwd"}) { __typename } }'},
    ],
)
async def test_an_error_tells_nothing_of_what_is_inside(attacked: Attacked, request_: Any) -> None:
    _, answer = await attacked.post(request_)
    assert not any(secret in json.dumps(answer) for secret in SECRETS), answer
    assert all(error["extensions"]["code"] != "INTERNAL" for error in answer.get("errors", ()))
