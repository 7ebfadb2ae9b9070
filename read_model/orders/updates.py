"""Orders as they change: frames that begin with a snapshot and go on with what is newer than what was sent."""

from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from read_model.live import Live, Position
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
from read_model.versions import versions
from read_model.watches import MOST_KEYS, Batch, Drained, Lost, Share
from store import Document, Store

ORDER_PREFIX = "order:"


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


# What each of them yields may be sent on instead by `share`, once for all who are to have the same.


def order_updates(
    store: Store, live: Live, order_id: str, since: int, share: Share | None = None
) -> AsyncGenerator[OrderView, None]:
    """The order now, unless it is at version `since` or older, then every newer version."""
    customer_id = customer_of(order_id)
    return versions(store, live, CUSTOMER_VIEWS.name, customer_id, order_id, OrderView, since, share=share)


def summary_updates(
    store: Store, live: Live, customer_id: str, share: Share | None = None
) -> AsyncGenerator[CustomerOrderSummary, None]:
    """The customer's summary now, then every newer version."""
    id = summary_id(customer_id)
    return versions(store, live, CUSTOMER_VIEWS.name, customer_id, id, CustomerOrderSummary, share=share)


def sales_updates(store: Store, live: Live, sku: str, share: Share | None = None) -> AsyncGenerator[ProductSales, None]:
    """The product's sales now, then every newer version."""
    return versions(store, live, PRODUCT_VIEWS.name, sku, sales_id(sku), ProductSales, share=share)


async def order_frames(
    store: Store,
    live: Live,
    customer_id: str | None,
    where: OrderFilter = ALL_ORDERS,
    snapshot: int = 50,
    after: str | None = None,
    share: Share | None = None,
) -> AsyncGenerator[OrdersFrame, None]:
    """A customer's orders, or everybody's: the newest `snapshot` of them, then changes, the latest of each order.

    An order that was sent and no longer passes `where` is sent once more as it is now. With `after`, the cursor of a
    frame of the same list, the stream continues behind that frame, on any gateway; an order that no longer passes is
    then sent whether or not it was before. RESET and a new SNAPSHOT come for a cursor that cannot be continued, when
    the read model was built anew, and when more orders changed than a subscriber can be behind.
    """
    about = msgspec.json.encode(("orders", customer_id, where))
    sent = _Sent(where)
    # What a filter lets through depends on what was sent.
    hand = share(about) if share and where == ALL_ORDERS else None

    def frame(kind: FrameKind, orders: list[OrderView]) -> OrdersFrame:
        position = live.position(CUSTOMER_VIEWS.name, customer_id)
        return OrdersFrame(kind, orders, live.signer.seal(about, msgspec.json.encode(position)))

    def direct(batch: Batch) -> bool:
        changed = batch.made(OrderView, lambda: list(_orders(batch.documents)))
        if not changed:
            return True
        if not (sent.misses(changed) and hand and hand(batch, lambda: frame(FrameKind.CHANGES, changed))):
            return False
        sent.note(changed)
        return True

    with live.watch(CUSTOMER_VIEWS.name, customer_id, prefix=ORDER_PREFIX) as watch:
        position = _opened(live.signer.open(about, after)) if after is not None else None
        begun_anew = after is not None and position is None
        while True:
            try:
                if position:
                    sent.unknown = True
                    changed = await live.changed_since(position, CUSTOMER_VIEWS.name, customer_id, ORDER_PREFIX)
                    await live.reach(CUSTOMER_VIEWS.name, customer_id)
                    if fresh := sent.newer(_orders([*changed.values(), *watch.take()])):
                        yield frame(FrameKind.CHANGES, fresh)
                else:
                    if begun_anew:
                        yield frame(FrameKind.RESET, [])
                    rows = (await orders(store, customer_id, where, window=Window(snapshot))).nodes if snapshot else []
                    await live.reach(CUSTOMER_VIEWS.name, customer_id)
                    fresh = sent.newer([*rows, *_orders(watch.take())])
                    yield frame(FrameKind.SNAPSHOT, [order for order in fresh if where.matches(order)])
                    del rows
                while True:
                    del fresh  # who waits keeps nothing of what it was sent
                    if fresh := sent.newer(_orders(await watch.next(direct if hand else None))):
                        yield frame(FrameKind.CHANGES, fresh)
            except Lost:
                position, begun_anew, sent = None, True, _Sent(where)
            except Drained:
                yield frame(FrameKind.CHANGES, [])
                return


class _Sent:
    """The versions that a subscriber has; `unknown`: beside what it has from an earlier connection."""

    def __init__(self, where: OrderFilter) -> None:
        self.unknown = False
        self._where = where
        self._seen: dict[str, int] = {}
        self._listed: set[str] = set()

    def misses(self, changed: Sequence[OrderView]) -> bool:
        """Whether each of the changed orders is new to the subscriber, and they are not too many to keep in mind."""
        for order in changed:
            if order.version <= self._seen.get(order.id, 0):
                return False
        return len(self._seen) + len(changed) <= MOST_KEYS

    def note(self, changed: Sequence[OrderView]) -> None:
        """Take note of orders that were sent, all that have changed: a list without a filter."""
        for order in changed:
            self._seen[order.id] = order.version

    def newer(self, changed: Iterable[OrderView]) -> list[OrderView]:
        """Of the changed orders, the latest of each to send: new to the subscriber, and in its list or leaving it.

        Raises Lost if there are too many to keep in mind.
        """
        fresh: dict[str, OrderView] = {}
        for order in changed:
            known = self._seen.get(order.id)
            if known is not None and order.version <= known:
                continue
            self._seen[order.id] = order.version
            matches = self._where.matches(order)
            if matches or order.id in self._listed or (self.unknown and known is None):
                fresh.pop(order.id, None)
                fresh[order.id] = order
            (self._listed.add if matches else self._listed.discard)(order.id)
        if len(self._seen) > MOST_KEYS:
            raise Lost
        return list(fresh.values())


def _opened(content: bytes | None) -> Position | None:
    """The position in a cursor that was opened; None for one of another program."""
    if content is not None:
        with suppress(msgspec.DecodeError):
            return _position.decode(content)
    return None


def _orders(documents: Iterable[Document]) -> Iterator[OrderView]:
    for document in documents:
        view: CustomerView = document.decode(CustomerView)
        if isinstance(view, OrderView):
            yield view


_position = msgspec.json.Decoder(Position)
