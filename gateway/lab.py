"""The lab, for development: a gateway that is slow, repeats itself, hangs up and contradicts, as a UI must bear it.

It wraps what the gateway is put together from. Where there is no lab, nothing is wrapped.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import Annotated, Any
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.limits.origins import is_foreign
from gateway.server import WRITE_NOW
from gateway.settings import Settings
from projector.tasks import first_of
from schema.orders.commands import Execute
from store import Changes, Container, ContainerDelegate, FeedRange, Partition, Start, Store, StoreDelegate
from write_model import orders
from write_model.commands import Applied, Command
from write_model.handler import Aggregates
from write_model.refusals import Refused, VersionConflict

LAB_PATH = "/lab"
MAX_BODY = 10_000
RECENT = 5
"""Frames of a subscription of which one may be sent again."""


class Switches(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What the lab does; all of it is off at first."""

    projector_delay_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 0.0
    """Seconds that the projector waits with each page."""
    duplicates: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    """The share of a subscription's frames after which one of the latest comes again."""
    drop_after_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0.0
    """Seconds that a WebSocket lives on average; 0: until it is closed."""
    conflicts: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    """How many of the next commands that expect a version find another one."""


class Lab:
    """No lab: everything is as it is."""

    routes: Sequence[Route] = ()

    def store(self, store: Store) -> Store:
        """The store as the projector sees it."""
        return store

    def execute(self, execute: Execute) -> Execute:
        """How commands are carried out."""
        return execute

    def around(self, app: ASGIApp) -> ASGIApp:
        """The application that talks over sockets."""
        return app


class OpenLab(Lab):
    """The lab of this process. Chance is decided by the seed, from its beginning again after each change."""

    def __init__(self, seed: int) -> None:
        self.routes = [Route(LAB_PATH, self._control, methods=["GET", "POST"])]
        self.chance = Random(seed)
        self.switches = Switches()
        self.happened = {"delayed": 0, "duplicated": 0, "dropped": 0, "conflicted": 0}
        """How often, since the process began."""
        self._seed = seed
        self._drops = 0
        self._changed = asyncio.Event()

    def store(self, store: Store) -> Store:
        """The store, in which what was written is told of late."""
        return _SlowStore(store, self)

    def execute(self, execute: Execute) -> Execute:
        """`execute`, before which somebody else may change the order, by a command like any other."""

        async def contradicted(
            aggregates: Aggregates[orders.Order, orders.Event], command: Command[orders.Order, orders.Event]
        ) -> Applied[orders.Order]:
            if not self.switches.conflicts or command.expected_version is None:
                return await execute(aggregates, command)
            self._left(-1)
            conflicted = False
            other = msgspec.structs.replace(command, decide=contradict, arguments={}, id=str(uuid4()), given=False)
            try:
                with suppress(Refused):  # nothing about a paid order may be changed without harm
                    await execute(aggregates, msgspec.structs.replace(other, expected_version=None, actor="lab"))
                return await execute(aggregates, command)
            except VersionConflict:
                conflicted = True
                self.happened["conflicted"] += 1
                raise
            finally:
                if not conflicted:
                    self._left(+1)

        return contradicted

    def around(self, app: ASGIApp) -> ASGIApp:
        """`app`, whose sockets may be cut, without a word, and say things again."""

        async def cut(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "websocket":
                return await app(scope, receive, send)
            scope.get("extensions", {}).pop(WRITE_NOW, None)
            again = _Again(self, send)

            async def talk() -> None:
                await app(scope, receive, again.send)

            return await first_of(talk(), self._until_dropped())

        return cut

    async def pause(self) -> None:
        """Wait as long as the projector is to wait with a page."""
        clock = asyncio.get_running_loop()
        began = clock.time()
        if self.switches.projector_delay_s:
            self.happened["delayed"] += 1
        while (until := began + self.switches.projector_delay_s) > clock.time():
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await self._changed.wait()

    async def _until_dropped(self) -> None:
        drops = self._drops
        with suppress(TimeoutError):
            while drops == self._drops:
                after = self.switches.drop_after_s
                async with asyncio.timeout(self.chance.expovariate(1 / after) if after else None):
                    await self._changed.wait()
        self.happened["dropped"] += 1

    async def _control(self, request: Request) -> Response:
        """Tell what is switched on, having changed it if that is asked for."""
        if request.method == "POST":
            if not _by_own_page(request):
                return JSONResponse({"error": "Only this gateway's own pages, in JSON."}, 403)
            if int(request.headers.get("content-length", MAX_BODY + 1)) > MAX_BODY:
                return JSONResponse({"error": f"At most {MAX_BODY} bytes, and their number said before."}, 413)
            try:
                self._change(msgspec.json.decode(await request.body(), type=dict[str, Any]))
            except msgspec.DecodeError as error:
                return JSONResponse({"error": str(error)}, 400)
        told = msgspec.to_builtins(self.switches) | {"seed": self._seed, "happened": self.happened}
        return JSONResponse(told, headers={"cache-control": "no-store"})

    def _change(self, asked: Mapping[str, Any]) -> None:
        """Switch, and drop all sockets if `drop` is asked for too. Raises msgspec.ValidationError."""
        switches = msgspec.to_builtins(self.switches) | {key: asked[key] for key in asked if key != "drop"}
        self.switches = msgspec.convert(switches, Switches)
        self._drops += bool(asked.get("drop"))
        self.chance = Random(self._seed)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _left(self, more: int) -> None:
        self.switches = msgspec.structs.replace(self.switches, conflicts=max(0, self.switches.conflicts + more))


def open_lab(settings: Settings) -> Lab:
    """The lab, if it is switched on."""
    return OpenLab(settings.lab_seed) if settings.gateway_lab else Lab()


def contradict(order: orders.Order, *, at: str) -> list[orders.Event]:
    """What somebody else does to an order: they would rather pay in another way."""
    method = next(method for method in orders.PaymentMethod if method is not order.payment_method)
    return orders.set_payment_method(order, method=method, reference=order.payment_method_reference, at=at)


class _SlowStore(StoreDelegate):
    def __init__(self, inner: Store, lab: OpenLab) -> None:
        super().__init__(inner)
        self._lab = lab

    def container(self, name: str) -> Container:
        """The container, slow if it is what the projector follows."""
        container = self.inner.container(name)
        return _SlowContainer(container, self._lab) if name == orders.CONTAINER.name else container


class _SlowContainer(ContainerDelegate):
    def __init__(self, inner: Container, lab: OpenLab) -> None:
        super().__init__(inner)
        self._lab = lab

    async def changes(self, scope: FeedRange | Partition, after: str | Start, limit: int = 100) -> Changes:
        """As the container, after a while if there are any."""
        changes = await self.inner.changes(scope, after, limit)
        if changes.documents:
            await self._lab.pause()
        return changes


class _Again:
    """A socket on which frames may come again, also late, behind newer ones, if they have versions to know that by."""

    def __init__(self, lab: OpenLab, send: Send) -> None:
        self._lab = lab
        self._send = send
        self._recent: dict[str, deque[Message]] = {}

    async def send(self, message: Message) -> None:
        """Send a message, and perhaps one of before."""
        await self._send(message)
        told = msgspec.json.decode(message.get("text") or b"{}")
        if told.get("type") != "next":
            self._recent.pop(told.get("id", ""), None)
            return
        recent = self._recent.setdefault(told["id"], deque(maxlen=RECENT))
        recent.append(message)
        if len(recent) > 1 and self._lab.chance.random() < self._lab.switches.duplicates:
            self._lab.happened["duplicated"] += 1
            await self._send(self._lab.chance.choice(recent) if '"version":' in message["text"] else message)


def _by_own_page(request: Request) -> bool:
    """Whether no page of another origin asks: it could not send JSON unasked, and browsers say where a page is from."""
    headers: dict[bytes, bytes] = dict(request.scope["headers"])
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return kind == b"application/json" and not is_foreign(headers, ())
