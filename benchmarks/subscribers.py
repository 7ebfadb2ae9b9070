"""Subscribers over WebSockets (graphql-transport-ws) that cost little themselves: they count frames, and do not look
into them."""

import asyncio
import resource
import time
from typing import cast

import msgspec

from benchmarks.client import HOST

UPGRADE = (
    b"GET /graphql HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"sec-websocket-protocol: graphql-transport-ws\r\n\r\n"
)
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
CONNECTING = 100
"""Sockets that are opened at the same time."""
SPARE = 200
"""Files that a process has open besides."""


def most() -> int:
    """How many sockets a process may have here, after its limit was raised as far as it goes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard - SPARE


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """A client's frame: masked, with a mask of zeros."""
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return bytes([0x80 | opcode]) + size + b"\0\0\0\0" + payload


def _message(**message: object) -> bytes:
    return frame(msgspec.json.encode(message))


class Crowd:
    """Subscribers of one server with the same subscription, and what they have received."""

    def __init__(self, port: int, document: str, **variables: object) -> None:
        self.received = 0
        """Messages of type `next`, of all of them."""
        self.last: bytes = b""
        self.last_at = 0.0
        """The last of them, and when it came (time.perf_counter)."""
        self.lost = 0
        self.start = _message(id="1", type="subscribe", payload={"query": document, "variables": variables})
        self._port = port
        self._sockets: list[_Socket] = []
        self._wanted = 0
        self._reached = asyncio.Event()

    async def grow(self, count: int, within_s: float = 180.0) -> None:
        """Subscribe until they are so many; each has its first frame afterwards."""
        async with asyncio.timeout(within_s):
            while (missing := count - len(self._sockets)) > 0:
                expected = self.received + min(missing, CONNECTING)
                await asyncio.gather(*(self._connect() for _ in range(min(missing, CONNECTING))))
                await self.until(expected)

    async def until(self, received: int, within_s: float = 60.0) -> None:
        """Wait until so many frames have come, in all."""
        self._wanted = received
        self._reached.clear()
        if self.received < received:
            try:
                async with asyncio.timeout(within_s):
                    await self._reached.wait()
            except TimeoutError as error:
                raise TimeoutError(f"{self.received} of {received} frames came, {self.lost} sockets closed") from error

    def close(self) -> None:
        """Drop all of them."""
        for socket in self._sockets:
            socket.transport.abort()

    def next(self, payload: bytes) -> None:
        """A frame has come."""
        self.received += 1
        if self.received >= self._wanted:
            self.last, self.last_at = payload, time.perf_counter()
            self._reached.set()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        _, socket = await loop.create_connection(lambda: _Socket(self), HOST, self._port)
        self._sockets.append(socket)


class _Socket(asyncio.Protocol):
    """One subscriber: says what is to be said first, answers pings, counts the rest."""

    __slots__ = ("_buffer", "_crowd", "_open", "transport")

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._buffer = b""
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(UPGRADE)

    def connection_lost(self, error: Exception | None) -> None:
        self._crowd.lost += 1

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        if not self._open:
            head, found, rest = data.partition(b"\r\n\r\n")
            if not found:
                self._buffer = data
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self._open, data = True, rest
            self.transport.write(_message(type="connection_init"))
        self._buffer = self._frames(data)

    def _frames(self, data: bytes) -> bytes:
        """Handle all whole frames; what is left."""
        start = 0
        while len(data) >= start + 2:
            size, begin = data[start + 1], start + 2
            if size == 126:
                size, begin = int.from_bytes(data[begin : begin + 2], "big"), begin + 2
            elif size == 127:
                size, begin = int.from_bytes(data[begin : begin + 8], "big"), begin + 8
            if len(data) < begin + size:
                break
            self._handle(data[start] & 0x0F, data[begin : begin + size])
            start = begin + size
        return data[start:]

    def _handle(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.transport.write(frame(payload, PONG))
        elif opcode == TEXT and b'"type":"next"' in payload:
            self._crowd.next(payload)
        elif opcode == TEXT and b'"connection_ack"' in payload:
            self.transport.write(self._crowd.start)
        elif opcode == TEXT and b'"type":"ping"' in payload:
            self.transport.write(_message(type="pong"))
        elif opcode == TEXT and (b'"type":"error"' in payload or b'"type":"complete"' in payload):
            raise AssertionError(payload[:300])
