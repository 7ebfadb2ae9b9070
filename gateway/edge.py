"""Around every request: its id and its trace."""

import re
from collections.abc import MutableMapping
from itertools import count
from os import urandom
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.answers import ANSWERED_WITH
from gateway.logs import KNOWN
from gateway.telemetry import Telemetry

REQUEST_ID = b"x-request-id"
_PROCESS = urandom(12).hex().encode()
_numbers = count()
SANE_ID = re.compile(rb"[A-Za-z0-9._:@/+=-]{1,128}")


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
        given = header(scope, REQUEST_ID)
        id = given if given and SANE_ID.fullmatch(given) else new_id()
        headers = scope.get("extensions", {}).get(ANSWERED_WITH)
        if headers is None:
            send = _with(send, (REQUEST_ID, id))
        else:
            headers.append((REQUEST_ID, id))
        token = KNOWN.set({"request_id": id.decode()})
        try:
            if self._telemetry.tracing.on or scope["type"] != "http":
                return await self._watched(scope, receive, send)
            return await self._app(scope, receive, send)
        finally:
            KNOWN.reset(token)

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = "http" if scope["type"] == "http" and scope["path"] == self._traced else None
        with self._telemetry.tracing.request(name, Headers(scope=scope)):
            if scope["type"] == "http":
                return await self._app(scope, receive, send)
            with self._telemetry.metrics.sockets.track_inprogress():
                return await self._app(scope, receive, send)


def new_id() -> bytes:
    """An id for a request: of the process, and a number."""
    return b"%b%08x" % (_PROCESS, next(_numbers))


def _with(send: Send, header: tuple[bytes, bytes]) -> Send:
    """`send`, where an answer also has this header."""

    async def answer(message: MutableMapping[str, Any]) -> None:
        if message["type"] in ("http.response.start", "websocket.accept"):
            message["headers"] = [*message.get("headers", ()), header]
        await send(message)

    return answer


def header(scope: Scope, name: bytes) -> bytes:
    """A header of a request; nothing where there is none."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return b""
