"""Keyset paging: a window of an ordered result, with a cursor for each of its rows.

A cursor holds the row's place in the order, not a position or a page: rows inserted meanwhile shift nothing.
"""

import base64
import binascii
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from read_model.questions import BadQuestion
from store import Container, Document, Order, Page, Query, Scalar, decoded

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


class PageInfo:
    """Where rows stand in their list."""

    def __init__(self, rows: "Rows[Any]", *, has_next: bool, has_previous: bool) -> None:
        self._rows = rows
        self.has_next_page = has_next
        self.has_previous_page = has_previous

    @property
    def start_cursor(self) -> str | None:
        """The first row's cursor; None without rows."""
        return self._rows.cursor(self._rows.documents[0]) if self._rows.documents else None

    @property
    def end_cursor(self) -> str | None:
        """The last row's cursor; None without rows."""
        return self._rows.cursor(self._rows.documents[-1]) if self._rows.documents else None


@dataclass(frozen=True, slots=True)
class Row(Generic[T]):
    """A row and its cursor."""

    cursor: str
    node: T


class Rows(Generic[T]):
    """The rows of a window in the result's order: documents, of which only what is asked for is decoded."""

    def __init__(self, page: Page, window: Window, view: type[T], order: str, path: str) -> None:
        self.documents = page.documents[::-1] if window.backward else page.documents
        self._window = window
        self._more = page.more
        self._nodes: list[T] | None = None
        self._view = view
        self._order = order
        self._path = path

    @property
    def nodes(self) -> list[T]:
        """The rows. Raises msgspec.ValidationError for a document that is not one of them."""
        if self._nodes is None:
            self._nodes = decoded(self.documents, self._view)
        return self._nodes

    @property
    def page_info(self) -> PageInfo:
        """Where they stand."""
        beyond = self._window.cursor is not None
        has_next, has_previous = (beyond, self._more) if self._window.backward else (self._more, beyond)
        return PageInfo(self, has_next=has_next, has_previous=has_previous)

    @property
    def edges(self) -> list[Row[T]]:
        """The rows with their cursors."""
        return [Row(self.cursor(document), node) for document, node in zip(self.documents, self.nodes, strict=True)]

    def cursor(self, document: Document) -> str:
        """The cursor of a row: its place in the order."""
        value = document.decode(_at(self._path)).value
        return base64.urlsafe_b64encode(msgspec.json.encode((self._order, value, document.id))).rstrip(b"=").decode()


async def rows(container: Container, query: Query, order: str, window: Window, view: type[T]) -> Rows[T]:
    """The window of `query`, which is ordered by one path; each row is decoded to `view`.

    `order` names the order in cursors, so that a cursor serves only the order it was made for. Raises BadQuestion for
    a cursor of another order.
    """
    (by,) = query.order_by
    place = _place(window.cursor, order) if window.cursor is not None else None
    by_or_back = Order(by.path, not by.descending) if window.backward else by
    page = await container.query(Query(query.partition, query.where, (by_or_back,), window.size, place))
    return Rows(page, window, view, order, by.path)


@cache
def _at(path: str) -> type[Any]:
    """Of a document the value at a path."""
    return msgspec.defstruct("At", [("value", Scalar, msgspec.field(name=path))])


def _size(name: str, size: int) -> int:
    if not 1 <= size <= MAX_PAGE_SIZE:
        raise BadQuestion("BAD_PAGE", f"`{name}` must be 1 to {MAX_PAGE_SIZE}")
    return size


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
