"""Keyset paging: a window of an ordered result, with a cursor for each of its rows.

A cursor holds the row's place in the order, not a position or a page: rows inserted meanwhile shift nothing.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Generic, TypeVar

import msgspec

from read_model.questions import BadQuestion
from store import Container, Document, Order, Query, Scalar

T = TypeVar("T")

MAX_PAGE_SIZE = 100
DEFAULT_PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of the result: `first` rows after a cursor, or the `last` rows before one."""

    size: int = DEFAULT_PAGE_SIZE
    cursor: str | None = None
    backward: bool = False

    @classmethod
    def of(cls, first: int | None, after: str | None, last: int | None = None, before: str | None = None) -> "Window":
        """The window that a connection's arguments mean. Raises BadQuestion."""
        if last is None:
            if before is not None:
                raise BadQuestion("BAD_PAGE", "`before` goes with `last`")
            return cls(_size("first", DEFAULT_PAGE_SIZE if first is None else first), after)
        if after is not None or first not in (None, DEFAULT_PAGE_SIZE):
            raise BadQuestion("BAD_PAGE", "ask for `first` rows after a cursor or for the `last` before one, not both")
        return cls(_size("last", last), before, backward=True)


@dataclass(frozen=True, slots=True)
class Rows(Generic[T]):
    """The rows of a window, each with its cursor, in the result's order."""

    nodes: list[T]
    cursors: list[str]
    has_next: bool
    has_previous: bool


async def rows(
    container: Container, query: Query, order: str, window: Window, read: Callable[[Document], tuple[T, Scalar]]
) -> Rows[T]:
    """The window of `query`, which is ordered by one path.

    `order` names the order in cursors, so that a cursor serves only the order it was made for. `read` gives a
    document's row and its value at the ordered path. Raises BadQuestion for a cursor of another order.
    """
    (by,) = query.order_by
    page = await container.query(
        replace(
            query,
            order_by=(Order(by.path, by.descending != window.backward),),
            limit=window.size,
            after=_place(window.cursor, order) if window.cursor is not None else None,
        )
    )
    documents = page.documents[::-1] if window.backward else page.documents
    nodes: list[T] = []
    cursors: list[str] = []
    for document in documents:
        node, value = read(document)
        nodes.append(node)
        cursors.append(_cursor(order, value, document.id))
    beyond = window.cursor is not None
    has_next, has_previous = (beyond, page.more) if window.backward else (page.more, beyond)
    return Rows(nodes, cursors, has_next, has_previous)


def _size(name: str, size: int) -> int:
    if not 1 <= size <= MAX_PAGE_SIZE:
        raise BadQuestion("BAD_PAGE", f"`{name}` must be 1 to {MAX_PAGE_SIZE}")
    return size


def _cursor(order: str, value: Scalar, id: str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((order, value, id))).rstrip(b"=").decode()


def _place(cursor: str, order: str) -> tuple[Scalar, str]:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        made_for, value, id = _decoder.decode(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (UnicodeError, binascii.Error, msgspec.DecodeError) as error:
        raise BadQuestion("BAD_CURSOR", "this is not a cursor that a page gave out") from error
    if made_for != order:
        raise BadQuestion("BAD_CURSOR", "this cursor belongs to another order of the list")
    return value, id


# No number of ours is beyond 2**53, where JSON's are exact; an engine may not even be able to compare with one.
_Whole = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
_decoder = msgspec.json.Decoder(tuple[str, str | _Whole | float, str])
