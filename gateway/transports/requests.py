"""HTTP requests that hold an operation, answers to those that do not, and clients that go away."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from gzip import compress
from math import ceil
from typing import Any, TypeVar

import msgspec
from graphql import GraphQLError
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.answers import ANSWER_NOW, BODY, WHEN_GONE, AnswerNow
from gateway.execution import Executor, NotExecutable, Operation, Result
from gateway.execution.documents import Prepared
from gateway.json import NotJson, decode, encode
from gateway.limits.configured import Limits
from gateway.limits.load import PREPARING, Load
from gateway.limits.origins import Headers, is_foreign, was_preflighted
from gateway.limits.shed import Shed
from gateway.transports.negotiation import JSON, is_json, status_of
from gateway.wiring import Gateway
from schema.errors import told

T = TypeVar("T")
GivenHeaders = list[tuple[bytes, bytes]]
METHODS = "GET, POST"

_operations = msgspec.json.Decoder(Operation)


class Refused(Exception):
    """The request cannot be answered with a result; the message says why, `status` and `headers` say it in HTTP."""

    def __init__(
        self,
        status: int,
        message: str,
        headers: Mapping[str, str] | None = None,
        code: str = "BAD_REQUEST",
        extensions: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.extensions = extensions or {"code": code}

    @classmethod
    def of(cls, error: "NotExecutable | Shed") -> "Refused":
        """The same in HTTP."""
        if isinstance(error, NotExecutable):
            return cls(400, str(error), code=error.code)
        status = 503 if error.code == "OVERLOADED" else 429
        return cls(status, str(error), {"retry-after": str(ceil(error.retry_after_s))}, extensions=error.extensions)

    @classmethod
    def masked(cls, error: Exception) -> "Refused":
        """What nobody expected; it is logged."""
        message, extensions = told(GraphQLError(str(error), original_error=error))
        return cls(500, message, extensions=extensions)

    @property
    def lines(self) -> GivenHeaders:
        """Its headers as they are sent."""
        return [(name.encode(), value.encode()) for name, value in self.headers.items()]

    def told(self, scope: Scope) -> bytes:
        """It in the form of a result with an error; it is counted."""
        count_refused(scope, self.extensions)
        return encode({"errors": [{"message": str(self), "extensions": self.extensions}]})

    async def answer(self, scope: Scope, receive: Receive, send: Send, media_type: bytes = JSON) -> None:
        """Answer with it, and count it."""
        body = self.told(scope)
        if "connection" not in self.headers:  # there may be many of them, when there is no time for any
            now: AnswerNow | None = scope.get("extensions", {}).get(ANSWER_NOW)
            if now and now(self.status, [(b"content-type", media_type), *self.lines], body):
                return
        await Response(body, self.status, self.headers, media_type.decode())(scope, receive, send)


def refusal(error: Exception) -> Refused:
    """How a client is told."""
    if isinstance(error, Refused):
        return error
    return Refused.of(error) if isinstance(error, NotExecutable | Shed) else Refused.masked(error)


def count_refused(scope: Scope, extensions: Mapping[str, object]) -> None:
    """Count a request that is not executed, by its code."""
    gateway: Gateway = scope["state"]["gateway"]
    gateway.telemetry.metrics.refused.counts[str(extensions["code"]),] += 1


async def read_operation(scope: Scope, headers: Headers, receive: Receive, limits: Limits) -> Operation:
    """The operation that is asked for, with its document.

    Raises Refused, NotExecutable, Shed, and ClientDisconnect for a body that is cut off.
    """
    match scope["method"]:
        case "GET":
            if not was_preflighted(headers) and is_foreign(headers, limits.origins):
                raise Refused(403, "A page of another origin cannot ask this.", code="CROSS_SITE")
            text: bytes = scope["query_string"]
            return limits.found(_converted(_from_parameters(QueryParams(text))), len(text))
        case "POST":
            if not is_json(headers.get(b"content-type", b"")):
                raise Refused(415, "The body must be application/json.")
            if headers.get(b"content-encoding", b"identity").lower() != b"identity":
                raise Refused(415, "The body must not be compressed.", {"accept-encoding": "identity"})
            body = scope.get("extensions", {}).get(BODY)
            if body is None or len(body) > limits.body_bytes:
                body = await _body(headers, receive, limits.body_bytes)
            return posted(scope, body, limits)
        case _:
            raise Refused(405, "Only GET and POST are allowed here.", {"allow": METHODS})


def posted(scope: Scope, body: bytes, limits: Limits) -> Operation:
    """The operation in a body, with its document. Raises Refused, NotExecutable, Shed."""
    size = len(body)
    limits.load.decode(scope, size)
    try:
        operation = _operations.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):  # it is odd or wrong
        operation = _converted(_decoded(body, "The request"))
    return limits.found(operation, size)


async def charge(load: Load, scope: Scope, executor: Executor, operation: Operation) -> Prepared | None:
    """The operation, if it is valid, for which the client is charged. Raises Shed if that is too much."""
    if not load.has_rates:
        return executor.prepared(operation)
    known, variables = executor.known(operation), operation.variables or {}
    prepared = known.prepared(operation.operation_name) if known else None
    if not known or (prepared and not prepared.knows_plan(variables)):
        load.take(scope, PREPARING)
        if load.is_shared:
            await load.take_shared(scope, PREPARING)
        prepared = executor.prepared(operation)
    cost = (prepared and prepared.cost(variables)) or 1
    load.take(scope, cost)
    if load.is_shared:
        await load.take_shared(scope, cost)
    return prepared


def written(result: Result, compress_bytes: int, headers: Headers) -> tuple[bytes, GivenHeaders]:
    """A result in JSON, compressed if it has so many bytes and the client accepts it (0: never), and headers for it."""
    body = encode(result)
    if not 0 < compress_bytes <= len(body):
        return body, []
    varies = (b"vary", b"accept-encoding")
    if not accepts_gzip(headers.get(b"accept-encoding", b"")):
        return body, [varies]
    return compress(body, compresslevel=1), [varies, (b"content-encoding", b"gzip")]


async def respond_with(
    result: Result, media_type: bytes, compress_bytes: int, scope: Scope, headers: Headers, send: Send
) -> None:
    """Answer with a result."""
    body, more = written(result, compress_bytes, headers)
    told = [(b"content-type", media_type), *more]
    status = status_of(result, media_type)
    now: AnswerNow | None = scope.get("extensions", {}).get(ANSWER_NOW)
    if now and now(status, told, body):
        return
    told.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": body})


@lru_cache(256)
def accepts_gzip(header: bytes) -> bool:
    """Whether a header `Accept-Encoding` names gzip, or all there is, and does not rule it out by `q=0`."""
    named = dict(_weighed(part) for part in header.lower().split(b","))
    return named.get(b"gzip", named.get(b"*", False))


def _weighed(part: bytes) -> tuple[bytes, bool]:
    coding, _, weight = part.replace(b" ", b"").partition(b";q=")
    return coding, weight.strip(b"0.") != b"" if weight else True


@contextmanager
def while_connected(scope: Scope) -> Iterator[None]:
    """What is done in the context is cancelled if the client goes away, and ClientDisconnect raised then."""
    me = asyncio.current_task()
    assert me
    extensions = scope["extensions"]
    extensions[WHEN_GONE] = me.cancel
    try:
        yield
    except asyncio.CancelledError:
        if WHEN_GONE in extensions or me.uncancel():
            raise
        raise ClientDisconnect from None
    finally:
        extensions.pop(WHEN_GONE, None)


async def disconnected(receive: Receive) -> None:
    """Wait until the client has gone; the body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _body(headers: Headers, receive: Receive, at_most: int) -> bytes:
    body, size, more = b"", int(headers.get(b"content-length", b"0")), True
    while more and size <= at_most:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        size = len(body)
    if size > at_most:
        raise Refused(413, f"The body has more than {at_most} bytes.", {"connection": "close"})
    return body


def _converted(given: Any) -> Operation:
    if isinstance(given, list):
        raise Refused(400, "A request has one operation; batches are not taken.")
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
