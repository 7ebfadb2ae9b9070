"""The HTTP server: one catch-all route for the service, and control routes below /_emulator for tests.

POST   /_emulator/faults    {"fault": "throttle", "times": 3, "kind": "batch"}; DELETE forgets all of them
POST   /_emulator/split     {"database": ..., "container": ..., "range": "0"}
POST   /_emulator/merge     {"database": ..., "container": ..., "ranges": ["0", "1"]}
POST   /_emulator/advance   {"seconds": 60}
GET    /_emulator/requests  counts by kind and the units charged; DELETE starts again from zero
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from ssl import SSLContext
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from .calls import Call
from .errors import ServiceError
from .replies import Reply, failure
from .service import Service

KEY = "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw=="
"""The emulators' well-known key."""
PARTITIONS = 4
BACKLOG = 1024
"""Connections that may wait to be accepted: a client opens up to 200 at once, and one that finds no room is dropped by
the system and tried again after 1 s and 3 s, by when the client has given up."""


class Emulator(Service):
    """A service that listens on 127.0.0.1 while it is open. Every answer takes `latency` seconds at least."""

    def __init__(self, key: str = KEY, partitions: int = PARTITIONS, latency: float = 0.0) -> None:
        super().__init__(key, partitions)
        self.latency = latency
        self._runner: web.AppRunner | None = None

    async def start(self, port: int = 0, tls: SSLContext | None = None) -> None:
        """Listen on `port`; 0 takes a free one. With `tls`, by https at the name localhost."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=tls, backlog=BACKLOG)
        await site.start()
        address = "https://localhost" if tls else "http://127.0.0.1"
        self.url = f"{address}:{self._runner.addresses[0][1]}/"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        parts = [unquote(part) for part in request.rel_url.raw_path.split("/") if part]
        headers = {name.lower(): value for name, value in request.headers.items()}
        call = Call(request.method, parts, headers, await request.read())
        activity = headers.get("x-ms-activity-id", "")
        if parts[:1] == ["_emulator"]:
            return self._control(call).response(activity)
        try:
            kind = call.kind
        except ServiceError as error:
            return failure(error, activity).response(activity)
        self.requests.append((call.method, kind))
        if self.faults.take("drop_before", kind, call.container):
            return _cut(request)
        late = self.faults.take("delay", kind, call.container)
        await asyncio.sleep(self.latency + (late.seconds if late is not None else 0.0))
        reply = self.answer(call, activity)
        reply.headers["content-location"] = self.url + request.rel_url.raw_path.lstrip("/")
        if reply.status < 300 and self.faults.take("drop_after", kind, call.container):
            return _cut(request)
        return reply.response(activity)

    def _control(self, call: Call) -> Reply:
        try:
            return self._obey(call)
        except ServiceError as error:
            return failure(error, "")

    def _obey(self, call: Call) -> Reply:
        order: dict[str, Any] = call.body if call.raw else {}
        match call.method, call.parts[1:]:
            case "POST", ["faults"]:
                self.faults.add(order)
            case "DELETE", ["faults"]:
                self.faults.clear()
            case "POST", ["split"]:
                children = self.split(order["database"], order["container"], order["range"])
                return Reply(200, [child.document() for child in children])
            case "POST", ["merge"]:
                child = self.merge(order["database"], order["container"], *order["ranges"])
                return Reply(200, [child.document()])
            case "POST", ["advance"]:
                self.advance(float(order["seconds"]))
            case "GET", ["requests"]:
                return Reply(200, {"counts": dict(self.counts()), "charged": round(self.charged, 2)})
            case "DELETE", ["requests"]:
                self.requests.clear()
                self.charged = 0.0
            case _:
                raise ServiceError(404, "No such control route.")
        return Reply(204)


def _cut(request: web.Request) -> web.Response:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


@contextlib.asynccontextmanager
async def emulator(
    *,
    partitions: int = PARTITIONS,
    key: str = KEY,
    port: int = 0,
    latency: float = 0.0,
    tls: SSLContext | None = None,
) -> AsyncIterator[Emulator]:
    """A running server with an empty account; each new container has `partitions` physical partitions."""
    server = Emulator(key, partitions, latency)
    await server.start(port, tls)
    try:
        yield server
    finally:
        await server.stop()
