"""HTTP/1.1 for the SDK: a request written whole, its answer read whole, over connections that stay open.

azure-core's own transport, on aiohttp, is a third of all CPU that a request of the SDK costs (azure-core 1.41, aiohttp
3.14, observed; decision 16). This one does what the engine needs of it.
"""

import asyncio
import re
import ssl
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from socket import SOCK_STREAM
from types import TracebackType
from typing import Any, cast
from urllib.parse import urlsplit
from weakref import WeakSet

from aiohappyeyeballs import AddrInfoType, start_connection
from azure.core.exceptions import (
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.core.pipeline.transport import AsyncHttpResponse, AsyncHttpTransport, HttpRequest
from azure.core.utils import CaseInsensitiveDict
from httptools import HttpParserError, HttpParserUpgrade
from multidict import CIMultiDict

from store.cosmos.connection import Connection
from store.errors import Unavailable

KEPT_S = 15.0
"""Seconds for which a connection is kept that nobody uses: far less than the service, and what is between, keep it."""
NAMED_S = 10.0
"""Seconds for which the addresses of a name are kept."""
NEXT_ADDRESS_S = 0.25
"""Seconds after which the next address of a name is tried as well (RFC 8305)."""
_TARGET = re.compile("/[!-~]*")
_OURS = frozenset({"content-length", "host", "transfer-encoding"})
"""Headers that are not the SDK's to say."""


class Answer(AsyncHttpResponse):
    """An answer that is all there."""

    def __init__(self, request: HttpRequest, status: int, reason: str, headers: CIMultiDict[str], body: bytes) -> None:
        super().__init__(request, None)
        self.status_code = status
        self.reason = reason
        self.headers = headers
        self.content_type = headers.get("content-type")
        self._body = body

    def body(self) -> bytes:
        """The whole body."""
        return self._body


class Transport(AsyncHttpTransport[HttpRequest, AsyncHttpResponse]):
    """Sends requests, `most` at a time; others wait."""

    def __init__(self, most: int) -> None:
        self._places = asyncio.Semaphore(most)
        self._origins: dict[str, _Origin] = {}
        self._closed = False

    async def __aenter__(self) -> "Transport":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        at: TracebackType | None = None,
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Connections are opened as they are needed."""

    async def close(self) -> None:
        """End all connections; a request that waits for its answer raises ServiceResponseError. Idempotent."""
        self._closed = True
        for origin in self._origins.values():
            origin.close()

    async def send(self, request: HttpRequest, **options: Any) -> AsyncHttpResponse:
        """The answer, whatever its status.

        The SDK gives among the options seconds for `connection_timeout` and `read_timeout`, of which the latter is how
        long the other side may say nothing, and whether to check certificates, `connection_verify`, or with which.
        Raises ServiceRequestError when no connection could be made, and nothing was sent; ServiceResponseError for no
        answer, or none that is HTTP, when nobody knows; Unavailable behind `close`; NotImplementedError for a body that
        is a stream.
        """
        try:
            origin, target = self._split(request.url)
        except ValueError as error:
            raise ServiceRequestError(f"{request.url!r} is nowhere to send to: {error}", error=error) from error
        message = _written(request, origin.host, target)
        async with self._places:
            self._check_open()
            try:
                connection = origin.kept() or await origin.connect(
                    options["connection_timeout"], options.get("connection_verify", True)
                )
            except TimeoutError as error:
                raise ServiceRequestTimeoutError("no connection in time", error=error) from error
            except (OSError, RuntimeError) as error:  # uvloop raises the latter for some addresses
                raise ServiceRequestError(error, error=error) from error
            try:
                self._check_open()  # it may have been closed meanwhile
                answer = await connection.ask(message, options["read_timeout"])
            except TimeoutError as error:
                raise ServiceResponseTimeoutError("no answer in time", error=error) from error
            except (OSError, HttpParserError, HttpParserUpgrade) as error:
                raise ServiceResponseError(error, error=error) from error
            finally:
                origin.take_back(connection)
        return Answer(request, *answer)

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the store is closed")

    def _split(self, url: str) -> "tuple[_Origin, str]":
        """Where a request goes, and what it asks for there. Raises ValueError."""
        begin = url.find("/", len("https://"))
        name, target = (url, "/") if begin < 0 else (url[:begin], url[begin:])
        if not _TARGET.fullmatch(target):
            raise ValueError("a path has no blanks, and is of ASCII characters")
        return self._origins.get(name) or self._origins.setdefault(name, _Origin(name)), target


class _Origin:
    """A server, and the connections with it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._name = (parts.hostname or "").encode("idna").decode()
        if not self._name:
            raise ValueError("it names no host")
        self._secure = parts.scheme == "https"
        usual = 443 if self._secure else 80
        self._port = parts.port or usual
        name = f"[{self._name}]" if ":" in self._name else self._name
        self.host = name if self._port == usual else f"{name}:{self._port}"
        self._loop = asyncio.get_running_loop()
        self._naming = asyncio.Lock()
        self._addresses: Sequence[AddrInfoType] = []
        self._named_until = 0.0
        self._open: WeakSet[Connection] = WeakSet()  # uvloop tells not all of their end that are cancelled early
        self._closed = False
        self._unused: deque[tuple[float, Connection]] = deque()
        """With the time of the loop at which they were used, the last of them at the end."""

    def kept(self) -> Connection | None:
        """A connection that is open and unused, if there is one; the one that was used last."""
        long_ago = self._loop.time() - KEPT_S
        while self._unused and self._unused[0][0] < long_ago:
            self._unused.popleft()[1].end()
        while self._unused:
            connection = self._unused.pop()[1]
            if connection.is_ready:
                return connection
            connection.end()
        return None

    async def connect(self, within_s: float, verify: bool | str) -> Connection:
        """A new connection. Raises OSError, TimeoutError."""
        context = _context(verify) if self._secure else None
        async with asyncio.timeout(within_s):
            socket = await start_connection(await self._resolved(), happy_eyeballs_delay=NEXT_ADDRESS_S)
            _, connection = await self._loop.create_connection(
                lambda: Connection(self._loop, self._open),
                sock=socket,
                ssl=context,
                server_hostname=self._name if context else None,
            )
        return connection

    async def _resolved(self) -> Sequence[AddrInfoType]:
        """The addresses of the name: who comes while they are looked up waits for the same answer."""
        async with self._naming:
            if self._named_until <= self._loop.time():
                self._addresses = await self._loop.getaddrinfo(self._name, self._port, type=SOCK_STREAM)
                self._named_until = self._loop.time() + NAMED_S
            return self._addresses

    def take_back(self, connection: Connection) -> None:
        """Keep a connection that can be used again, and end another."""
        if connection.is_ready and not self._closed:
            self._unused.append((self._loop.time(), connection))
        else:
            connection.end()

    def close(self) -> None:
        """End all connections, also one that is made at this moment."""
        self._closed = True
        for connection in list(self._open):
            connection.end()


@lru_cache
def _context(verify: bool | str) -> ssl.SSLContext:
    """For connections whose certificates are checked, perhaps with those in a file, or not."""
    context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


def _written(request: HttpRequest, host: str, target: str) -> bytes:
    """The request as it is sent. Raises ValueError for a header that would be two."""
    body = request.data or b""
    if isinstance(body, str):
        body = body.encode()
    if request.files or not isinstance(body, bytes):
        raise NotImplementedError("a request has a body of text or of bytes")
    lines = [f"{request.method} {target} HTTP/1.1", f"host: {host}", f"content-length: {len(body)}"]
    headers = cast("CaseInsensitiveDict", request.headers)
    lines += [f"{name}: {value}" for name, value in headers.lowerkey_items() if name not in _OURS]
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1:
        raise ValueError("a line of the request's head would be more than one")
    return head.encode("latin-1") + b"\r\n\r\n" + body
