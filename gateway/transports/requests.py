"""HTTP requests that hold an operation, answers to those that do not, and clients that go away."""

import asyncio
from collections.abc import Coroutine, Mapping
from gzip import compress
from typing import Any, TypeVar

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.edge import header
from gateway.execution import Operation, Result
from gateway.json import NotJson, decode, encode
from projector.tasks import Task, ended

T = TypeVar("T")
JSON = b"application/json"
METHODS = "GET, POST"
GRACE_S = 0.05

_operations = msgspec.json.Decoder(Operation)


class Refused(Exception):
    """The request cannot be answered with a result; the message says why, `status` and `headers` say it in HTTP."""

    def __init__(
        self, status: int, message: str, headers: Mapping[str, str] | None = None, code: str = "BAD_REQUEST"
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.code = code

    @property
    def response(self) -> Response:
        """The answer, in the form of a result with an error."""
        error = {"message": str(self), "extensions": {"code": self.code}}
        return json_response({"errors": [error]}, self.status, self.headers)


def json_response(value: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON."""
    return Response(encode(value), status, headers, media_type="application/json")


async def read_operation(scope: Scope, receive: Receive) -> Operation:
    """The operation that is asked for. Raises Refused, and ClientDisconnect for a body that is cut off."""
    match scope["method"]:
        case "GET":
            return _converted(_from_parameters(QueryParams(scope["query_string"])))
        case "POST":
            if header(scope, b"content-type").partition(b";")[0].strip().lower() != JSON:
                raise Refused(415, "The body must be application/json.")
            body = await _body(receive)
            try:
                return _operations.decode(body)
            except (msgspec.DecodeError, UnicodeError, RecursionError):  # it is odd or wrong
                return _converted(_decoded(body, "The request"))
        case _:
            raise Refused(405, "Only GET and POST are allowed here.", {"allow": METHODS})


async def respond_with(result: Result, compress_bytes: int, scope: Scope, send: Send) -> None:
    """Answer with a result, compressed if it has so many bytes and the client accepts it; 0: never."""
    body = encode(result)
    headers = [(b"content-type", JSON)]
    if 0 < compress_bytes <= len(body):
        headers.append((b"vary", b"accept-encoding"))
        if accepts_gzip(header(scope, b"accept-encoding")):
            body = compress(body, compresslevel=1)
            headers.append((b"content-encoding", b"gzip"))
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def accepts_gzip(header: bytes) -> bool:
    """Whether a header `Accept-Encoding` names gzip, or all there is, and does not rule it out by `q=0`."""
    named = dict(_weighed(part) for part in header.lower().split(b","))
    return named.get(b"gzip", named.get(b"*", False))


def _weighed(part: bytes) -> tuple[bytes, bool]:
    coding, _, weight = part.replace(b" ", b"").partition(b";q=")
    return coding, weight.strip(b"0.") != b"" if weight else True


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T | None:
    """What `work` returns; None if the client goes away before, which cancels it. Raises what it fails with.

    Few take longer than GRACE_S; only then is it looked whether the client has gone.
    """
    me, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert me
    watch: Task | None = None
    gone = False

    async def leave() -> None:
        nonlocal gone
        await disconnected(receive)
        gone = True
        me.cancel()

    def look() -> None:
        nonlocal watch
        watch = asyncio.ensure_future(leave())

    timer = loop.call_later(GRACE_S, look)
    try:
        try:
            return await work
        finally:
            timer.cancel()
            if watch:
                await ended(watch)
    except asyncio.CancelledError:
        if gone and not me.uncancel():
            return None
        raise


async def disconnected(receive: Receive) -> None:
    """Wait until the client has gone; the body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _converted(given: Any) -> Operation:
    if not isinstance(given, dict):
        raise Refused(400, "The request must be a JSON object.")
    try:
        return msgspec.convert(given, Operation)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise Refused(400, f"The request is no GraphQL request: {str(error)[:200]}") from error


def _from_parameters(parameters: QueryParams) -> dict[str, Any]:
    given: dict[str, Any] = dict(parameters)
    for name in ("variables", "extensions"):
        if name in given:
            given[name] = _decoded(given[name], f"`{name}`")
    return given


def _decoded(text: str | bytes, what: str) -> Any:
    try:
        return decode(text)
    except NotJson as error:
        raise Refused(400, f"{what} is not JSON that can be read.") from error
