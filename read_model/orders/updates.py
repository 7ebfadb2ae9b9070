"""Orders as they change: frames that begin with a snapshot and go on with what is newer than what was sent."""

from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from read_model.live import Drained, Live, Replaced, versions
from read_model.orders.queries import ALL_ORDERS, OrderFilter, orders
from read_model.orders.views import (
    CUSTOMER_VIEWS,
    PRODUCT_VIEWS,
    CustomerOrderSummary,
    CustomerView,
    OrderView,
    ProductSales,
    customer_of,
    sales_id,
    summary_id,
)
from read_model.paging import Window
from store import Document, Store


class FrameKind(StrEnum):
    """What a frame means to the list that a client keeps."""

    SNAPSHOT = "SNAPSHOT"
    CHANGES = "CHANGES"
    RESET = "RESET"


@dataclass(frozen=True, slots=True)
class OrdersFrame:
    """A step of a list of orders; `cursor` names how far it goes."""

    kind: FrameKind
    orders: list[OrderView]
    cursor: str


def order_updates(store: Store, live: Live, order_id: str, since: int) -> AsyncGenerator[OrderView, None]:
    """The order now, unless it is at version `since` or older, then every newer version."""
    return versions(store, live, CUSTOMER_VIEWS.name, customer_of(order_id), order_id, OrderView, since)


def summary_updates(store: Store, live: Live, customer_id: str) -> AsyncGenerator[CustomerOrderSummary, None]:
    """The customer's summary now, then every newer version."""
    id = summary_id(customer_id)
    return versions(store, live, CUSTOMER_VIEWS.name, customer_id, id, CustomerOrderSummary)


def sales_updates(store: Store, live: Live, sku: str) -> AsyncGenerator[ProductSales, None]:
    """The product's sales now, then every newer version."""
    return versions(store, live, PRODUCT_VIEWS.name, sku, sales_id(sku), ProductSales)


async def order_frames(
    store: Store,
    live: Live,
    customer_id: str | None,
    where: OrderFilter = ALL_ORDERS,
    snapshot: int = 50,
    after: str | None = None,
) -> AsyncGenerator[OrdersFrame, None]:
    """A customer's orders, or everybody's: the newest `snapshot` of them, then changes, the latest of each order.

    An order that was sent and no longer passes `where` is sent once more as it is now. RESET, and a new SNAPSHOT, come
    when the read model was built anew, and to a stream that is asked to continue `after` a cursor: continuity across
    connections is not kept here.
    """
    seen: dict[str, int] = {}
    listed: set[str] = set()

    def newer(changed: Iterable[OrderView]) -> list[OrderView]:
        """Of the changed orders, those to send: newer than what was seen, and in the list or leaving it."""
        fresh = []
        for order in changed:
            if order.version <= seen.get(order.id, 0):
                continue
            seen[order.id] = order.version
            matches = where.matches(order)
            if matches or order.id in listed:
                fresh.append(order)
            (listed.add if matches else listed.discard)(order.id)
        return fresh

    with live.watch(CUSTOMER_VIEWS.name, customer_id) as watch:
        begun_anew = after is not None
        while True:
            if begun_anew:
                yield OrdersFrame(FrameKind.RESET, [], live.position(CUSTOMER_VIEWS.name))
            cursor = live.position(CUSTOMER_VIEWS.name)
            rows = await orders(store, customer_id, where, window=Window(snapshot)) if snapshot else None
            yield OrdersFrame(FrameKind.SNAPSHOT, newer(rows.nodes if rows else ()), cursor)
            try:
                with suppress(Replaced):
                    while True:
                        cursor = live.position(CUSTOMER_VIEWS.name)
                        if fresh := newer(_order_views(await watch.next())):
                            yield OrdersFrame(FrameKind.CHANGES, fresh, cursor)
            except Drained:
                yield OrdersFrame(FrameKind.CHANGES, [], live.position(CUSTOMER_VIEWS.name))
                return
            begun_anew = True
            seen.clear()
            listed.clear()


def _order_views(documents: Iterable[Document]) -> Iterator[OrderView]:
    for document in documents:
        view: CustomerView = document.decode(CustomerView)
        if isinstance(view, OrderView):
            yield view
