"""GraphQL over HTTP: one request, one answer; or, for a subscription, an answer of many parts."""

from graphql import OperationType
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from gateway.execution import Executor, NotExecutable, Operation
from gateway.limits.configured import Limits
from gateway.limits.shed import Shed
from gateway.settings import Settings
from gateway.transports import multipart
from gateway.transports.negotiation import answer_type
from gateway.transports.requests import Refused, charge, read_operation, respond_with, while_connected
from gateway.transports.streams import respond
from gateway.wiring import Gateway


class Http:
    """An ASGI application that answers queries and mutations, and streams subscriptions to who accepts parts."""

    def __init__(self, executor: Executor, settings: Settings, limits: Limits) -> None:
        self._executor = executor
        self._keep_alive_s = settings.keep_alive_s
        self._compress_bytes = settings.compress_bytes
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. A query whose client goes away is cancelled; a mutation is finished."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        try:
            accept = headers.get(b"accept", b"")
            takes_parts = multipart.accepted(accept)
            if not takes_parts and answer_type(accept) is None:
                raise Refused(406, "Answers here are application/graphql-response+json or application/json.")
            operation = await read_operation(scope, headers, receive, self._limits)
            charge(self._limits.load, scope, self._executor, operation)
            gateway: Gateway = scope["app"].state.gateway
            kind = self._executor.kind(operation)
            if kind is OperationType.SUBSCRIPTION:
                if not takes_parts:
                    media_type = multipart.Parts.media_type
                    raise Refused(406, f"A subscription is answered by {media_type}; accept that.")
                return await self._stream(operation, gateway, scope, receive, send)
            if kind is OperationType.MUTATION and scope["method"] == "GET":
                raise Refused(405, "A mutation is asked for by POST.", {"allow": "POST"})
            if result := await while_connected(receive, self._executor.execute(operation, gateway.context)):
                await respond_with(result, self._compress_bytes, headers, send)
        except Refused as refused:
            await refused.response(scope, receive, send)
        except (NotExecutable, Shed) as error:
            await Refused.of(error).response(scope, receive, send)
        except ClientDisconnect:
            pass
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told by an id that the log has
            await Refused.masked(error).response(scope, receive, send)

    async def _stream(self, operation: Operation, gateway: Gateway, scope: Scope, receive: Receive, send: Send) -> None:
        with self._limits.load.subscription(scope):
            await respond(self._executor, operation, multipart.Parts(), self._keep_alive_s, gateway, receive, send)
