"""Server-sent events, as graphql-sse has them in its distinct connections mode: a connection for each operation.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
"""

from graphql import OperationType
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from gateway.execution import Executor, Operation, Result
from gateway.json import encode
from gateway.transports.credentials import context_of
from gateway.transports.requests import Refused, read_operation
from gateway.transports.resumption import Cursors, continued
from gateway.transports.streams import respond

MEDIA_TYPE = "text/event-stream"


class Events:
    """Results as events; one whose frame has a cursor has it as its id, which a browser sends back by itself."""

    media_type = MEDIA_TYPE
    opening = b""
    heartbeat = b":\n\n"
    ending = b"event: complete\ndata:\n\n"
    cut = b""

    def __init__(self, cursors: Cursors) -> None:
        self._cursors = cursors

    def write(self, result: Result) -> bytes:
        """An event `next`."""
        cursor = self._cursors.of(result)
        id = b"id: %s\n" % cursor.encode() if cursor else b""
        return b"event: next\n%sdata: %s\n\n" % (id, encode(result))


class EventStream:
    """An ASGI application that executes an operation and streams its results."""

    def __init__(self, executor: Executor, keep_alive_s: float) -> None:
        self._executor = executor
        self._keep_alive_s = keep_alive_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the source ends or the client goes away; refuse what is no request for events."""
        request = Request(scope, receive)
        try:
            context = await context_of(scope)
            operation = await self._asked(request)
        except Refused as refused:
            return await refused.response(scope, receive, send)
        except ClientDisconnect:
            return None
        if cursor := request.headers.get("last-event-id"):
            operation = continued(self._executor, operation, cursor)
        form = Events(Cursors(self._executor, operation))
        drain = scope["app"].state.gateway.drain
        return await respond(self._executor, operation, context, form, self._keep_alive_s, drain, receive, send)

    async def _asked(self, request: Request) -> Operation:
        operation = await read_operation(request.scope, request.receive)
        accepted = request.headers.get("accept", "*/*")
        if not any(kind in accepted for kind in (MEDIA_TYPE, "text/*", "*/*")):
            raise Refused(406, f"Answers here are {MEDIA_TYPE}.")
        if request.method == "GET" and self._executor.kind(operation) is OperationType.MUTATION:
            raise Refused(405, "A mutation is asked for by POST.", {"allow": "POST"})
        return operation
