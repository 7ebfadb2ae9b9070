"""The server: uvicorn, which drains before it closes anything, and lets nobody who does not read hold it up."""

import asyncio
import gc
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import HANDLED_SIGNALS
from uvicorn.supervisors.multiprocess import Process
from websockets.frames import CloseCode, Frame

from gateway.drain import Drain
from gateway.limits.connections import CONNECTIONS

TICK_S = 0.02
GARBAGE = 50_000
"""Objects that are made and not yet freed before the collector looks: what answers requests leaves no cycles behind."""
MAX_FRAGMENTS = 1_000
"""Of a message."""
MAX_UNREAD = 1_000_000
"""Bytes that a client may leave unread and have its pings answered."""
WRITE_NOW = "gateway.write_now"
"""The extension of a socket's scope with a function that writes a frame at once, if the client takes one now."""


class Server(uvicorn.Server):
    """Uvicorn closes every socket as soon as it is told to end; here the application first ends what it streams.

    The application gives its `Drain` in the state of its lifespan. Meanwhile it is served as before, so that who asks
    is told that it is not ready. A second SIGINT ends it at once.
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, and have the collector pass over what stays: most of what there is by now."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(GARBAGE, 20, 100)

    async def on_tick(self, counter: int) -> bool:
        """Once a second end the connections that have had their time."""
        if counter % 10 == 0 and (connections := self.lifespan.state.get(CONNECTIONS)):
            connections.sweep(self.server_state.connections, asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then end as uvicorn does: requests that are being answered are answered."""
        drain: Drain | None = self.lifespan.state.get("drain")
        if drain:
            await self._drain(drain)
        await super().shutdown(sockets)

    async def _drain(self, drain: Drain) -> None:
        """Let streams end, all be sent, and sockets be closed by both sides; after the time for it, cut off who has not
        read. A connection that is closed too early takes back what its client has not read yet."""
        drain.begin()
        with suppress(TimeoutError):
            async with asyncio.timeout(drain.within_s):
                while (drain.held or self._sockets() or self._unsent()) and not self.force_exit:  # noqa: ASYNC110
                    await asyncio.sleep(TICK_S)
        for transport in self._unsent():
            transport.abort()

    def _sockets(self) -> bool:
        return any(isinstance(connection, WebSocketProtocol) for connection in self.server_state.connections)

    def _unsent(self) -> list[asyncio.Transport]:
        """The connections with something that their clients have not taken."""
        transports = (connection.transport for connection in self.server_state.connections)
        return [transport for transport in transports if transport.get_write_buffer_size()]

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, except that a signal is not raised again at the end: who ends when told to has not failed."""
        before = {number: signal.signal(number, self.handle_exit) for number in HANDLED_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Uvicorn's, except that a client that answers no ping is let go, also if it does not read either."""

    async def send(self, message: ASGISendEvent) -> None:
        """Wait until the transport takes more, and send. Raises ClientDisconnected also where a close is on its way."""
        await self.writable.wait()
        if self.close_sent:
            raise ClientDisconnected
        await super().send(message)

    async def run_asgi(self) -> None:
        """Run the application, which may also write frames of its own."""
        extensions: dict[str, Any] = self.scope["extensions"]
        extensions[WRITE_NOW] = self.write_now
        await super().run_asgi()

    def write_now(self, frame: bytes) -> bool:
        """Write a whole frame, unless something is still to be sent before it, or nothing may be sent any more."""
        if self.close_sent or self.transport.is_closing() or self.transport.get_write_buffer_size():
            return False
        self.transport.write(frame)
        return True

    def handle_ping(self) -> None:
        """Answer, unless the client reads no answers."""
        if self.transport.get_write_buffer_size() > MAX_UNREAD:
            return self.transport.abort()
        return super().handle_ping()

    def handle_cont(self, event: Frame) -> None:
        """A fragment of a message, of which there may be a lot without anything in them."""
        if len(self.frames) >= MAX_FRAGMENTS:
            self.conn.fail(CloseCode.MESSAGE_TOO_BIG)
            return self.handle_parser_exception()
        return super().handle_cont(event)

    def keepalive_timeout(self) -> None:
        """Close, and wait for nothing."""
        super().keepalive_timeout()
        self.transport.abort()


class Worker(Process):
    """One of several processes that share a socket, with the server above."""

    _server: uvicorn.Server | None

    @property
    def server(self) -> uvicorn.Server:
        """The server of this process."""
        if self._server is None:
            self._server = Server(config=self.config)
        return self._server
