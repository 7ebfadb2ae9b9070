"""graphql-transport-ws: any number of operations over one socket, each of which ends on its own.

An operation asks its source for the next result when the transport has taken the last one, so what a slow client has
not read is not kept here: the live view coalesces it.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable, Mapping
from contextlib import aclosing, suppress
from functools import partial
from typing import Any

from graphql import GraphQLError, OperationType
from starlette.types import Receive, Scope, Send

from gateway.drain import Drain
from gateway.execution import Executor, NotExecutable, Operation
from gateway.identity import Callers, Unauthenticated
from gateway.json import encode
from gateway.limits.configured import Limits
from gateway.limits.load import limited
from gateway.limits.origins import is_foreign
from gateway.limits.rates import Pace
from gateway.limits.shed import Shed
from gateway.server import WRITE_NOW
from gateway.settings import Settings
from gateway.transports.credentials import EXPIRED, closing
from gateway.transports.messages import (
    SUBPROTOCOL,
    Closing,
    Code,
    Complete,
    ConnectionInit,
    Message,
    Ping,
    Pong,
    Subscribe,
    read,
    text_frame,
)
from gateway.transports.requests import charge, count_refused
from gateway.wiring import Context, Gateway
from projector.tasks import Task, end, ended
from read_model.watches import Batch, Hand
from schema.errors import told

WriteNow = Callable[[bytes], bool]

PING = text_frame(b'{"type":"ping"}')
FIRST_CHARACTERS = 10_000
"""Of a message before the socket is acknowledged."""
PER_S, BURST, CHARACTERS = 500.0, 5_000.0, 1_000
"""Messages that a socket may send per second, and at once; a long one counts once more for so many characters."""
REASON_BYTES = 123
"""What a control frame holds besides the code (RFC 6455, 5.5)."""


class Sockets:
    """An ASGI application that talks to whoever opens a socket."""

    def __init__(self, executor: Executor, settings: Settings, limits: Limits) -> None:
        self._executor = executor
        self._settings = settings
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Accept the socket, unless a page of another origin opens it, and serve it until it is closed."""
        await receive()  # websocket.connect
        if is_foreign(dict(scope["headers"]), self._limits.origins):
            return await send({"type": "websocket.close"})
        try:
            if SUBPROTOCOL not in scope["subprotocols"]:
                raise Closing(Code.SUBPROTOCOL_NOT_ACCEPTABLE, f"Only {SUBPROTOCOL} is spoken here.")
            self._limits.load.arrive(scope)
            with self._limits.load.socket(scope):
                await self._serve(scope, receive, send)
        except Closing as closing:
            await send({"type": "websocket.accept"})
            await _close(send, closing)
        except Shed as shed:
            count_refused(scope, shed.extensions)
            await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
            await _close(send, _shedding(shed))
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told by an id that the log has
            message, _ = told(GraphQLError(str(error), original_error=error))
            await _close(send, Closing(Code.INTERNAL, message))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway: Gateway = scope["state"]["gateway"]
        conversation = Conversation(
            self._executor,
            self._settings,
            self._limits,
            gateway.callers,
            gateway.drain,
            scope,
            receive,
            send,
        )
        await conversation.run()


class Conversation:
    """What is said over one socket."""

    def __init__(
        self,
        executor: Executor,
        settings: Settings,
        limits: Limits,
        callers: Callers[Context],
        drain: Drain,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._executor = executor
        self._settings = settings
        self._limits = limits
        self._callers = callers
        self._drain = drain
        self._scope = scope
        self._receive = receive
        self._asgi_send = send
        self._write_now: WriteNow | None = scope.get("extensions", {}).get(WRITE_NOW)
        self._context: Context | None = None
        """Whose socket it is, once it is acknowledged."""
        self._until = asyncio.timeout(settings.socket_init_s)
        """Until it must be initialised; then, until what was proved of who asks is worth nothing any more."""
        self._pace = Pace(PER_S, BURST, time.monotonic())
        self._operations: dict[str, Task] = {}
        self._tasks: set[Task] = set()
        """Of the operations, of those that were completed by the client and have not ended yet, and of the end."""

    async def run(self) -> None:
        """Talk until either side closes the socket. No task of it is left afterwards."""
        self._keep_alive()  # a task of its own for that would take more memory than all else that there is of it
        try:
            await self._asgi_send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
            with self._drain.holding(self._restart):
                await self._listen()
        except Closing as closing:
            for task in self._tasks:
                end(task)  # nothing may be sent behind the close
            await _close(self._asgi_send, closing)
        except OSError:  # the client has gone
            pass
        finally:
            self._alive.cancel()
            await ended(*self._tasks)

    async def _listen(self) -> None:
        """Take what the client sends until it has gone. Raises Closing."""
        try:
            async with self._until:
                while (event := await self._receive())["type"] != "websocket.disconnect":
                    self._weigh(len(event.get("text") or ""))
                    await self._take(read(event.get("text")))
                    del event  # a socket that waits keeps nothing of what it was sent
        except TimeoutError as error:
            if self._context is None:
                raise Closing(Code.INIT_TIMEOUT, "Connection initialisation timeout") from error
            raise Closing(Code.FORBIDDEN, EXPIRED) from error

    def _keep_alive(self) -> None:
        """Give a sign of life now and then, unless something else is on its way."""
        if self._context and self._write_now:
            self._write_now(PING)
        self._alive = asyncio.get_running_loop().call_later(self._settings.keep_alive_s, self._keep_alive)

    def _restart(self) -> None:
        """Close the socket when its operations have ended, for the process is to end."""

        async def close(*operations: Task) -> None:
            if operations:
                await asyncio.wait(operations)
            await _close(self._asgi_send, Closing(Code.SERVICE_RESTART, "Service restart"))

        self._begin(close(*self._tasks))

    def _weigh(self, size: int) -> None:
        """Look how much the client sends, before it is decoded. Raises Closing."""
        if self._context is None and size > FIRST_CHARACTERS:
            raise Closing(Code.INVALID_MESSAGE, "This is too long for a first message.")
        try:
            if not self._pace.take(1 + size // CHARACTERS, time.monotonic()):
                raise limited(1.0)
            self._limits.load.decode(self._scope, size)
        except Shed as shed:
            count_refused(self._scope, shed.extensions)
            raise _shedding(shed) from shed

    async def _take(self, message: Message) -> None:
        match message:
            case ConnectionInit(payload=payload):
                if self._context:
                    raise Closing(Code.TOO_MANY, "Too many initialisation requests")
                await self._admit(payload)
                await self._send({"type": "connection_ack"})
            case Ping(payload=None):
                await self._send({"type": "pong"})
            case Ping(payload=dict(payload)):
                if self._context:
                    await self._admit(payload)
                told = {name: value for name, value in payload.items() if name.lower() != "authorization"}
                await self._send({"type": "pong", "payload": told})
            case Pong():
                pass
            case Subscribe(id=id, payload=operation):
                await self._subscribe(id, operation)
            case Complete(id=id):
                if not self._context:
                    raise Closing(Code.UNAUTHORIZED, "Unauthorized")
                if task := self._operations.pop(id, None):
                    end(task)

    async def _admit(self, payload: Mapping[str, Any] | None) -> None:
        """Take who asks from a message, or at first from the handshake, and until when that holds. Raises Closing."""
        try:
            context = await self._callers.of_payload(payload)
            if context is None:
                if self._context:
                    return
                context = await self._callers.of(self._scope["headers"])
        except Unauthenticated as error:
            raise closing(error) from error
        # Its operations go on with what they were allowed, so that must be the same.
        if self._context and not context.viewer.is_as(self._context.viewer):
            raise Closing(Code.FORBIDDEN, "The token is of somebody else, or allows something else")
        self._context = context
        self._scope["viewer"] = context.viewer
        expires_at = context.viewer.expires_at
        left = None if expires_at is None else expires_at - time.time()
        self._until.reschedule(None if left is None else asyncio.get_running_loop().time() + left)

    async def _subscribe(self, id: str, operation: Operation) -> None:
        if not self._context:
            raise Closing(Code.UNAUTHORIZED, "Unauthorized")
        if id in self._operations:
            raise Closing(Code.SUBSCRIBER_EXISTS, f"Subscriber for {id} already exists")
        limit = self._settings.socket_operations
        if len(self._operations) >= limit:
            extensions = {"code": "TOO_MANY_OPERATIONS"}
            count_refused(self._scope, extensions)
            await self._send(_error(id, f"At most {limit} operations at a time.", extensions))
        elif not self._drain.begun:
            self._operations[id] = self._begin(self._operate(id, operation, self._context))

    def _begin(self, work: Coroutine[Any, Any, None]) -> Task:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _operate(self, id: str, operation: Operation, context: Context) -> None:
        """Execute an operation and send what comes of it; never raises anything but that it was told to end."""
        try:
            operation = self._limits.found(operation)
            await charge(self._limits.load, self._scope, self._executor, operation)
            if self._executor.kind(operation) is not OperationType.SUBSCRIPTION:
                return await self._pass_on(id, operation, context)
            with self._limits.load.subscription(self._scope):
                await self._pass_on(id, operation, context)
        except OSError:  # the client has gone
            pass
        except NotExecutable as error:
            await self._refuse(id, str(error), {"code": error.code})
        except Shed as shed:
            await self._refuse(id, str(shed), shed.extensions)
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told
            message, extensions = told(GraphQLError(str(error), original_error=error))
            await self._end(id, _error(id, message, extensions))

    async def _pass_on(self, id: str, operation: Operation, context: Context) -> None:
        """Send the results of an operation, and its end unless it goes on elsewhere."""
        send = partial(self._hand, id) if self._write_now else None
        async with aclosing(self._executor.stream(operation, context, send)) as results:
            async for result in results:
                if "data" not in result:
                    return await self._end(id, {"type": "error", "id": id, "payload": result["errors"]})
                await self._send({"type": "next", "id": id, "payload": result})
                del result  # nor does a subscription
        if self._drain.begun and self._executor.kind(operation) is OperationType.SUBSCRIPTION:
            return None  # so that the client asks again elsewhere
        return await self._end(id, {"type": "complete", "id": id})

    def _hand(self, id: str, what: Hashable, encoded: Callable[[Any], bytes | None]) -> Hand:
        """How an operation is sent events: encoded once for all, and the same frame to all who have given it that id.

        Thousands may be handed the same, one after the other: there is nothing here to be done for each but that.
        """
        write_now, frames, frame_name = self._write_now, self._executor.frames, (what, id)
        assert write_now

        def framed(batch: Batch, make: Callable[[], Any]) -> bytes | None:
            result = batch.made(what, lambda: encoded(make()))
            return result and text_frame(b'{"type":"next","id":%s,"payload":%s}' % (encode(id), result))

        def hand(batch: Batch, make: Callable[[], Any]) -> bool:
            frame = batch.known(frame_name) or batch.made(frame_name, lambda: framed(batch, make))
            if frame is None or not write_now(frame):
                return False
            frames[()] += 1
            return True

        return hand

    async def _refuse(self, id: str, message: str, extensions: Mapping[str, Any]) -> None:
        """End an operation that was not executed."""
        count_refused(self._scope, extensions)
        await self._end(id, _error(id, message, extensions))

    async def _end(self, id: str, message: Mapping[str, Any]) -> None:
        """Send the last message of an operation; its id is free before the client has it."""
        self._operations.pop(id, None)
        await self._send(message)

    async def _send(self, message: Mapping[str, Any]) -> None:
        """Send a message as soon as the transport takes one. Raises OSError when the client has gone."""
        await self._asgi_send({"type": "websocket.send", "text": encode(message).decode()})


async def _close(send: Send, closing: Closing) -> None:
    reason = closing.reason.encode(errors="replace")[:REASON_BYTES].decode(errors="ignore")
    with suppress(OSError):  # the client has gone
        await send({"type": "websocket.close", "code": int(closing.code), "reason": reason})


def _shedding(shed: Shed) -> Closing:
    return Closing(Code.TOO_MANY, f"{shed} Try again in {shed.retry_after_s:g} s.")


def _error(id: str, message: str, extensions: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "error", "id": id, "payload": [{"message": message, "extensions": extensions}]}
