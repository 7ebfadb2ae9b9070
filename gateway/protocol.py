"""HTTP on a connection: uvicorn's, within bounds, and with a shorter way for what is as usual as can be.

uvicorn waits for ever for headers, for bodies and for clients that do not read, and takes headers of any size.
"""

import asyncio
from functools import partial
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gateway.answers import ANSWER_NOW, ANSWERED_WITH, BODY, WHEN_GONE, answer_now, lines_of, write_answer
from gateway.eager import Eager
from gateway.heads import Head, Heads
from gateway.limits.connections import CONNECTIONS, Connections
from gateway.limits.load import network_of
from projector.tasks import Task

HEADS, EAGER = "heads", "eager"
"""Under these names the state of the lifespan has them."""


class HttpProtocol(HttpToolsProtocol):
    """Uvicorn's, within bounds. It only notes when something began; `Connections.sweep` looks once a second.

    A request whose head came lately is not parsed again, and is begun where its bytes arrive (`Heads`, `Eager`).
    """

    def connection_made(self, transport: Any) -> None:
        """Note when; have one too many refused, which may be another one."""
        super().connection_made(transport)
        self.peer = network_of(self.client[0]) if self.client else ""
        self._bounds: Connections = self.app_state.get(CONNECTIONS) or Connections()
        self._heads: Heads = self.app_state.get(HEADS) or Heads()
        self._eager: Eager | None = self.app_state.get(EAGER)
        self._arriving_since: float | None = self.loop.time()
        self._idle_since: float | None = None
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
            extensions: dict[str, Any] = self._answering.scope["extensions"]
            if leave := extensions.pop(WHEN_GONE, None):
                leave()

    def handle_websocket_upgrade(self) -> None:
        """Become a socket."""
        self._let_go()
        super().handle_websocket_upgrade()

    def _let_go(self) -> None:
        self._bounds.unheard.pop(self, None)
        if self._is_held:
            self._is_held = False
            self._bounds.held.give(self.peer)

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        self._idle_since = None
        before = self.cycle
        is_first = (
            not self._fed
            and (before is None or (before.response_complete and self._arriving_since is None))
            and not self.transport.is_closing()
        )
        if is_first and (found := self._heads.find(data)):
            return self._begin(*found)
        self._feed(data)
        cycle = self.cycle
        is_whole = is_first and cycle is not before and not cycle.more_body
        if is_whole and cycle.keep_alive and len(data) - len(cycle.body) <= self._bounds.header_bytes:
            self._heads.learn(data, cycle.scope, cycle.body)
        return None

    def _begin(self, head: Head, body: bytes) -> None:
        """Do what the parser would have done, and begin the request at once."""
        self._heard()
        if head.directly and self._eager and not self.flow.write_paused:
            if task := self._eager.begin(head.directly(self, body)):
                self._wait_for(task)
            return None
        scope: Any = {
            **head.scope,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "state": self.app_state.copy(),
        }
        self.scope = scope
        self.cycle = cycle = WholeRequest(self, body)
        self._prepare(cycle)[BODY] = body
        app: Any = self.app
        if not head.is_forwarded and isinstance(app, ProxyHeadersMiddleware):
            app = app.app
        if self._eager is None:
            return super()._start_asgi_task(cycle, app)
        if task := self._eager.begin(cycle.run_asgi(app)):
            task.add_done_callback(self.tasks.discard)
            self.tasks.add(task)
        return None

    def _wait_for(self, task: Task) -> None:
        """A request that is answered directly has to wait: to uvicorn it is one like others, with more behind it."""
        scope: Any = {"extensions": {WHEN_GONE: task.cancel}}
        self.scope = scope
        self.cycle = self._answering = cycle = WholeRequest(self, b"")
        self.tasks.add(task)
        task.add_done_callback(partial(self._waited_for, cycle))

    def _waited_for(self, cycle: RequestResponseCycle, task: Task) -> None:
        self.tasks.discard(task)
        cycle.scope["extensions"].clear()
        if not (cycle.response_complete or cycle.disconnected):
            self.transport.abort()

    @property
    def is_gone(self) -> bool:
        """Whether the client that is being answered has gone."""
        return self._answering is not None and self._answering.disconnected

    def answer(self, status: int, headers: bytes, body: bytes) -> None:
        """Answer a request that is answered directly."""
        cycle = self._answering
        waited = cycle is not None and not cycle.response_complete
        ends = cycle is not None and waited and not cycle.keep_alive  # the server does
        if ends:
            headers += b"connection: close\r\n"
        if not self.transport.is_closing():
            write_answer(self.transport, status, _lines_of(self.server_state.default_headers) + headers, body)
        if cycle is None or not waited:
            self.server_state.total_requests += 1
            self._idle_since = self.loop.time()
            return
        cycle.response_started = cycle.response_complete = True
        if ends:
            self.transport.close()
        self.on_response_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._prepare(cycle)
        super()._start_asgi_task(cycle, app)

    def _prepare(self, cycle: RequestResponseCycle) -> dict[str, Any]:
        """Give a request its extensions, which are returned; from now on it is being answered."""
        self._answering = cycle
        cycle.default_headers = [*cycle.default_headers]
        extensions: dict[str, Any] = {
            ANSWER_NOW: partial(answer_now, cycle),
            ANSWERED_WITH: cycle.default_headers,
        }
        cycle.scope["extensions"] = extensions
        return extensions

    def on_response_complete(self) -> None:
        """Begin the request that has come behind it, or note since when nothing is asked: a timer for each would cost
        as much as some requests."""
        if self.pipeline or self.transport.is_closing():
            return super().on_response_complete()
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._idle_since = self.loop.time()
        return None

    def _feed(self, data: bytes) -> None:
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
        self._fed = self._taken = 0
        self._heard()

    def _heard(self) -> None:
        self._arriving_since = None
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
        """End it if a request does not arrive, its answer is not taken, or nothing more is asked."""
        if self._stuck_since is not None and now - self._stuck_since > bounds.send_s:
            self.transport.abort()
        elif self._arriving_since is not None and now - self._arriving_since > bounds.request_s:
            if self._fed:
                self._end(408)
            else:
                self.transport.abort()
        elif self._idle_since is not None and now - self._idle_since > self.timeout_keep_alive:
            self.transport.close()

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


class WholeRequest(RequestResponseCycle):
    """A request that is all there, and its answer."""

    def __init__(self, connection: HttpProtocol, body: bytes) -> None:
        self.scope = connection.scope
        self.transport = connection.transport
        self.flow = connection.flow
        self.logger = connection.logger
        self.access_logger = connection.access_logger
        self.access_log = connection.access_log
        self.default_headers = connection.server_state.default_headers
        self.message_event = NOBODY_WAITS
        self.on_response = connection.on_response_complete
        self.disconnected = False
        self.keep_alive = True
        self.waiting_for_100_continue = False
        self.body = body  # type: ignore[assignment]
        self.more_body = False
        self.response_started = False
        self.response_complete = False
        self.chunked_encoding = None
        self.expected_content_length = 0

    async def receive(self) -> Any:
        """The body, then that the client has gone."""
        if self.message_event is NOBODY_WAITS:
            self.message_event = asyncio.Event()
            self.message_event.set()
        return await super().receive()


class _Nobody(asyncio.Event):
    """What nobody waits for."""

    def set(self) -> None:
        """Wake nobody."""


NOBODY_WAITS = _Nobody()

_rendered: tuple[Any, bytes] = (None, b"")


def _lines_of(headers: list[tuple[bytes, bytes]]) -> bytes:
    """The server's headers as they are sent; once a second there are others."""
    global _rendered
    if headers is not _rendered[0]:
        _rendered = headers, lines_of(headers)
    return _rendered[1]


async def _too_large(scope: Scope, receive: Receive, send: Send) -> None:
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 431, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
