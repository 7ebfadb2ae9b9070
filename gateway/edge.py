"""Around every request: its id and its trace; around every GraphQL operation: what became of it."""

import re
from collections.abc import Iterator, Mapping, MutableMapping
from secrets import token_hex
from time import perf_counter
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send
from strawberry.extensions import SchemaExtension
from strawberry.types.graphql import OperationType

from gateway.logs import bound
from gateway.telemetry import Telemetry
from gateway.tracing import Tell

REQUEST_ID = "x-request-id"
SANE_ID = re.compile(r"[A-Za-z0-9._:@/+=-]{1,128}", re.ASCII)


class Requests:
    """Gives each request an id, its own if that is sane, and answers with it; continues its trace; counts sockets."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry, traced: str) -> None:
        """`traced` is the path whose requests have spans."""
        self._app = app
        self._telemetry = telemetry
        self._traced = traced

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, or a socket for as long as it is open."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        given = headers.get(REQUEST_ID, "")
        id = given if SANE_ID.fullmatch(given) else token_hex(16)

        async def answer(message: MutableMapping[str, Any]) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                message.setdefault("headers", [])
                MutableHeaders(scope=message)[REQUEST_ID] = id
            await send(message)

        tracing = self._telemetry.tracing
        name = "http" if scope["type"] == "http" and scope["path"] == self._traced else None
        with bound(request_id=id), tracing.request(name, headers):
            if scope["type"] == "http":
                return await self._app(scope, receive, answer)
            with self._telemetry.metrics.sockets.track_inprogress():
                return await self._app(scope, receive, answer)


class Operations(SchemaExtension):
    """Counts, times and traces an operation, on whatever transport it came; and the frames of a subscription."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._metrics = telemetry.metrics
        self._tracing = telemetry.tracing
        self._type = "invalid"
        self._errors: list[Any] | None = None

    def on_operation(self) -> Iterator[None]:
        """All of it, to the last frame."""
        started, outcome = perf_counter(), "CANCELLED"
        with self._tracing.span("graphql") as tell:
            try:
                yield
                outcome = self._outcome()
            except Exception:
                outcome = "INVALID"
                raise
            finally:
                self._ended(outcome, perf_counter() - started, tell)

    def on_execute(self) -> Iterator[None]:
        """Here the type is known."""
        self._type = self.execution_context.operation_type.value
        if self._type == OperationType.SUBSCRIPTION.value:
            self._metrics.subscribers.inc()
        yield

    def on_stream_result(self, result: Any) -> Iterator[None]:
        """From a frame's being made to its being sent."""
        if self._type == OperationType.SUBSCRIPTION.value:
            with self._tracing.delivery():
                yield
            self._metrics.frames.inc()
        else:
            yield
        self._errors = result.errors

    def _outcome(self) -> str:
        context = self.execution_context
        errors = self._errors or (context.result and context.result.errors) or context.pre_execution_errors
        return str((errors[0].extensions or {}).get("code", "INVALID")) if errors else "SUCCESS"

    def _ended(self, outcome: str, seconds: float, tell: Tell) -> None:
        told: Mapping[str, str] = {"graphql.operation.type": self._type, "outcome": outcome}
        tell(told)
        self._metrics.operations.labels(self._type, outcome).inc()
        if self._type == OperationType.SUBSCRIPTION.value:
            self._metrics.subscribers.dec()
        else:
            self._metrics.operation_seconds.labels(self._type).observe(seconds)
