"""Where the tests of the command loop work: commands on Ada's order, and a container that has bad days."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from store import (
    Conflict,
    Container,
    ContainerDelegate,
    Document,
    Eq,
    Etag,
    Order,
    OutcomeUnknown,
    Page,
    Query,
    Throttled,
    Write,
)
from tests.engines import Engine
from tests.write_model.examples import CREATE, LATER, NEW_PEN
from write_model import orders
from write_model.commands import Applied, Command, CommandDocument
from write_model.handler import Aggregates, execute
from write_model.orders import Event

Etags = list[Etag | None]
Apply = Callable[[], Awaitable[Etags]]
Fault = Callable[[Apply], Awaitable[Etags]]
"""What becomes of one commit: a fault applies it or not, and answers or raises."""
Orders = Aggregates[orders.Order, Event]

ID = "order:ada:1"
_numbers = itertools.count()


def command(
    decide: Callable[..., list[Event]], id: str | None = None, /, **arguments: Any
) -> Command[orders.Order, Event]:
    """A command on Ada's order. `order`, `given`, `actor`, `expected_version` and `traceparent` are its own."""
    names = ("given", "actor", "expected_version", "traceparent")
    own = {name: arguments.pop(name) for name in names if name in arguments}
    return Command(
        decide=decide,
        aggregate_id=arguments.pop("order", ID),
        partition="ada",
        arguments=arguments,
        id=id or f"command-{next(_numbers)}",
        at=LATER,
        **own,
    )


def create(id: str | None = None, /, **changed: Any) -> Command[orders.Order, Event]:
    """Begin Ada's order: two pens, version 1."""
    return command(orders.create, id, **{**CREATE, "id": changed.get("order", ID), **changed})


def add_pen(id: str | None = None, /, **own: Any) -> Command[orders.Order, Event]:
    """One pen more: whoever is applied twice is counted twice."""
    return command(orders.add_item, id, item=NEW_PEN._replace(quantity=1), **own)


def pens(state: orders.Order) -> int:
    """How many pens are in the order."""
    return sum(item.quantity for item in state.items if item.sku == "pen")


def desk(container: Container) -> Orders:
    """The write side of a process of its own, which knows nothing yet."""
    return Aggregates(orders.MODEL, container)


async def open_orders(engine: Engine) -> Container:
    """The container for orders."""
    return (await engine.open([orders.CONTAINER])).container(orders.CONTAINER.name)


async def begun(container: Container) -> Orders:
    """A process that has just created Ada's order, and so knows it."""
    aggregates = desk(container)
    await execute(aggregates, create())
    return aggregates


async def stored_order(container: Container) -> orders.Order:
    """The order as it is in the store."""
    document = await container.read("ada", ID)
    assert document is not None
    return document.decode(orders.Order)


async def stored_commands(container: Container) -> list[CommandDocument[Event]]:
    """The commands on Ada's order, in the order of their versions."""
    where = (Eq("kind", "command"), Eq("orderId", ID))
    page = await container.query(Query("ada", where, (Order("version"),), limit=1000))
    return [document.decode(orders.MODEL.command) for document in page.documents]


async def applied(aggregates: Orders, *commands: Command[orders.Order, Event]) -> list[Applied[orders.Order]]:
    """The outcomes of commands given one after another."""
    return [await execute(aggregates, command) for command in commands]


async def lost(apply: Apply) -> Etags:
    """The commit is applied, and the answer lost."""
    await apply()
    raise OutcomeUnknown("the answer was lost")


async def dropped(apply: Apply) -> Etags:
    """The commit is lost on its way, and nobody knows."""
    raise OutcomeUnknown("the request was lost")


async def busy(apply: Apply) -> Etags:
    """The store has no time."""
    raise Throttled("busy", retry_after=0)


async def beaten(apply: Apply) -> Etags:
    """Another process was faster."""
    raise Conflict(1, "changed")


async def well(apply: Apply) -> Etags:
    """All goes well."""
    return await apply()


class BadDays(ContainerDelegate):
    """The container behind it, which counts requests, and does to the next commits what the faults say.

    Each request lets other tasks run first, as a request over a network would.
    """

    def __init__(self, behind: Container, faults: Iterable[Fault] = ()) -> None:
        super().__init__(behind)
        self.requests: list[tuple[str, ...]] = []
        self._faults = iter(faults)

    async def _request(self, *what: str) -> None:
        self.requests.append(what)
        await asyncio.sleep(0)

    async def read(self, partition: str, id: str) -> Document | None:
        await self._request("read", id)
        return await super().read(partition, id)

    async def query(self, query: Query) -> Page:
        await self._request("query")
        return await super().query(query)

    async def commit(self, partition: str, writes: Sequence[Write]) -> Etags:
        await self._request("commit", *(write.id for write in writes))
        return await next(self._faults, well)(lambda: self.inner.commit(partition, writes))
