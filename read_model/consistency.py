"""Consistency tokens: a reader names a write, and waits, bounded, until the read model shows it.

A token is (order, version), never a position in a feed, so any projection and any store can be asked about it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass

import msgspec

from read_model.live import Live
from read_model.orders.views import (
    CUSTOMER_VIEWS,
    PRODUCT_VIEWS,
    OrderStatus,
    OrderView,
    Sale,
    customer_of,
    sale_id,
)
from read_model.questions import BadQuestion, Lagging
from read_model.signing import Signer
from read_model.versions import V, versions
from store import Store

MAX_TOKENS = 100
MAX_WAIT_MS = 10_000
_ABOUT = b"consistency token"

Parked = Callable[[str, str], Awaitable[bool]]
"""Whether a key of a read container cannot be projected at the moment."""


@dataclass(frozen=True, slots=True)
class Consistency:
    """What an answer must show: the writes in `after`, waited for at most `wait_ms`; else an error, if `insist`."""

    after: Sequence[str]
    wait_ms: int = 1000
    insist: bool = False


class Waits:
    """How many wait at a time, at most; 0: any number."""

    def __init__(self, at_most: int = 0) -> None:
        self._at_most = at_most
        self.held = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """One more, while in the context. Raises Lagging if there are too many."""
        if 0 < self._at_most <= self.held:
            raise Lagging("TOO_MANY_WAITING", "too many wait for the read model at the moment; try again")
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1


def token(signer: Signer, order_id: str, version: int) -> str:
    """The consistency token of an order at a version."""
    return signer.seal(_ABOUT, msgspec.json.encode((order_id, version)))


async def wait_for(
    store: Store,
    live: Live,
    parked: Parked,
    wanted: Consistency,
    sku: str | None = None,
    *,
    max_wait_ms: int = MAX_WAIT_MS,
    waits: Waits | None = None,
    readable: Callable[[str], bool] = lambda order_id: True,
) -> bool:
    """Wait until the order views show the writes in `wanted` (and the sales of `sku`, if given); whether they do.

    Woken by the live view, not by polling; a write that cannot be projected is not waited for. Raises BadQuestion for
    what is no token of ours, and for one of an order that is not `readable` to who presents it: both alike. Raises
    Lagging when a write is not shown and the caller insists, or too many wait.
    """
    if len(wanted.after) > MAX_TOKENS:
        raise BadQuestion("BAD_CONSISTENCY", f"at most {MAX_TOKENS} tokens can be waited for")
    if not 0 <= wanted.wait_ms <= max_wait_ms:
        raise BadQuestion("BAD_CONSISTENCY", f"`waitMs` must be 0 to {max_wait_ms}")
    writes = [_opened(live.signer, token) for token in wanted.after]
    if not all(readable(order_id) for order_id, _ in writes):
        raise _no_token()
    until = asyncio.get_running_loop().time() + wanted.wait_ms / 1000
    try:
        for order_id, version in writes:
            await _shown(store, live, parked, order_id, version, sku, until, waits or Waits())
    except TimeoutError as late:
        if wanted.insist:
            raise Lagging("READ_MODEL_LAGGING", "the read model does not show that write yet; try again") from late
        return False
    except _CannotBeShown as problem:
        if wanted.insist:
            raise Lagging("READ_MODEL_LAGGING", "the read model cannot show that write at the moment") from problem
        return False
    return True


class _CannotBeShown(Exception):
    pass


async def _shown(
    store: Store,
    live: Live,
    parked: Parked,
    order_id: str,
    version: int,
    sku: str | None,
    until: float,
    waits: Waits,
) -> None:
    """Return when the write is shown. Raises TimeoutError at `until`, though not before it has looked."""

    async def seen(container: str, partition: str, id: str, view: type[V], is_it: Callable[[V], bool]) -> V:
        found = await store.container(container).read(partition, id)
        if found and is_it(now := found.decode(view)):
            return now
        if await parked(container, order_id):
            raise _CannotBeShown
        with waits.one():
            async with aclosing(versions(store, live, container, partition, id, view, until=until)) as views:
                async for newer in views:
                    if is_it(newer):
                        return newer
        raise TimeoutError  # not reached: who waits for a time is not told that the process is to end

    customer_id = customer_of(order_id)
    order = await seen(CUSTOMER_VIEWS.name, customer_id, order_id, OrderView, lambda order: order.version >= version)
    if sku is None or sku not in order.product_ids or order.submitted_at is None:
        return
    # The product's sales are projected on their own: the order's mark there says what they include.
    is_cancelled = order.status is OrderStatus.CANCELLED
    await seen(PRODUCT_VIEWS.name, sku, sale_id(order_id), Sale, lambda mark: mark.cancelled or not is_cancelled)


def _opened(signer: Signer, text: str) -> tuple[str, int]:
    content = signer.open(_ABOUT, text)
    if content is None:
        raise _no_token()
    return _decoder.decode(content)


def _no_token() -> BadQuestion:
    return BadQuestion("BAD_TOKEN", "this is not a consistency token that a command gave out")


_decoder = msgspec.json.Decoder(tuple[str, int])
