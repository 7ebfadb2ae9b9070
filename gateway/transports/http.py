"""GraphQL over HTTP: one request, one answer; or, for a subscription, an answer of many parts."""

from graphql import OperationType
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from gateway.edge import header
from gateway.execution import Executor, NotExecutable, Operation
from gateway.settings import Settings
from gateway.transports import multipart
from gateway.transports.credentials import context_of
from gateway.transports.requests import Refused, read_operation, respond_with, while_connected
from gateway.transports.streams import respond
from gateway.wiring import Context


class Http:
    """An ASGI application that answers queries and mutations, and streams subscriptions to who accepts parts."""

    def __init__(self, executor: Executor, settings: Settings) -> None:
        self._executor = executor
        self._keep_alive_s = settings.keep_alive_s
        self._compress_bytes = settings.compress_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. A query whose client goes away is cancelled; a mutation is finished."""
        try:
            context = await context_of(scope)
            operation = await read_operation(scope, receive)
            kind = self._executor.kind(operation)
            if kind is OperationType.SUBSCRIPTION:
                return await self._stream(operation, context, scope, receive, send)
            if kind is OperationType.MUTATION and scope["method"] == "GET":
                raise Refused(405, "A mutation is asked for by POST.", {"allow": "POST"})
            if result := await while_connected(receive, self._executor.execute(operation, context)):
                await respond_with(result, self._compress_bytes, scope, send)
        except Refused as refused:
            await refused.response(scope, receive, send)
        except NotExecutable as error:
            await Refused(400, str(error)).response(scope, receive, send)
        except ClientDisconnect:
            pass

    async def _stream(self, operation: Operation, context: Context, scope: Scope, receive: Receive, send: Send) -> None:
        if not multipart.accepted(header(scope, b"accept").decode("latin-1")):
            raise Refused(406, f"A subscription is answered by {multipart.Parts.media_type}; accept that.")
        drain = scope["app"].state.gateway.drain
        await respond(self._executor, operation, context, multipart.Parts(), self._keep_alive_s, drain, receive, send)
