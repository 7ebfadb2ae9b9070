"""Server-sent events, as graphql-sse has them in its distinct connections mode: a connection for each operation.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
"""

from contextlib import nullcontext

from graphql import OperationType
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from gateway.execution import Executor, Operation, Result
from gateway.json import encode
from gateway.limits.configured import Limits
from gateway.limits.origins import Headers
from gateway.settings import Settings
from gateway.transports.credentials import context_of
from gateway.transports.requests import Refused, charge, read_operation, refusal
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

    def __init__(self, executor: Executor, settings: Settings, limits: Limits) -> None:
        self._executor = executor
        self._keep_alive_s = settings.keep_alive_s
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the source ends or the client goes away; refuse what is no request for events."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        try:
            self._limits.load.arrive(scope)
            context = await context_of(scope)
            operation = await self._asked(scope, headers, receive)
            if cursor := headers.get(b"last-event-id"):
                operation = continued(self._executor, operation, cursor.decode("latin-1"))
            form = Events(Cursors(self._executor, operation))
            drain = scope["state"]["gateway"].drain
            follows = self._executor.kind(operation) is OperationType.SUBSCRIPTION
            with self._limits.load.subscription(scope) if follows else nullcontext():
                await respond(self._executor, operation, context, form, self._keep_alive_s, drain, receive, send)
        except ClientDisconnect:
            pass
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told by an id that the log has
            await refusal(error).answer(scope, receive, send)

    async def _asked(self, scope: Scope, headers: Headers, receive: Receive) -> Operation:
        operation = await read_operation(scope, headers, receive, self._limits)
        accepted = headers.get(b"accept", b"*/*")
        if not any(kind in accepted for kind in (MEDIA_TYPE.encode(), b"text/*", b"*/*")):
            raise Refused(406, f"Answers here are {MEDIA_TYPE}.")
        if scope["method"] == "GET" and self._executor.kind(operation) is OperationType.MUTATION:
            raise Refused(405, "A mutation is asked for by POST.", {"allow": "POST"})
        await charge(self._limits.load, scope, self._executor, operation)
        return operation
