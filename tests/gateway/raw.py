"""A WebSocket client that is not polite: it reads when it likes, and goes at any byte."""

import asyncio
import json
import os
import socket
import struct
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

HANDSHAKE = (
    b"GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)


class RawClient:
    """A connection, of which as little is kept unread on this side as can be."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self._address = (parts.hostname, parts.port)
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.setblocking(False)
        self._unread = b""

    async def connect(self) -> None:
        await asyncio.get_running_loop().sock_connect(self._socket, self._address)

    async def write(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def handshake(self) -> None:
        await self.connect()
        await self.write(HANDSHAKE)
        while b"\r\n\r\n" not in self._unread:
            await self._more()
        _, _, self._unread = self._unread.partition(b"\r\n\r\n")

    async def send(self, message: Any) -> None:
        await self.write(text_frame(json.dumps(message).encode()))

    async def receive(self) -> tuple[int, bytes]:
        """The opcode and the content of the next frame."""
        while (frame := self._frame()) is None:
            await self._more()
        return frame

    async def begin(self, query: str) -> None:
        """Subscribe, and leave what comes unread."""
        await self.handshake()
        await self.send({"type": "connection_init"})
        await self.receive()
        await self.send({"type": "subscribe", "id": "1", "payload": {"query": query}})

    async def ended(self) -> None:
        """Read to the end, whatever comes, however it ends."""
        with suppress(ConnectionError):
            while True:
                await self._more()

    def reset(self) -> None:
        """Go without a word, not even TCP's."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    async def _more(self) -> None:
        received = await asyncio.get_running_loop().sock_recv(self._socket, 65536)
        if not received:
            raise ConnectionError("the server has closed")
        self._unread += received

    def _frame(self) -> tuple[int, bytes] | None:
        if len(self._unread) < 2:
            return None
        length, begin = self._unread[1], 2
        if length >= 126:
            begin = 4 if length == 126 else 10
            if len(self._unread) < begin:
                return None
            length = int.from_bytes(self._unread[2:begin], "big")
        if len(self._unread) < begin + length:
            return None
        opcode, content = self._unread[0] & 15, self._unread[begin : begin + length]
        self._unread = self._unread[begin + length :]
        return opcode, content


def text_frame(content: bytes) -> bytes:
    """A whole text frame, masked as a client's must be."""
    size = len(content)
    length = bytes([128 | size]) if size < 126 else bytes([128 | 126]) + size.to_bytes(2, "big")
    mask = os.urandom(4)
    return b"\x81" + length + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(content))
