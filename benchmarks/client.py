"""A client that costs little itself: requests prepared as bytes, answers framed by their Content-Length alone."""

import asyncio
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
HOST = "127.0.0.1"
HEAD = (
    "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: application/json\r\n"
    "content-length: {length}\r\n\r\n"
)


class WrongAnswer(Exception):
    """An answer is not one of success; the message is its beginning."""


def post(body: bytes, path: str = "/graphql") -> bytes:
    """A POST request."""
    return HEAD.format(path=path, length=len(body)).encode() + body


def graphql(document: str, **variables: object) -> bytes:
    """A GraphQL request."""
    return post(msgspec.json.encode({"query": document, "variables": variables}))


@dataclass
class Load:
    """What a server answered under load: seconds from the first request to the last answer, and of each answer."""

    seconds: float = 0.0
    each: list[float] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Answers."""
        return len(self.each)


class Connection(asyncio.Protocol):
    """Sends one request at a time and frames the answer."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        length = LENGTH.search(self._buffer, 0, end)
        if length is None:
            self._settle(WrongAnswer(self._buffer[:200].decode(errors="replace")))
        elif len(self._buffer) >= end + 4 + int(length[1]):
            answer, self._buffer = self._buffer, b""
            self._settle(answer)

    def connection_lost(self, error: Exception | None) -> None:
        self._settle(WrongAnswer("the connection was closed"))

    async def ask(self, request: bytes) -> bytes:
        """The answer with its head. Raises WrongAnswer for any status but 200, and for GraphQL errors."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        answer = await self._answer
        if not answer.startswith(b"HTTP/1.1 200") or b'"errors":' in answer:
            raise WrongAnswer(answer[:500].decode(errors="replace"))
        return answer

    def close(self) -> None:
        """End the connection."""
        self._transport.close()

    def _settle(self, answer: bytes | WrongAnswer) -> None:
        waiting, self._answer = self._answer, None
        if waiting is None or waiting.done():
            return
        if isinstance(answer, bytes):
            waiting.set_result(answer)
        else:
            waiting.set_exception(answer)


async def connect(port: int) -> Connection:
    """A connection to a server of this machine."""
    _, connection = await asyncio.get_running_loop().create_connection(Connection, HOST, port)
    return connection


async def ask(port: int, request: bytes) -> bytes:
    """The answer to one request, on a connection of its own. Raises WrongAnswer."""
    connection = await connect(port)
    try:
        return await connection.ask(request)
    finally:
        connection.close()


async def data(port: int, request: bytes) -> dict[str, Any]:
    """The `data` of the answer to one GraphQL request. Raises WrongAnswer."""
    return dict(msgspec.json.decode((await ask(port, request)).partition(b"\r\n\r\n")[2])["data"])


async def drive(
    port: int, requests: Iterator[bytes], clients: int, seconds: float = float("inf"), good: bytes = b'"data":'
) -> Load:
    """Ask as so many clients do, each as soon as it has its answer, until the time or the requests are over.

    Each answer must hold `good`. Raises WrongAnswer.
    """
    load, started = Load(), time.perf_counter()

    async def one(connection: Connection) -> None:
        for request in requests:
            sent = time.perf_counter()
            answer = await connection.ask(request)
            now = time.perf_counter()
            if good not in answer:
                raise WrongAnswer(answer[:500].decode(errors="replace"))
            load.each.append(now - sent)
            if now - started > seconds:
                return

    connections = [await connect(port) for _ in range(clients)]
    try:
        started = time.perf_counter()
        async with asyncio.timeout(60.0 + min(seconds, 600.0)), asyncio.TaskGroup() as group:
            for connection in connections:
                group.create_task(one(connection))
    except* WrongAnswer as wrong:
        raise wrong.exceptions[0] from None
    finally:
        for connection in connections:
            connection.close()
    load.seconds = time.perf_counter() - started
    return load
