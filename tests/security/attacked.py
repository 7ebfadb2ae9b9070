"""A gateway under attack, raw connections to it, and the others who use it meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from projector.tasks import ended
from tests.projector.world import PATIENCE_S, until

Json = dict[str, Any]
HONEST = {"query": "{ orders(first: 1) { nodes { id } } }"}
HEAD = b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"


@dataclass
class Attacked:
    """A client that means no good, and what others were answered meanwhile."""

    url: str
    http: aiohttp.ClientSession
    served: int = 0

    @property
    def graphql(self) -> str:
        return f"{self.url}/graphql"

    async def post(self, body: Any, **headers: str) -> tuple[int, Json]:
        """The status of an answer, and what it says."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": "application/json"} | {name.replace("_", "-"): of for name, of in headers.items()}
        async with self.http.post(self.graphql, data=data, headers=headers) as answer:
            return answer.status, await answer.json()

    async def code(self, document: str, variables: Json | None = None) -> str | None:
        """The code of the first error that a document is answered with; None without any."""
        _, answer = await self.post({"query": document, "variables": variables})
        return str(answer["errors"][0]["extensions"]["code"]) if "errors" in answer else None

    @asynccontextmanager
    async def others(self) -> AsyncIterator[None]:
        """Somebody asks all the time while in the context, is answered each time, and at least once more at its end."""

        async def ask() -> None:
            while True:
                status, answer = await self.post(HONEST)
                assert (status, "errors" in answer) == (200, False), answer
                self.served += 1
                await asyncio.sleep(0.01)

        asking = asyncio.create_task(ask())
        try:
            await self.serves(asking)
            yield
            await self.serves(asking)
        finally:
            await ended(asking)

    async def serves(self, asking: asyncio.Task[None]) -> None:
        """Wait until somebody else was answered once more, or was not."""
        before = self.served
        await until(lambda: self.served > before or asking.done())
        if asking.done():
            asking.result()

    async def raw(self) -> "Raw":
        """A connection."""
        parts = urlsplit(self.url)
        return Raw(*await asyncio.open_connection(parts.hostname, parts.port, limit=2**24))

    @asynccontextmanager
    async def socket(self, **more: Any) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket that is ready for operations."""
        async with self.http.ws_connect(self.graphql, protocols=["graphql-transport-ws"], **more) as socket:
            await socket.send_json({"type": "connection_init"})
            assert (await socket.receive_json())["type"] == "connection_ack"
            yield socket


@dataclass
class Raw:
    """Bytes to and from a server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        with suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def answer(self) -> bytes:
        """All that comes until the server closes; nothing if it resets the connection."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    async def head(self) -> bytes:
        """The first line of an answer."""
        async with asyncio.timeout(PATIENCE_S):
            with suppress(ConnectionError):
                return await self.reader.readline()
        return b""

    def close(self) -> None:
        self.writer.transport.abort()


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[Attacked]:
    timeout = aiohttp.ClientTimeout(PATIENCE_S)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as http:
        yield Attacked(url, http)
