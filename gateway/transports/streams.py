"""Results that are streamed over HTTP as they come, whatever form they have on the way."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Literal, Protocol

from graphql import OperationType
from starlette.datastructures import MutableHeaders
from starlette.types import Receive, Send

from gateway.drain import Drain
from gateway.execution import Executor, Operation, Result
from gateway.identity.refusals import MESSAGES
from gateway.transports.requests import disconnected
from gateway.wiring import Context
from projector.tasks import first_of

EXPIRED = {"message": MESSAGES["expired"], "extensions": {"code": "UNAUTHENTICATED"}}


class Form(Protocol):
    """How results are written."""

    media_type: str
    opening: bytes
    """Comes first."""
    heartbeat: bytes
    """Comes when nothing has for a while."""
    ending: bytes
    """Says that there are no more results."""
    cut: bytes
    """Says that there are more, elsewhere."""

    def write(self, result: Result) -> bytes:
        """A result, whole."""
        ...


async def respond(
    executor: Executor,
    operation: Operation,
    context: Context,
    form: Form,
    keep_alive_s: float,
    drain: Drain,
    receive: Receive,
    send: Send,
) -> None:
    """Answer with the results of an operation as they come, and a heartbeat every `keep_alive_s` seconds.

    Each result is asked for when the transport has taken the one before. The source is closed when the client goes
    away. A subscription that the end of the process ends is cut, so that its client asks again elsewhere; one whose
    viewer's proof expires ends with an error.
    """
    headers = MutableHeaders({"content-type": form.media_type, "cache-control": "no-cache", "x-accel-buffering": "no"})
    with drain.holding():
        await send({"type": "http.response.start", "status": 200, "headers": headers.raw})
        await _send(send, form.opening)
        results = executor.stream(operation, context)
        follows = executor.kind(operation) is OperationType.SUBSCRIPTION
        expires_at = context.viewer.expires_at if follows else None  # what ends by itself is answered
        end = await _pass_on(results, form, keep_alive_s, expires_at, receive, send)
        if end == "gone":
            return
        if end == "expired":
            await _send(send, form.write({"errors": [EXPIRED]}))
        cut = drain.begun and follows
        await send({"type": "http.response.body", "body": form.cut if cut else form.ending, "more_body": False})


async def _pass_on(
    results: AsyncGenerator[Result, None],
    form: Form,
    keep_alive_s: float,
    expires_at: float | None,
    receive: Receive,
    send: Send,
) -> Literal["complete", "expired", "gone"]:
    """Send what comes until all was sent, the time `expires_at` has come, or the client has gone."""
    end: Literal["complete", "expired", "gone"] = "gone"

    async def pass_on() -> None:
        nonlocal end
        async with aclosing(results):
            async for result in results:
                await _send(send, form.write(result))
        end = "complete"

    async def beat() -> None:
        nonlocal end
        until = math.inf if expires_at is None else expires_at
        while (left := until - time.time()) > keep_alive_s:
            await asyncio.sleep(keep_alive_s)
            await _send(send, form.heartbeat)
        await asyncio.sleep(left)
        end = "expired"

    await first_of(pass_on(), beat(), disconnected(receive))
    return end


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
