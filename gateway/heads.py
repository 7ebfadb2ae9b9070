"""Heads of requests that came lately: what comes again is not parsed again."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.limits.recent import Recent

MAX_MEMORY = 10_000_000
"""Bytes that all take, about: of each OF_HEAD, OF_HEADER for a header, and five times its own."""
OF_HEAD, OF_HEADER = 1_500, 200
MAX_HEAD = 4_000
END = b"\r\n\r\n"
SPECIAL = frozenset((b"upgrade", b"expect", b"transfer-encoding", b"x-request-id", b"traceparent"))
"""Headers of requests that are no usual ones, or that are not the same twice."""
KEPT = b"keep-alive"
"""What a header `Connection` may say."""
PROXIES = frozenset((b"x-forwarded-for", b"x-forwarded-proto"))
"""Headers that uvicorn believes if they come from proxies that are trusted."""
OF_CONNECTIONS = ("client", "server", "scheme", "state", "extensions")
"""What a scope has that depends on more than the head."""

Scope = Mapping[str, Any]
Directly = Callable[["Exchange", bytes], Coroutine[Any, Any, None]]
"""Answers a request with that body, in what is a task only if it has to wait; cancelled if the client goes away."""
Headers = list[tuple[bytes, bytes]]


class Exchange(Protocol):
    """The connection that a request came by, for as long as it is being answered."""

    client: tuple[str, int] | None
    app_state: dict[str, Any]

    @property
    def is_gone(self) -> bool:
        """Whether the client has gone."""
        ...

    def answer(self, status: int, headers: bytes, body: bytes) -> None:
        """Answer by a status, the lines of headers, and a body, if the client is still there."""
        ...


@dataclass(frozen=True, slots=True)
class Head:
    """What the server's parser made of a head, but for what differs by connection."""

    scope: Scope
    body_bytes: int
    is_forwarded: bool
    """Whether a proxy says for whom it asks, or might."""
    directly: Directly | None
    """What answers it past ASGI, if anything does."""


class Heads:
    """The heads of requests with a body of a length that they tell, by their bytes.

    The same bytes mean the same to a parser that has nothing else before them. So what has been parsed once, and was
    followed by just such a body, need not be parsed again where such a body follows.
    """

    def __init__(self, directly: Callable[[Scope], Directly | None] = lambda scope: None) -> None:
        """`directly` finds what answers requests with such a scope past ASGI."""
        self._known: Recent[bytes, Head] = Recent(MAX_MEMORY)
        self._directly = directly

    def find(self, data: bytes) -> tuple[Head, bytes] | None:
        """The head, if it is known, and the body of a request that is all of `data`."""
        end = data.find(END, 0, MAX_HEAD)
        head = self._known.get(data[: end + 4])
        if head is None or len(data) != end + 4 + head.body_bytes:
            return None
        return head, data[end + 4 :]

    def learn(self, data: bytes, scope: Scope, body: bytes | bytearray) -> None:
        """Keep what was made of `data`, which was all of a request, and had nothing before it; if it is a usual one."""
        end = data.find(END, 0, MAX_HEAD)
        given: Headers = scope["headers"]
        names = {name for name, _ in given}
        if (
            end < 0
            or data[end + 4 :] != body
            or data.count(b"\n", 0, end) != len(given)  # with the request line, and without the last end of a line
            or len(names) != len(given)
            or not SPECIAL.isdisjoint(names)
            or any(name == b"connection" and value.lower() != KEPT for name, value in given)
            or b"content-length" not in names
            or scope["http_version"] != "1.1"
        ):
            return
        kept = {name: value for name, value in scope.items() if name not in OF_CONNECTIONS}
        is_forwarded = not PROXIES.isdisjoint(names)
        directly = None if is_forwarded else self._directly(scope)
        weight = OF_HEAD + OF_HEADER * len(given) + 5 * end
        self._known.keep(data[: end + 4], Head(kept, len(body), is_forwarded, directly), weight)
