"""Connections: how many there may be, how soon a request must have arrived, and its answer be taken.

uvicorn waits for ever for headers, for bodies and for clients that do not read, and takes headers of any size.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gateway.answers import ANSWER_NOW, answer_now
from gateway.limits.load import network_of
from gateway.limits.rates import Held

CONNECTIONS = "connections"
"""Under this name the state of the lifespan has them."""


@dataclass(frozen=True)
class Connections:
    """The bounds of connections: `request_s` for a request to arrive, `send_s` for a client that does not read."""

    at_most: int = 10_000
    request_s: float = 30.0
    send_s: float = 60.0
    header_bytes: int = 32_768
    held: Held = field(default_factory=lambda: Held(0, 0))
    """Those of each peer; of what has become a socket `Load` keeps count."""
    unheard: "dict[HttpProtocol, None]" = field(default_factory=dict)
    """Those that no request has come by yet, the oldest first."""

    def take(self, connection: "HttpProtocol", number: int) -> bool:
        """Count one more; false if it is one too many of its peer. Of too many in all the oldest unheard one goes."""
        if not self.held.take(connection.peer):
            return False
        self.unheard[connection] = None
        if number > self.at_most:
            oldest = next(iter(self.unheard))
            del self.unheard[oldest]
            oldest.end_for_another()
        return True

    def sweep(self, connections: Collection[Any], now: float) -> None:
        """End the HTTP connections that have had their time."""
        for connection in list(connections):
            if isinstance(connection, HttpProtocol):
                connection.end_if_late(self, now)


class HttpProtocol(HttpToolsProtocol):
    """Uvicorn's, within bounds. It only notes when something began; `Connections.sweep` looks once a second."""

    def connection_made(self, transport: Any) -> None:
        """Note when; have one too many refused, which may be another one."""
        super().connection_made(transport)
        self.peer = network_of(self.client[0]) if self.client else ""
        self._bounds: Connections = self.app_state.get(CONNECTIONS) or Connections()
        self._arriving_since: float | None = self.loop.time()
        self._stuck_since: float | None = None
        self._answering: RequestResponseCycle | None = None
        self._has_headers = False
        self._fed = self._taken = 0
        self._is_held = self._bounds.take(self, len(self.connections))
        if not self._is_held:
            self.end_for_another()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there: also not for the request that is being answered, if others have come behind it."""
        super().connection_lost(exc)
        self._let_go()
        self.pipeline.clear()
        if self._answering and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()

    def handle_websocket_upgrade(self) -> None:
        """Become a socket."""
        self._let_go()
        super().handle_websocket_upgrade()

    def _let_go(self) -> None:
        self._bounds.unheard.pop(self, None)
        if self._is_held:
            self._is_held = False
            self._bounds.held.give(self.peer)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        extensions: dict[str, Any] = {ANSWER_NOW: partial(answer_now, cycle)}
        cycle.scope["extensions"] = extensions
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        """Refuse headers that go on for ever, and what goes on behind them and is no body: trailers, and extensions."""
        self._fed += len(data)
        super().data_received(data)
        if self._fed - self._taken > self._bounds.header_bytes and not self.transport.is_closing():
            self._end(431)
        elif self._fed and self._arriving_since is None and (not self.cycle or self.cycle.response_complete):
            self._arriving_since = self.loop.time()  # blank lines, which are no request and end no keep-alive

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._arriving_since = self.loop.time()
        self._has_headers = False
        self._taken = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. A trailer comes the same way, and says nothing here: who asks is known before the body."""
        if not self._has_headers:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._taken = self._fed
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """Have a request whose headers are too large answered by that."""
        self._has_headers = True
        self._taken = self._fed
        app, size = self.app, 0
        if self._fed > self._bounds.header_bytes:
            size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self._bounds.header_bytes:
            self.app = _too_large
        super().on_headers_complete()
        self.app = app

    def on_message_complete(self) -> None:
        """A request is here."""
        super().on_message_complete()
        self._arriving_since = None
        self._fed = self._taken = 0
        if self._bounds.unheard:
            self._bounds.unheard.pop(self, None)

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        super().pause_writing()
        self._stuck_since = self.loop.time()

    def resume_writing(self) -> None:
        """The client has read."""
        super().resume_writing()
        self._stuck_since = None

    def end_if_late(self, bounds: Connections, now: float) -> None:
        """End it if a request does not arrive, or its answer is not taken."""
        if self._stuck_since is not None and now - self._stuck_since > bounds.send_s:
            self.transport.abort()
        elif self._arriving_since is not None and now - self._arriving_since > bounds.request_s:
            if self._fed:
                self._end(408)
            else:
                self.transport.abort()

    def end_for_another(self) -> None:
        """Refuse it: there are too many."""
        self._refuse(503, b"retry-after: 5\r\n")

    def _end(self, status: int) -> None:
        """Refuse what arrives, unless its answer is on its way already."""
        if self.cycle and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.abort()
        else:
            self._refuse(status)

    def _refuse(self, status: int, headers: bytes = b"") -> None:
        self.transport.write(STATUS_LINE[status] + headers + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()


async def _too_large(scope: Scope, receive: Receive, send: Send) -> None:
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 431, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
