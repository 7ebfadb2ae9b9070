"""The HTTP edge on a real socket, in this process, and clients that are not ours."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn
from starlette.applications import Starlette

from gateway.app import create_app
from gateway.protocol import HttpProtocol
from gateway.serve import listen
from gateway.server import Server, WebSocketProtocol
from gateway.settings import Settings
from gateway.telemetry import Telemetry
from gateway.wiring import Gateway
from tests.projector.world import PATIENCE_S, until

TRANSPORT_WS = "graphql-transport-ws"


@dataclass(frozen=True)
class Edge:
    """A served application, and a client of it."""

    app: Starlette
    url: str
    http: aiohttp.ClientSession
    server: "QuietServer"

    @property
    def gateway(self) -> Gateway:
        gateway: Gateway = self.app.state.gateway
        return gateway

    async def get(self, path: str, **params: str) -> tuple[int, str]:
        async with self.http.get(self.url + path, params=params) as answer:
            return answer.status, await answer.text()

    async def post(self, body: bytes | Any, content_type: str = "application/json") -> tuple[int, str]:
        """Post bytes as they are, or a value as JSON, to the GraphQL endpoint."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": content_type}
        async with self.http.post(f"{self.url}/graphql", data=data, headers=headers) as answer:
            return answer.status, await answer.text()

    async def ask(self, document: str, variables: dict[str, Any] | None = None) -> Any:
        status, text = await self.post({"query": document, "variables": variables})
        answer = json.loads(text)
        assert (status, answer.get("errors")) == (200, None), text
        return answer["data"]

    @asynccontextmanager
    async def websocket(self, *protocols: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        async with self.http.ws_connect(f"{self.url}/graphql", protocols=protocols or (TRANSPORT_WS,)) as socket:
            yield socket


class QuietServer(Server):
    """The server, except that it leaves signals to whoever runs the tests."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def open_edge(
    store: Path | None = None, telemetry: Telemetry | None = None, **settings: Any
) -> AsyncIterator[Edge]:
    """The application served on a free port, ended with the context."""
    url = f"sqlite:///{store or ':memory:'}"
    configured = Settings(store_url=url, **settings)
    app = create_app(configured, telemetry)
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(
        app,
        http=HttpProtocol,
        ws=WebSocketProtocol,
        ws_max_size=configured.max_body_bytes,
        lifespan="on",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = QuietServer(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await until(lambda: server.started or serving.done())
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PATIENCE_S)) as http:
            yield Edge(app, f"http://127.0.0.1:{listener.getsockname()[1]}", http, server)
    finally:
        server.should_exit = True
        async with asyncio.timeout(PATIENCE_S):
            await serving
        listener.close()
