"""HTTP requests that hold an operation, answers to those that do not, and clients that go away."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive

from gateway.execution import Operation
from gateway.transports.json import NotJson, decode, encode
from projector.tasks import ended

T = TypeVar("T")
METHODS = "GET, POST"


class Refused(Exception):
    """The request cannot be answered with a result; the message says why, `status` and `headers` say it in HTTP."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers

    @property
    def response(self) -> Response:
        """The answer, in the form of a result with an error."""
        error = {"message": str(self), "extensions": {"code": "BAD_REQUEST"}}
        return json_response({"errors": [error]}, self.status, self.headers)


def json_response(value: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON."""
    return Response(encode(value), status, headers, media_type="application/json")


async def read_operation(request: Request) -> Operation:
    """The operation that is asked for. Raises Refused, and ClientDisconnect for a body that is cut off."""
    match request.method:
        case "GET":
            given = _from_parameters(request.query_params)
        case "POST":
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
                raise Refused(415, "The body must be application/json.")
            given = _decoded(await request.body(), "The request")
        case _:
            raise Refused(405, "Only GET and POST are allowed here.", {"allow": METHODS})
    if not isinstance(given, dict):
        raise Refused(400, "The request must be a JSON object.")
    try:
        return msgspec.convert(given, Operation)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise Refused(400, f"The request is no GraphQL request: {str(error)[:200]}") from error


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T | None:
    """What `work` returns; None if the client goes away before, which cancels it. Raises what it fails with."""
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(disconnected(receive))
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        await ended(working, gone)


async def disconnected(receive: Receive) -> None:
    """Wait until the client has gone; the body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


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
