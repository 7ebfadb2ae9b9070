"""Consistency tokens: a reader names a write, and waits, bounded, until the read model shows it.

A token is (order, version), never a position in a feed, so any projection and any store can be asked about it.
"""

import asyncio
import base64
import binascii
from collections.abc import Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass

import msgspec

from read_model.live import Live, versions
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
from store import Store

MAX_TOKENS = 100
MAX_WAIT_MS = 10_000


@dataclass(frozen=True, slots=True)
class Consistency:
    """What an answer must show: the writes in `after`, waited for at most `wait_ms`; else an error, if `insist`."""

    after: Sequence[str]
    wait_ms: int = 1000
    insist: bool = False


def token(order_id: str, version: int) -> str:
    """The consistency token of an order at a version."""
    return base64.urlsafe_b64encode(msgspec.json.encode((order_id, version))).rstrip(b"=").decode()


async def wait_for(store: Store, live: Live, wanted: Consistency, sku: str | None = None) -> None:
    """Return when the order views show the writes in `wanted` (and the sales of `sku`, if given), or time is up.

    Woken by the live view, not by polling. Raises BadQuestion for what is no token, and Lagging when time is up and
    the caller insists.
    """
    if len(wanted.after) > MAX_TOKENS:
        raise BadQuestion("BAD_CONSISTENCY", f"at most {MAX_TOKENS} tokens can be waited for")
    if not 0 <= wanted.wait_ms <= MAX_WAIT_MS:
        raise BadQuestion("BAD_CONSISTENCY", f"`waitMs` must be 0 to {MAX_WAIT_MS}")
    writes = [_parse(token) for token in wanted.after]
    until = asyncio.get_running_loop().time() + wanted.wait_ms / 1000
    try:
        for order_id, version in writes:
            await _shown(store, live, order_id, version, sku, until)
    except TimeoutError as late:
        if wanted.insist:
            raise Lagging("READ_MODEL_LAGGING", "the read model does not show that write yet; try again") from late


async def _shown(store: Store, live: Live, order_id: str, version: int, sku: str | None, until: float) -> None:
    """Return when the write is shown. Raises TimeoutError at `until`, though not before it has looked."""
    customer_id = customer_of(order_id)
    views = versions(store, live, CUSTOMER_VIEWS.name, customer_id, order_id, OrderView, version - 1, until)
    async with aclosing(views):
        order = await anext(views)
    if sku is None or sku not in order.product_ids or order.submitted_at is None:
        return
    # The product's sales are projected on their own: the order's mark there says what they include.
    sales = versions(store, live, PRODUCT_VIEWS.name, sku, sale_id(order_id), Sale, until=until)
    async with aclosing(sales) as marks:
        async for mark in marks:
            if mark.cancelled or order.status is not OrderStatus.CANCELLED:
                return


def _parse(text: str) -> tuple[str, int]:
    with suppress(UnicodeEncodeError, binascii.Error, msgspec.DecodeError):
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        order_id, version = _decoder.decode(base64.b64decode(padded, altchars=b"-_", validate=True))
        if order_id.startswith("order:") and order_id.count(":") == 2:
            return order_id, version
    raise BadQuestion("BAD_TOKEN", "this is not a consistency token that a command gave out")


_decoder = msgspec.json.Decoder(tuple[str, int])
