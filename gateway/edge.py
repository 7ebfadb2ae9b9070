"""Around every request: its id and its trace."""

import re
from collections.abc import MutableMapping
from secrets import token_hex
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.logs import bound
from gateway.telemetry import Telemetry

REQUEST_ID = "x-request-id"
SANE_ID = re.compile(r"[A-Za-z0-9._:@/+=-]{1,128}", re.ASCII)


class Requests:
    """Gives each request an id, its own if that is sane, and answers with it; continues its trace; counts sockets."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry, traced: str) -> None:
        """`traced` is the path whose requests have spans."""
        self._app = app
        self._telemetry = telemetry
        self._traced = traced

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, or a socket for as long as it is open."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        given = headers.get(REQUEST_ID, "")
        id = given if SANE_ID.fullmatch(given) else token_hex(16)

        async def answer(message: MutableMapping[str, Any]) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                message["headers"] = [*message.get("headers", ()), (REQUEST_ID.encode(), id.encode())]
            await send(message)

        tracing = self._telemetry.tracing
        name = "http" if scope["type"] == "http" and scope["path"] == self._traced else None
        with bound(request_id=id), tracing.request(name, headers):
            if scope["type"] == "http":
                return await self._app(scope, receive, answer)
            with self._telemetry.metrics.sockets.track_inprogress():
                return await self._app(scope, receive, answer)
