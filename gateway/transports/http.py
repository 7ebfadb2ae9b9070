"""GraphQL over HTTP: one request, one answer; or, for a subscription, an answer of many parts."""

from functools import partial

from graphql import OperationType
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from gateway.eager import watched
from gateway.execution import Executor, NotExecutable, Result
from gateway.limits.configured import Limits
from gateway.limits.origins import Headers
from gateway.limits.shed import Shed
from gateway.settings import Settings
from gateway.transports import multipart
from gateway.transports.credentials import context_of
from gateway.transports.negotiation import JSON, answer_type
from gateway.transports.requests import Refused, charge, read_operation, respond_with, while_connected
from gateway.transports.streams import respond


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
        media_type = answer_type(headers.get(b"accept", b""))
        refused: Refused
        try:
            result = await self._result(scope, headers, media_type, receive, send)
        except Refused as error:
            refused = error
        except (NotExecutable, Shed) as error:
            refused = Refused.of(error)
        except ClientDisconnect:
            return None
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told by an id that the log has
            refused = Refused.masked(error)
        else:
            if result is not None:
                await respond_with(result, media_type or JSON, self._compress_bytes, scope, headers, send)
            return None
        return await refused.answer(scope, receive, send, media_type or JSON)

    async def _result(
        self, scope: Scope, headers: Headers, media_type: bytes | None, receive: Receive, send: Send
    ) -> Result | None:
        """What is to be answered; None where the client has had its answer in parts. Raises ClientDisconnect."""
        self._limits.running.admit()
        takes_parts = b"multipart" in headers.get(b"accept", b"") and multipart.accepted(headers[b"accept"])
        if media_type is None and not takes_parts:
            raise Refused(406, "Answers here are application/graphql-response+json or application/json.")
        context = await context_of(scope, self._limits.load)
        operation = await read_operation(scope, headers, receive, self._limits)
        if self._limits.load.has_rates:
            await charge(self._limits.load, scope, self._executor, operation)
        prepared = self._executor.prepared(operation)
        kind = prepared.kind if prepared else self._executor.kind(operation)
        if kind is OperationType.SUBSCRIPTION:
            if not takes_parts:
                raise Refused(406, f"A subscription is answered by {multipart.Parts.media_type}; accept that.")
            with self._limits.load.subscription(scope):
                parts = multipart.Parts()
                drain = scope["state"]["gateway"].drain
                await respond(self._executor, operation, context, parts, self._keep_alive_s, drain, receive, send)
            return None
        if kind is OperationType.MUTATION and scope["method"] == "GET":
            raise Refused(405, "A mutation is asked for by POST.", {"allow": "POST"})
        work = self._executor.execute(operation, context, prepared)
        return await watched(work, partial(while_connected, scope))
