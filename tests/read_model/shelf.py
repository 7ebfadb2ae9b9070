"""Read documents put into a store by hand, and streams taken from by hand."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from read_model.live import Live
from read_model.orders import CUSTOMER_VIEWS, PRODUCT_VIEWS, CustomerView, Money, OrderEvent, OrderStatus, OrderView
from read_model.serving import Serving
from read_model.signing import Signer
from store import Store, Upsert
from tests.projector.world import PATIENCE_S, moment, order_id, running, until

T = TypeVar("T")
KEY = b"a key that all processes of a test have"


def an_order(
    number: int | str = 1,
    customer: str = "ada",
    *,
    created: int = 0,
    updated: int = 0,
    total: int = 0,
    version: int = 1,
    status: OrderStatus = OrderStatus.DRAFT,
    skus: Sequence[str] = (),
) -> OrderView:
    return OrderView(
        id=order_id(customer, number),
        customer_id=customer,
        customer_name=customer,
        customer_email="a@example.com",
        status=status,
        status_display=status.value,
        version=version,
        items=(),
        item_count=len(skus),
        total=Money(str(total), "JPY"),
        total_minor=total,
        product_ids=tuple(skus),
        created_at=moment(created),
        updated_at=moment(updated),
    )


def an_event(order: OrderView, version: int) -> OrderEvent:
    return OrderEvent(f"event:{order.id}:{version}", order.id, "OrderCreated", version, moment(version), "c", "it was")


async def put(store: Store, *views: CustomerView) -> None:
    for view in views:
        id = view.order_id if isinstance(view, OrderEvent) else view.id
        await store.container(CUSTOMER_VIEWS.name).commit(id.split(":")[1], [Upsert(view.id, view)])


async def handed_out(store: Store, live: Live, *views: CustomerView) -> None:
    """Put views, and wait until the live view has handed them out."""
    before = live.position(CUSTOMER_VIEWS.name)
    await put(store, *views)
    await until(lambda: live.position(CUSTOMER_VIEWS.name) != before)


def live_view(store: Store, *containers: str) -> Live:
    """A live view of some containers, by default of all."""
    names = containers or (CUSTOMER_VIEWS.name, PRODUCT_VIEWS.name)
    return Live(Serving(store, (CUSTOMER_VIEWS, PRODUCT_VIEWS)), names, Signer(KEY))


@asynccontextmanager
async def living(store: Store) -> AsyncIterator[Live]:
    """A live view that has started and is running."""
    live = live_view(store)
    await live.start()
    async with running(*[loop for _, loop in live.loops()]):
        yield live


class Stream(AsyncIterator[T]):
    """An asynchronous generator that gives what comes within patience, and is closed in the end."""

    def __init__(self, inner: AsyncIterator[T]) -> None:
        assert isinstance(inner, AsyncGenerator)
        self.inner: AsyncGenerator[T, None] = inner

    async def __anext__(self) -> T:
        async with asyncio.timeout(PATIENCE_S):
            return await anext(self.inner)

    async def __aenter__(self) -> "Stream[T]":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.inner.aclose()
