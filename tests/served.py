"""A gateway as a user runs it: `gateway serve` as a process, and clients that are not ours."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from gql import Client, gql
from gql.client import AsyncClientSession
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.websockets import WebsocketsTransport

GATEWAY = Path(sys.executable).parent / "gateway"
ADDRESS = re.compile(r"Serving (http://\S+) from")


@dataclass
class Served:
    """A running process and its address."""

    process: asyncio.subprocess.Process
    url: str

    async def stop(self, how: int = signal.SIGTERM) -> None:
        """End the process and wait for it."""
        if self.process.returncode is None:
            self.process.send_signal(how)
        await self.process.wait()


@asynccontextmanager
async def served(*options: str) -> AsyncIterator[Served]:
    """`gateway serve` on a free port, ready to be used; ended with the context."""
    process = await asyncio.create_subprocess_exec(
        GATEWAY, "serve", "--port", "0", *options, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr
    said = (await process.stderr.readline()).decode()
    address = ADDRESS.search(said)
    assert address, said + (await process.stderr.read()).decode()
    drain = asyncio.create_task(_drain(process.stderr))
    gateway = Served(process, address[1])
    try:
        await _until_ready(gateway)
        yield gateway
    finally:
        await gateway.stop()
        await drain


async def _drain(stream: asyncio.StreamReader) -> None:
    while line := await stream.readline():
        print(line.decode(), end="")


async def _until_ready(gateway: Served) -> None:
    async with aiohttp.ClientSession() as http:
        while gateway.process.returncode is None:
            try:
                async with http.get(f"{gateway.url}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)
    raise AssertionError("the gateway ended before it was ready")


@asynccontextmanager
async def http(gateway: Served) -> AsyncIterator[AsyncClientSession]:
    """A client over HTTP."""
    async with Client(transport=AIOHTTPTransport(url=f"{gateway.url}/graphql", ssl=False)) as session:
        yield session


@asynccontextmanager
async def websocket(gateway: Served) -> AsyncIterator[AsyncClientSession]:
    """A client over a WebSocket."""
    url = gateway.url.replace("http", "ws", 1) + "/graphql"
    transport = WebsocketsTransport(url=url, subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL])
    async with Client(transport=transport) as session:
        yield session


async def ask(session: AsyncClientSession, document: str, **variables: Any) -> dict[str, Any]:
    """The data that an operation answers."""
    request = gql(document)
    request.variable_values = variables
    return dict(await session.execute(request))


async def ask_until(session: AsyncClientSession, document: str, expected: dict[str, Any], **variables: Any) -> None:
    """Ask again until the answer is as expected: projections follow, they are not there at once."""
    answer: dict[str, Any] = {}
    try:
        async with asyncio.timeout(90):
            while (answer := await ask(session, document, **variables)) != expected:  # noqa: ASYNC110  another process
                await asyncio.sleep(0.02)
    except TimeoutError:
        assert answer == expected
