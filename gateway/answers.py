"""Answers written in one piece, past the two messages of ASGI, which cost several times as much."""

from asyncio import WriteTransport
from collections.abc import Callable, Iterable, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

AnswerNow = Callable[[int, Sequence[tuple[bytes, bytes]], bytes], bool]
"""Answers a request by a status, headers of ours and a body; false where it cannot: nothing was sent then."""
ANSWER_NOW = "gateway.answer_now"
"""The extension of a request's scope with such a function."""
ANSWERED_WITH = "gateway.answered_with"
"""The one with the list of headers that its answer has in any case."""
BODY = "gateway.body"
"""The one with its body, where all of that is there."""
WHEN_GONE = "gateway.when_gone"
"""Under this name an application puts there what is to be called if the client goes away before it is answered."""


def answer_now(cycle: RequestResponseCycle, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
    """Do what `cycle.send` does with the messages of an answer, if that is as usual as can be."""
    is_open = not (cycle.response_started or cycle.disconnected or cycle.flow.write_paused)
    if not is_open or not cycle.keep_alive or cycle.scope["method"] == "HEAD":
        return False
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    write_answer(cycle.transport, status, lines_of([*cycle.default_headers, *headers]), body)
    cycle.message_event.set()
    cycle.on_response()
    return True


def write_answer(transport: WriteTransport, status: int, headers: bytes, body: bytes) -> None:
    """Write a whole answer; `headers` are their lines."""
    transport.write(b"%b%bcontent-length: %d\r\n\r\n%b" % (STATUS_LINE[status], headers, len(body), body))


def lines_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Headers as they are sent."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def in_messages(app: ASGIApp) -> ASGIApp:
    """The application, answering pages of other origins in messages, for what is around it to add to their headers."""

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        if any(name == b"origin" for name, _ in scope.get("headers", ())):
            scope.get("extensions", {}).pop(ANSWER_NOW, None)
        await app(scope, receive, send)

    return answering
