"""Results that are streamed over HTTP as they come, whatever form they have on the way."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from graphql import OperationType
from starlette.datastructures import MutableHeaders
from starlette.types import Receive, Send

from gateway.execution import Executor, Operation, Result
from gateway.transports.requests import disconnected
from gateway.wiring import Gateway
from projector.tasks import first_of


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
    form: Form,
    keep_alive_s: float,
    gateway: Gateway,
    receive: Receive,
    send: Send,
) -> None:
    """Answer with the results of an operation as they come, and a heartbeat every `keep_alive_s` seconds.

    Each result is asked for when the transport has taken the one before. The source is closed when the client goes
    away. A subscription that the end of the process ends is cut, so that its client asks again elsewhere.
    """
    headers = MutableHeaders({"content-type": form.media_type, "cache-control": "no-cache", "x-accel-buffering": "no"})
    with gateway.drain.holding():
        await send({"type": "http.response.start", "status": 200, "headers": headers.raw})
        await _send(send, form.opening)
        results = executor.stream(operation, gateway.context)
        if not await _pass_on(results, form, keep_alive_s, receive, send):
            return
        cut = gateway.drain.begun and executor.kind(operation) is OperationType.SUBSCRIPTION
        await send({"type": "http.response.body", "body": form.cut if cut else form.ending, "more_body": False})


async def _pass_on(
    results: AsyncGenerator[Result, None], form: Form, keep_alive_s: float, receive: Receive, send: Send
) -> bool:
    """Send what comes; return whether all of it was, rather than that the client has gone."""
    complete = False

    async def pass_on() -> None:
        nonlocal complete
        async with aclosing(results):
            async for result in results:
                await _send(send, form.write(result))
        complete = True

    async def beat() -> None:
        while True:
            await asyncio.sleep(keep_alive_s)
            await _send(send, form.heartbeat)

    await first_of(pass_on(), beat(), disconnected(receive))
    return complete


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
