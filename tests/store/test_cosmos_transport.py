"""The SDK's requests on the wire: connections are used again, and whatever goes wrong is told as the SDK knows it."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop
from aiohappyeyeballs import start_connection
from azure.core.exceptions import (
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.core.pipeline.transport import AsyncHttpResponse, HttpRequest

from store.cosmos import connect, transport
from store.cosmos.transport import Transport
from store.cosmos.transport import _Origin as Origin
from store.errors import Unavailable
from tests.certificates import certificate
from tests.emulator import emulator
from tests.projector.world import until

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
"""The server's is the latter."""
Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HELLO = b"HTTP/1.1 200 Fine\r\nX-Told: yes\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"


class Server:
    """Reads each request whole, keeps it, and has `answer` do the rest."""

    def __init__(self, answer: Handle) -> None:
        self._answer = answer
        self.url = ""
        self.requests: list[bytes] = []
        self.connections: set[asyncio.StreamWriter] = set()
        self.accepted = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.connections.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                await self._answer(reader, writer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.connections.discard(writer)
            writer.close()


@asynccontextmanager
async def serving(answer: Handle, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(answer)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.url = f"{'https://localhost' if tls else 'http://127.0.0.1'}:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        for connection in list(server.connections):
            connection.transport.abort()
        await until(lambda: not server.connections)


def says(*parts: bytes) -> Handle:
    """Answers each request with these bytes, in so many writes that the client reads them one by one."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0.002)

    return answer


def closes(*parts: bytes) -> Handle:
    """Says this much, and closes the connection."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.writelines(parts)
        writer.close()

    return answer


async def says_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.fixture
async def client() -> AsyncIterator[Transport]:
    async with Transport(10) as client:
        yield client


async def ask(client: Transport, url: str, method: str = "GET", **options: Any) -> AsyncHttpResponse:
    request = HttpRequest(method, f"{url}/dbs/shop?a=b", headers=options.pop("headers", {}))
    request.data = options.pop("data", None)
    return await client.send(request, **{"connection_timeout": 10.0, "read_timeout": 10.0, **options})


# ---------------------------------------------------------------------------------------------------- what is sent


async def test_a_request_is_written_as_the_sdk_gave_it(client: Transport) -> None:
    async with serving(says(HELLO)) as server:
        await ask(
            client,
            server.url,
            "POST",
            headers={"x-ms-date": "now", "Content-Length": 3, "Host": "a"},
            data='{"name":"Zoë"}',
        )
    host = server.url.removeprefix("http://")
    body = '{"name":"Zoë"}'.encode()
    head = f"POST /dbs/shop?a=b HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(body)}\r\nx-ms-date: now\r\n\r\n"
    assert server.requests == [head.encode() + body]


@pytest.mark.parametrize("value", ["a\r\nx-other: b", "a\nb", "a\rb"])
async def test_a_header_cannot_become_two(client: Transport, value: str) -> None:
    async with serving(says(HELLO)) as server:
        with pytest.raises(ValueError, match="more than one"):
            await ask(client, server.url, headers={"x-ms-date": value})
        assert not server.requests


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:99999", "http://127.0.0.1:a", "http://", "http://a..b", "http://a/b c"]
)
async def test_nothing_is_sent_where_there_is_no_place(client: Transport, url: str) -> None:
    with pytest.raises(ServiceRequestError, match="nowhere"):
        await ask(client, url)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://shop.example", "shop.example"),
        ("https://shop.example:443", "shop.example"),
        ("https://me@Shop.example:8081", "shop.example:8081"),
        ("http://bücher.example:80", "xn--bcher-kva.example"),
        ("http://[::1]:8081", "[::1]:8081"),
    ],
)
async def test_a_host_is_named_as_its_certificate_names_it(url: str, host: str) -> None:
    assert Origin(url).host == host


async def test_a_place_without_a_path_is_its_root(client: Transport) -> None:
    async with serving(says(HELLO)) as server:
        await client.send(HttpRequest("GET", server.url), connection_timeout=10.0, read_timeout=10.0)
    assert server.requests[0].startswith(b"GET / HTTP/1.1\r\n")


async def test_an_accounts_address_needs_no_path() -> None:
    async with emulator(partitions=1) as account, connect(account.url.rstrip("/"), account.key):
        pass


async def test_a_body_that_is_a_stream_is_not_sent(client: Transport) -> None:
    with pytest.raises(NotImplementedError):
        await ask(client, "http://127.0.0.1:1", data=iter([b"a"]))


# ---------------------------------------------------------------------------------------------------- what is answered


CHUNKED = b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"


async def test_an_answer_has_all_that_was_said(client: Transport) -> None:
    async with serving(says(HELLO)) as server:
        answer = await ask(client, server.url)
    assert (answer.status_code, answer.reason, answer.content_type) == (200, "Fine", "text/plain")
    assert (answer.headers["x-told"], answer.body(), answer.text()) == ("yes", b"hello", "hello")


async def test_an_answer_may_come_in_pieces(client: Transport) -> None:
    pieces = [CHUNKED[at : at + 1] for at in range(len(CHUNKED))]
    async with serving(says(*pieces)) as server:
        for _ in range(2):
            answer = await ask(client, server.url)
            assert (answer.status_code, answer.reason, answer.body()) == (404, "Not Found", b"hello")
        assert server.accepted == 1


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body_ends_with_its_head(client: Transport, status: int) -> None:
    async with serving(says(f"HTTP/1.1 {status} None\r\netag: 1\r\n\r\n".encode())) as server:
        answer = await ask(client, server.url)
        assert (answer.status_code, answer.headers["etag"], answer.body()) == (status, "1", b"")


async def test_that_it_may_take_longer_is_no_answer(client: Transport) -> None:
    async with serving(says(b"HTTP/1.1 102 Processing\r\n\r\n", HELLO)) as server:
        assert (await ask(client, server.url)).body() == b"hello"


async def test_who_says_something_now_and_then_has_time(client: Transport) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for at in range(0, len(HELLO), len(HELLO) // 3):
            await asyncio.sleep(0.4)
            writer.write(HELLO[at : at + len(HELLO) // 3])

    async with serving(answer) as server:
        assert (await ask(client, server.url, read_timeout=1.0)).body() == b"hello"


# ---------------------------------------------------------------------------------------------------- connections


async def test_a_connection_is_used_again(client: Transport) -> None:
    async with serving(says(HELLO)) as server:
        for _ in range(3):
            await ask(client, server.url)
        assert server.accepted == 1
        await asyncio.gather(*(ask(client, server.url) for _ in range(3)))
        assert server.accepted == 3


async def test_a_connection_that_the_server_ends_is_not_used_again(client: Transport) -> None:
    async with serving(says(HELLO.replace(b"X-Told: yes", b"Connection: close"))) as server:
        for _ in range(2):
            await ask(client, server.url)
        assert server.accepted == 2


async def test_a_connection_that_was_closed_meanwhile_is_not_used_again(client: Transport) -> None:
    async with serving(says(HELLO)) as server:
        await ask(client, server.url)
        (connection,) = server.connections
        connection.close()
        await until(lambda: not server.connections)
        await ask(client, server.url)
        assert server.accepted == 2


async def test_a_connection_that_was_unused_for_long_is_ended(
    client: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(says(HELLO)) as server:
        await ask(client, server.url)
        monkeypatch.setattr(transport, "KEPT_S", -1.0)
        await ask(client, server.url)
        assert server.accepted == 2
        await until(lambda: len(server.connections) == 1)


@pytest.mark.parametrize("said", [HELLO, HELLO[:20], b"what?"])
async def test_a_connection_that_says_what_nobody_asked_is_ended(client: Transport, said: bytes) -> None:
    async with serving(says(HELLO + said)) as server:
        for number in range(1, 4):
            assert (await ask(client, server.url)).body() == b"hello"
            assert server.accepted == number
        await until(lambda: len(server.connections) <= 1)


@pytest.mark.parametrize("said", [HELLO[:20], b"what?"])
async def test_a_connection_that_says_something_while_nobody_uses_it_is_ended(client: Transport, said: bytes) -> None:
    async with serving(says(HELLO)) as server:
        await ask(client, server.url)
        ((_, unused),) = client._origins[server.url]._unused
        (connection,) = server.connections
        connection.write(said)
        await until(lambda: not unused.is_ready)
        await ask(client, server.url)
        assert server.accepted == 2
        await until(lambda: connection not in server.connections)


async def test_a_name_is_looked_up_once_and_each_of_its_addresses_is_tried(
    client: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, looked = asyncio.get_running_loop(), []
    look_at_the_system = loop.getaddrinfo

    async def look(host: str, port: int, **options: Any) -> Any:
        if host != "shop.example":  # uvloop asks for addresses as well
            return await look_at_the_system(host, port, **options)
        looked.append(host)
        await asyncio.sleep(0.01)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", at)) for at in (1, port)]

    monkeypatch.setattr(loop, "getaddrinfo", look)
    async with serving(says(HELLO)) as server:
        url = server.url.replace("127.0.0.1", "shop.example")
        await asyncio.gather(*(ask(client, url) for _ in range(5)))
        assert (looked, server.accepted) == (["shop.example"], 5)
        monkeypatch.setattr(transport, "NAMED_S", -1.0)
        monkeypatch.setattr(transport, "KEPT_S", -1.0)
        await ask(client, url)  # the addresses are still known
        assert len(looked) == 1


async def test_a_connection_whose_request_was_cancelled_is_not_used_again(client: Transport) -> None:
    async with serving(says_nothing) as server:
        asking = asyncio.create_task(ask(client, server.url))
        await until(lambda: server.requests)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await until(lambda: not server.connections)


async def test_no_more_requests_than_allowed_are_on_their_way() -> None:
    go_on = asyncio.Event()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(HELLO)

    async with serving(answer) as server, Transport(2) as client:
        asking = [asyncio.create_task(ask(client, server.url)) for _ in range(5)]
        await until(lambda: len(server.requests) == 2)
        go_on.set()
        await asyncio.gather(*asking)
        assert server.accepted == 2


async def test_closing_ends_all_there_is() -> None:
    async with serving(says_nothing) as server, Transport(1) as client:
        asking = asyncio.create_task(ask(client, server.url))
        await until(lambda: server.requests)
        waiting = asyncio.create_task(ask(client, server.url))
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(ServiceResponseError):
            await asking
        with pytest.raises(Unavailable, match="closed"):
            await waiting
        with pytest.raises(Unavailable, match="closed"):
            await ask(client, server.url)
        await until(lambda: not server.connections)
        assert server.accepted == 1


async def test_closing_ends_what_connects_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def connected(*arguments: Any, **options: Any) -> socket.socket:
        begun.set()
        await go_on.wait()
        return await start_connection(*arguments, **options)

    monkeypatch.setattr(transport, "start_connection", connected)
    async with serving(says(HELLO)) as server, Transport(1) as client:
        asking = asyncio.create_task(ask(client, server.url))
        await begun.wait()
        await client.close()
        go_on.set()
        with pytest.raises(Unavailable, match="closed"):
            await asking
        await until(lambda: server.accepted == 1 and not server.connections)


# ---------------------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    "answer",
    [
        closes(),
        closes(HELLO[:-1]),
        closes(b"HTTP/1.1 200 OK\r\n\r\nan answer tells how long it is"),
        says(b"SSH-2.0-OpenSSH_9.2\r\n"),
        says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: upgrade\r\n\r\n"),
    ],
)
async def test_what_is_no_answer_may_have_been_applied(client: Transport, answer: Handle) -> None:
    async with serving(answer) as server:
        with pytest.raises(ServiceResponseError):
            await ask(client, server.url, "POST", data=b"{}")
        assert len(server.requests) == 1
        await until(lambda: not server.connections)


async def test_who_says_nothing_in_time_may_have_applied_it(client: Transport) -> None:
    async with serving(says_nothing) as server:
        with pytest.raises(ServiceResponseTimeoutError):
            await ask(client, server.url, read_timeout=0.05)
        await until(lambda: not server.connections)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://no.such.host.invalid"])
async def test_nothing_is_sent_where_nobody_is(client: Transport, url: str) -> None:
    with pytest.raises(ServiceRequestError):
        await ask(client, url)


async def test_nothing_is_sent_to_who_makes_no_connection_in_time(client: Transport) -> None:
    async with serving(says_nothing) as server:
        with pytest.raises(ServiceRequestTimeoutError):
            await ask(client, server.url.replace("http:", "https:"), connection_timeout=0.05)
        assert not server.requests


# ---------------------------------------------------------------------------------------------------- certificates


async def test_a_certificate_is_checked_unless_the_sdk_says_otherwise(client: Transport, tmp_path: Path) -> None:
    trusted, private = certificate(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(trusted, private)
    async with serving(says(HELLO), tls) as server:
        for verify in (True, str(trusted)):
            with pytest.raises(ServiceRequestError, match="certificate"):
                await ask(client, server.url.replace("localhost", "127.0.0.1"), connection_verify=verify)
        with pytest.raises(ServiceRequestError, match="certificate"):
            await ask(client, server.url)
        assert not server.requests
        for verify in (str(trusted), False):
            async with Transport(1) as fresh:
                assert (await ask(fresh, server.url, connection_verify=verify)).body() == b"hello"
