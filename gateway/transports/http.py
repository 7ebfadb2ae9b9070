"""GraphQL over HTTP: one request, one answer; or, for a subscription, an answer of many parts."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from graphql import OperationType
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from gateway.answers import lines_of
from gateway.eager import watched
from gateway.edge import REQUEST_ID, new_id
from gateway.execution import Executor, Operation, Result
from gateway.execution.documents import Prepared
from gateway.heads import Directly, Exchange
from gateway.limits.configured import Limits
from gateway.limits.origins import Headers
from gateway.logs import KNOWN
from gateway.settings import Settings
from gateway.transports import multipart
from gateway.transports.credentials import context_of
from gateway.transports.negotiation import JSON, answer_type, is_json, status_of
from gateway.transports.requests import (
    GivenHeaders,
    Refused,
    charge,
    posted,
    read_operation,
    refusal,
    respond_with,
    while_connected,
    written,
)
from gateway.transports.streams import respond
from gateway.wiring import Context


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
        try:
            result = await self._result(scope, headers, media_type, receive, send)
        except ClientDisconnect:
            return None
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told by an id that the log has
            return await refusal(error).answer(scope, receive, send, media_type or JSON)
        if result is not None:
            await respond_with(result, media_type or JSON, self._compress_bytes, scope, headers, send)
        return None

    async def _result(
        self, scope: Scope, headers: Headers, media_type: bytes | None, receive: Receive, send: Send
    ) -> Result | None:
        """What is to be answered; None where the client has had its answer in parts. Raises ClientDisconnect."""
        self._limits.running.admit()
        takes_parts = multipart.accepted(headers.get(b"accept", b""))
        if media_type is None and not takes_parts:
            raise Refused(406, "Answers here are application/graphql-response+json or application/json.")
        self._limits.load.arrive(scope)
        context = await context_of(scope)
        operation = await read_operation(scope, headers, receive, self._limits)
        prepared = await charge(self._limits.load, scope, self._executor, operation)
        if takes_parts and self._executor.kind(operation) is OperationType.SUBSCRIPTION:
            with self._limits.load.subscription(scope):
                parts = multipart.Parts()
                drain = scope["state"]["gateway"].drain
                await respond(self._executor, operation, context, parts, self._keep_alive_s, drain, receive, send)
            return None
        self._check_single(operation, prepared, scope["method"])
        work = self._executor.execute(operation, context, prepared)
        return await watched(work, partial(while_connected, scope))

    def _check_single(self, operation: Operation, prepared: Prepared | None, method: str = "POST") -> None:
        """Raises Refused for what has no single answer, and for commands by GET."""
        kind = prepared.kind if prepared else self._executor.kind(operation)
        if kind is OperationType.SUBSCRIPTION:
            raise Refused(406, f"A subscription is answered by {multipart.Parts.media_type}; accept that.")
        if kind is OperationType.MUTATION and method == "GET":
            raise Refused(405, "A mutation is asked for by POST.", {"allow": "POST"})

    def directly(self, scope: Mapping[str, Any]) -> Directly | None:
        """What answers POSTs with such a scope as `__call__` does, past ASGI; None where there is more to it."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        accept = headers.get(b"accept", b"")
        media_type = answer_type(accept)
        if (
            scope["method"] != "POST"
            or media_type is None
            or multipart.accepted(accept)
            or not is_json(headers.get(b"content-type", b""))
            or b"content-encoding" in headers
            or int(headers[b"content-length"]) > self._limits.body_bytes
            or (self._limits.origins and b"origin" in headers)
            or self._executor.is_traced
        ):
            return None
        callers = scope["state"]["gateway"].callers
        nobody = callers.nobody if callers.says_nothing(headers) else None
        return partial(self._answer_directly, scope["headers"], headers, nobody, media_type)

    async def _answer_directly(
        self,
        given: GivenHeaders,
        headers: Headers,
        nobody: Context | None,
        media_type: bytes,
        exchange: Exchange,
        body: bytes,
    ) -> None:
        limits, executor = self._limits, self._executor
        scope = {"client": exchange.client, "headers": given, "state": exchange.app_state}
        id = new_id()
        lines = b"content-type: %b\r\n%b: %b\r\n" % (media_type, REQUEST_ID, id)
        known = KNOWN.set({"request_id": id.decode()})
        try:
            limits.running.admit()
            limits.load.arrive(scope)
            context = nobody or await context_of(scope)
            operation = posted(scope, body, limits)
            prepared = await charge(limits.load, scope, executor, operation)
            self._check_single(operation, prepared)
            result = await executor.execute(operation, context, prepared)
            answer, more = written(result, self._compress_bytes, headers)
            status = status_of(result, media_type)
        except asyncio.CancelledError:
            me = asyncio.current_task()
            if not exchange.is_gone or (me and me.uncancel()):
                raise
            return
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told by an id that the log has
            refused = refusal(error)
            status, more, answer = refused.status, refused.lines, refused.told(scope)
        finally:
            KNOWN.reset(known)
        exchange.answer(status, lines + lines_of(more) if more else lines, answer)
