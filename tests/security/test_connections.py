"""Connections that are opened, and not used as they are meant to be: each ends, and the others are served meanwhile."""

import asyncio
import resource
from contextlib import AsyncExitStack

import pytest

from tests.gateway.edge import open_edge
from tests.gateway.raw import RawClient
from tests.projector.world import until
from tests.schema.api import UUIDS, new_order
from tests.security.attacked import HEAD, HONEST, Attacked, client_of

HALF_OPEN = 1_000
CREATE = "mutation($input: CreateOrderInput!) { createOrder(input: $input) { __typename } }"


async def test_slow_headers_are_not_waited_for(attacked: Attacked) -> None:
    raw = await attacked.raw()

    async def drip() -> None:
        await raw.send(HEAD)
        while not raw.writer.transport.is_closing():
            await raw.send(b"x: y\r\n")
            await asyncio.sleep(0.1)

    dripping = asyncio.create_task(drip())
    assert b" 408 " in await raw.head()
    raw.close()
    await dripping


async def test_a_slow_body_is_not_waited_for(attacked: Attacked) -> None:
    raw = await attacked.raw()

    async def drip() -> None:
        await raw.send(HEAD + b"content-length: 100000\r\n\r\n")
        while not raw.writer.transport.is_closing():
            await raw.send(b" ")
            await asyncio.sleep(0.1)

    dripping = asyncio.create_task(drip())
    assert b" 408 " in await raw.head()
    raw.close()
    await dripping


async def test_a_body_that_goes_on_behind_its_answer_is_not_taken_for_ever(attacked: Attacked) -> None:
    raw = await attacked.raw()
    await raw.send(HEAD.replace(b"json", b"text") + b"transfer-encoding: chunked\r\n\r\n")
    assert b" 415 " in await raw.head()

    async def drip() -> None:
        while not raw.writer.transport.is_closing():
            await raw.send(b"1\r\n \r\n")
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drip())
    await raw.answer()
    raw.close()
    await dripping


async def test_connections_that_say_nothing_keep_nobody_out() -> None:
    async with open_edge(max_connections=10) as edge, client_of(edge.url) as attacked:
        raws = [await attacked.raw() for _ in range(30)]
        for raw in raws:
            await raw.send(b"G")
        assert (await attacked.post(HONEST))[0] == 200
        assert b" 503 " in await raws[0].head()
        for _ in range(30):  # one that is used is not one of those
            raws.append(await attacked.raw())
            assert (await attacked.post(HONEST))[0] == 200
        assert len(edge.server.server_state.connections) <= 12
        for raw in raws:
            raw.close()


async def test_a_peer_has_its_share_of_connections() -> None:
    async with open_edge(connections_per_address=2) as edge, client_of(edge.url) as attacked:
        used, other = await attacked.raw(), await attacked.raw()
        for raw in (used, other):
            await raw.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            assert b" 200 " in await raw.head()
        third = await attacked.raw()
        assert (await third.answer()).startswith(b"HTTP/1.1 503 ")
        for raw in (other, third):
            raw.close()

        async def is_served() -> bool:
            raw = await attacked.raw()
            await raw.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            try:
                return b" 200 " in await raw.head()
            finally:
                raw.close()

        await until(is_served)
        used.close()
        for _ in range(3):  # a socket is none of them, nor is one that was closed
            await until(lambda: not edge.server.server_state.connections)
            async with attacked.socket():
                await until(is_served)


LAST = b'transfer-encoding: chunked\r\n\r\n18\r\n{"query":"{__typename}"}\r\n'


@pytest.mark.parametrize(
    "more",
    [b"0\r\n" + b"x: y\r\n" * 50_000, b"0\r\nx: " + b"y" * 300_000, b"1;" + b"x" * 300_000],
    ids=["many trailers", "a long trailer", "a long extension of a chunk"],
)
async def test_what_is_behind_the_headers_and_no_body_has_the_bound_of_headers(more: bytes) -> None:
    async with open_edge() as edge, client_of(edge.url) as attacked:
        raw = await attacked.raw()
        await raw.send(HEAD + LAST)
        await raw.send(more)
        answer = await raw.answer()  # nothing where what was not read any more has taken it back
        assert answer == b"" or b" 431 " in answer
        raw.close()


async def test_a_body_in_small_chunks_has_the_bound_of_bodies_only(attacked: Attacked) -> None:
    raw = await attacked.raw()
    await raw.send(HEAD + b"transfer-encoding: chunked\r\n\r\n")
    for _ in range(20):
        await raw.send(b"1;x\r\n \r\n" * 500)
    await raw.send(LAST.partition(b"\r\n\r\n")[2] + b"0\r\nx: y\r\n\r\n")
    assert b" 200 " in await raw.head()
    raw.close()


async def test_a_request_whose_headers_were_large_may_have_a_body(attacked: Attacked) -> None:
    raw = await attacked.raw()
    await raw.send(HEAD + b"x: " + b"y" * 30_000 + b"\r\n" + LAST.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    await raw.send(LAST.partition(b"\r\n\r\n")[2] + b"0\r\n\r\n")
    assert b" 200 " in await raw.head()
    raw.close()


async def test_blank_lines_do_not_keep_a_connection_alive(attacked: Attacked) -> None:
    raw = await attacked.raw()
    await raw.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
    assert b" 200 " in await raw.head()

    async def drip() -> None:
        while not raw.writer.transport.is_closing():
            await raw.send(b"\r\n")
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drip())
    await raw.answer()
    raw.close()
    await dripping


async def test_a_connection_that_says_nothing_is_ended(attacked: Attacked) -> None:
    raw = await attacked.raw()
    assert await raw.answer() == b""
    raw.close()


async def test_a_thousand_half_open_sockets_are_ended(attacked: Attacked) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < HALF_OPEN * 2:
        pytest.skip("this machine allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, HALF_OPEN * 2), hard))
    begun = b"GET /graphql HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    raws = [await attacked.raw() for _ in range(HALF_OPEN)]
    for number, raw in enumerate(raws):
        await raw.send(begun if number % 2 else b"")
    answers = await asyncio.gather(*(raw.answer() for raw in raws))
    assert all(b" 408 " in answer for answer in answers[1::2])
    for raw in raws:
        raw.close()


async def test_an_answer_that_nobody_reads_is_cut_off(attacked: Attacked) -> None:
    """So many pipelined requests that their answers do not fit into what the systems between take."""
    for order in range(50):
        items = [{"sku": f"s{n}", "title": "x" * 200, "quantity": 1, "unitPrice": "1"} for n in range(20)]
        input = new_order("flood", orderUuid=UUIDS[order], items=items)
        await attacked.post({"query": CREATE, "variables": {"input": input}})
    query = b'{"query": "{ customerOrders(customerId: \\"flood\\", first: 50) { nodes { id items { title sku } } } }"}'
    client = RawClient(attacked.url)
    await client.connect()
    request = HEAD + b"content-length: %d\r\n\r\n" % len(query) + query

    async def flood() -> None:
        while True:
            await client.write(request)

    with pytest.raises(ConnectionError):
        await flood()
    client.reset()


async def test_a_socket_that_reads_nothing_and_pings_is_cut_off(attacked: Attacked) -> None:
    client = RawClient(attacked.url)
    await client.handshake()

    async def flood() -> None:
        while True:
            await client.write((b"\x89\xfd\0\0\0\0" + b"x" * 125) * 500)

    with pytest.raises(ConnectionError):
        await flood()
    client.reset()


async def test_sockets_that_read_nothing_hold_nobody_up(attacked: Attacked) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(20):
            client = RawClient(attacked.url)
            stack.callback(client.reset)
            await client.begin("subscription { ordersUpdated { kind orders { id items { title } } } }")
        for number in range(20):
            status, answer = await attacked.post(
                {"query": CREATE, "variables": {"input": new_order("unread", orderUuid=UUIDS[100 + number])}}
            )
            assert (status, "errors" in answer) == (200, False), answer
