"""A write model to give commands to, and the read documents made of it: once without a store, once with one."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from projector.dead_letters import DEAD_LETTERS
from projector.leases import LEASES
from projector.orders import PROJECTIONS, Change
from projector.projection import Projection
from projector.worker import drain
from read_model.orders import CUSTOMER_VIEWS, PRODUCT_VIEWS, CustomerView, ProductView
from read_model.serving import GENERATIONS
from store import Document, Start, Store
from tests.engines import Engine
from tests.store.notes import content
from write_model import orders
from write_model.cache import AggregateCache
from write_model.commands import Applied, Command, CommandDocument
from write_model.handler import Aggregates, execute

ADDRESS = orders.Address(name="Ada", line1="Main Street 1", city="Berlin", postal_code="10115", country="DE")
SPECS = (orders.CONTAINER, CUSTOMER_VIEWS, PRODUCT_VIEWS, LEASES, DEAD_LETTERS, GENERATIONS)
PATIENCE_S = 90.0

Decide = Callable[..., list[orders.Event]]
View = CustomerView | ProductView
Views = dict[tuple[str, str], View]
"""Read documents by partition and id."""
Bodies = dict[tuple[str, str, str], Any]
"""Stored documents, decoded, by container, partition and id."""


def order_id(customer: str, number: int | str = 1) -> str:
    return f"order:{customer}:{number}"


def item(sku: str, quantity: int = 1, price: str = "5.00", title: str = "") -> orders.NewItem:
    return orders.NewItem(sku, title or sku.title(), quantity, Decimal(price))


def moment(number: int) -> str:
    return f"2026-01-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z"


def complete(decide: Decide, id: str, order: orders.Order | None, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a decision, with those filled in that a test does not care about."""
    customer = id.split(":")[1]
    known: dict[Decide, dict[str, Any]] = {
        orders.create: {"id": id, "customer_id": customer, "name": customer, "email": "a@example.com"}
        | {"currency": "USD", "shipping_address": ADDRESS},
        orders.set_shipping_address: {"address": ADDRESS},
        orders.set_payment_method: {"method": orders.PaymentMethod.CARD, "reference": None},
        orders.record_payment: {"amount": _total(order), "reference": "P-1"},
        orders.ship: {"carrier": "DHL", "tracking_number": "T-1"},
        orders.cancel: {"reason": "too late"},
    }
    return known.get(decide, {}) | arguments


def _total(order: orders.Order | None) -> Decimal:
    return Decimal(order.total).scaleb(-orders.EXPONENTS[order.currency]) if order else Decimal(1)


class Ledger:
    """The write model without a store: `changes` is its uncoalesced feed."""

    def __init__(self) -> None:
        self.orders: dict[str, orders.Order] = {}
        self.changes: list[Change] = []
        self._ticks = itertools.count()

    def give(self, decide: Decide, id: str, *, at: str | None = None, actor: str | None = None, **more: Any) -> None:
        tick = next(self._ticks)
        order = self.orders.get(id)
        at = at or moment(tick)
        events = decide(order, **complete(decide, id, order, more), at=at)
        for event in events:
            order = orders.evolve(order, event)
        assert order is not None
        document = CommandDocument(
            f"cmd:{tick}", decide.__name__, "fingerprint", id, order.version, tuple(events), at, actor
        )
        self.orders[id] = order
        self.changes += [document, order] if events else [document]


def project(changes: Iterable[Change], onto: Views | None = None) -> Views:
    """The read documents of both projections after `changes`, folded one by one onto others."""
    views = dict(onto or {})
    for change in changes:
        for projection in PROJECTIONS:
            _project_one(projection, change, views)
    return views


def _project_one(projection: Projection[Any, Any], change: Change, views: Views) -> None:
    for route in projection.route(change):
        known = {id: views[route.partition, id] for id in route.wanted if (route.partition, id) in views}
        for view in projection.project(change, route.partition, known):
            views[route.partition, view.id] = view


class World:
    """A store, and a write model in it whose commands come one second after another."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.aggregates = Aggregates(orders.MODEL, store.container(orders.CONTAINER.name), AggregateCache())
        self._ticks = itertools.count()

    async def give(
        self,
        decide: Decide,
        id: str,
        *,
        at: str | None = None,
        command_id: str | None = None,
        actor: str | None = None,
        expected_version: int | None = None,
        **arguments: Any,
    ) -> Applied[orders.Order]:
        """Execute a command. Raises Refused."""
        tick = next(self._ticks)
        customer = id.split(":")[1]
        arguments = complete(decide, id, await self.order(id), arguments)
        return await execute(
            self.aggregates,
            Command(
                decide=decide,
                aggregate_id=id,
                partition=customer,
                arguments=arguments,
                id=command_id or f"c{tick}",
                at=at or moment(tick),
                expected_version=expected_version,
                actor=actor,
            ),
        )

    async def submitted(self, id: str, *items: orders.NewItem) -> None:
        """Create and submit an order."""
        await self.give(orders.create, id, items=items or (item("tea"),))
        await self.give(orders.submit, id)

    async def order(self, id: str) -> orders.Order | None:
        found = await self.aggregates.container.read(id.split(":")[1], id)
        return found.decode(orders.Order) if found else None

    async def drain(self) -> None:
        await drain(self.store, PROJECTIONS)

    async def feed(self) -> list[Document]:
        """The write documents as they are now, in feed order."""
        return await documents(self.store, orders.CONTAINER.name)

    async def views(self) -> Bodies:
        """All read documents."""
        return await bodies(self.store, CUSTOMER_VIEWS.name, PRODUCT_VIEWS.name)


async def documents(store: Store, container: str) -> list[Document]:
    """All that is in a container, in feed order by range."""
    found: list[Document] = []
    for range_ in await store.container(container).feed_ranges():
        after: str | Start = Start.BEGINNING
        while (page := await store.container(container).changes(range_, after, 1000)).documents:
            found += page.documents
            after = page.cursor
    return found


async def bodies(store: Store, *containers: str) -> Bodies:
    """All that is in some containers, decoded, with the partition key in it, where only some engines keep it."""
    return {
        (name, document.partition, document.id): content(document) | {spec.partition_key: document.partition}
        for name in containers
        for spec in [store.container(name).spec]
        for document in await documents(store, name)
    }


async def open_world(engine: Engine) -> World:
    return World(await engine.open(SPECS))


@asynccontextmanager
async def running(*loops: Callable[[], Any]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Endless loops as tasks while in the context; a loop that died raises what it died of at the end."""
    tasks: list[asyncio.Task[None]] = [asyncio.create_task(loop()) for loop in loops]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


async def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition, which may be a coroutine function."""
    pause = 0.002
    async with asyncio.timeout(PATIENCE_S):
        while True:
            held = condition()
            if await held if asyncio.iscoroutine(held) else held:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.1)  # a condition may be work, which is not to be in the way of what it waits for
