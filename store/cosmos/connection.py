"""One connection of the SDK's transport: requests one after the other, each answer parsed by httptools."""

import asyncio
from typing import cast
from weakref import WeakSet

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from multidict import CIMultiDict

Parts = tuple[int, str, CIMultiDict[str], bytes]
"""Of an answer: status, reason, headers and body."""


class Connection(asyncio.Protocol):
    """One request at a time, and its answer. It is the parser's protocol, too."""

    def __init__(self, loop: asyncio.AbstractEventLoop, open: "WeakSet[Connection]") -> None:
        self._loop = loop
        self._open = open
        self._parser = HttpResponseParser(self)
        self._answer: asyncio.Future[Parts] | None = None
        self._stays = True
        self._reason = b""
        self._headers: list[bytes] = []
        self._body: list[bytes] = []

    @property
    def is_ready(self) -> bool:
        """Whether a request may be sent: none is on its way, and the other side goes on too."""
        return self._answer is None and self._stays and not self._transport.is_closing()

    async def ask(self, message: bytes, patience_s: float) -> Parts:
        """Send the message, and wait for the answer as long as something of it comes every so many seconds.

        Raises TimeoutError, OSError for a connection that ends, HttpParserError or HttpParserUpgrade for an answer
        that cannot be read. What raises, as what is cancelled, leaves the connection unready.
        """
        answer: asyncio.Future[Parts] = self._loop.create_future()
        self._answer = answer
        self._heard, self._patience = self._loop.time(), patience_s
        self._timer = self._loop.call_later(patience_s, self._look)
        self._transport.write(message)
        try:
            return await answer
        finally:
            self._timer.cancel()

    def end(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _look(self) -> None:
        """See whether anything has been heard since the timer was set."""
        silent = self._loop.time() - self._heard
        if silent < self._patience:
            self._timer = self._loop.call_later(self._patience - silent, self._look)
        else:
            self._fail(TimeoutError())

    def _fail(self, error: BaseException) -> None:
        self._stays = False
        if self._answer and not self._answer.done():
            self._answer.set_exception(error)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._open.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._open.discard(self)
        closed = ConnectionResetError("the connection was closed before the answer was there")
        self._fail(error if isinstance(error, OSError) else closed)

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._fail(error)

    def on_message_begin(self) -> None:
        self._stays = self._stays and self._answer is not None  # otherwise nobody asked
        self._reason, self._headers, self._body = b"", [], []

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers += name, value

    def on_body(self, part: bytes) -> None:
        self._body.append(part)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:  # that it may take longer
            return
        self._stays = self._stays and self._parser.should_keep_alive()
        answer, self._answer = self._answer, None
        if answer and not answer.done():  # who asked may have been cancelled
            told = b"\n".join(self._headers).decode("latin-1").split("\n")  # which none of them has in it
            headers = CIMultiDict(zip(told[::2], told[1::2], strict=False))
            answer.set_result((status, self._reason.decode("latin-1"), headers, b"".join(self._body)))
