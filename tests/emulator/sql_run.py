"""Runs a query over items: filter, group, order, project, distinct, then the page that was asked for."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from . import sql_ast as ast
from .errors import bad_request
from .indexing import IndexingPolicy
from .partitions import Item
from .sql_eval import Row, bound, evaluate, group, is_grouped, project
from .sql_index import possible_ids
from .values import UNDEFINED, canonical, dumps, sort_key

MAX_PAGE_BYTES = 4 * 1024 * 1024


View = Callable[[dict[str, Any]], dict[str, Any]]
"""What an item looks like to a query."""


class _Reversed:
    """Sorts the other way round."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key

    def __lt__(self, other: "_Reversed") -> bool:
        return bool(other.key < self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reversed) and bool(self.key == other.key)


@dataclass(slots=True)
class Result:
    """One value of the result, and where it stands in it: its sort key and the number of its item."""

    value: Any
    place: tuple[Any, ...]
    order: list[Any]
    number: int
    size: int


@dataclass(slots=True)
class Page:
    """Values of one page, and what continues behind it (None at the end)."""

    values: list[Any]
    sizes: list[int]
    scanned: int
    scanned_bytes: int
    continuation: dict[str, Any] | None


def check_order(select: ast.Select, policy: IndexingPolicy) -> None:
    """Raise 400 for an ORDER BY that the container's indexes cannot serve."""
    paths = [(ast.path_of(order.expression, select.root), order.descending) for order in select.order_by]
    if not paths or select.group_by:
        return
    found = [(path, descending) for path, descending in paths if path is not None]
    if len(found) < len(paths):
        raise bad_request(
            "Unsupported ORDER BY clause. ORDER BY item expression could not be mapped to a document path."
        )
    if len(found) > 1 and not policy.composite(found):
        raise bad_request(
            "The order by query does not have a corresponding composite index that it can be served from."
        )
    if len(found) == 1 and not policy.indexed(found[0][0]):
        raise bad_request(
            "The index path corresponding to the specified order-by item is excluded. "
            "Order-by item requires a range index to be defined on the corresponding index path."
        )


def number_of(expression: ast.Expression | None, parameters: dict[str, Any], what: str) -> int | None:
    """The value of a TOP, OFFSET or LIMIT."""
    if expression is None:
        return None
    value = evaluate(expression, Row({}, parameters))
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise bad_request(f"The {what} value must be a non-negative integer.")
    return value


def _results(
    select: ast.Select, parameters: dict[str, Any], items: list[Item], view: View, keep_undefined: bool
) -> list[Result]:
    rows: list[tuple[Row, Item | None]] = []
    for item in items:
        found = bound(select, Row({select.root: view(item.body)}, parameters))
        rows += [(row, item) for row in found if select.where is None or evaluate(select.where, row) is True]
    if not select.sources:
        rows = [(Row({}, parameters), None)]
    if is_grouped(select):
        plain = [row for row, _ in rows] or []
        rows = [
            (row if row.parameters else Row(row.names, parameters, row.group), None) for row in group(select, plain)
        ]
    results: list[Result] = []
    for count, (row, source) in enumerate(rows):
        order = [evaluate(part.expression, row) for part in select.order_by]
        if not keep_undefined and any(value is UNDEFINED for value in order):
            continue
        value = project(select, row)
        if value is UNDEFINED:
            continue
        keys = [sort_key(value) for value in order]
        marks = [_Reversed(k) if o.descending else k for k, o in zip(keys, select.order_by, strict=True)]
        number = source.number if source and not select.sources[1:] else count
        last: Any = number if not (select.order_by and select.order_by[-1].descending) else -number
        results.append(Result(value, (*marks, last), order, number, source.size if source else 128))
    return sorted(results, key=lambda result: result.place)


def _distinct(results: list[Result]) -> list[Result]:
    seen: set[str] = set()
    found = []
    for result in results:
        label = canonical(result.value)
        if label not in seen:
            seen.add(label)
            found.append(result)
    return found


def run(
    select: ast.Select,
    parameters: dict[str, Any],
    items: Iterable[Item],
    policy: IndexingPolicy,
    page_size: int,
    continuation: dict[str, Any] | None = None,
    view: View = lambda body: body,
) -> Page:
    """One page of the query over `items`. A continuation is the place of the last value, or a count of them."""
    check_order(select, policy)
    ids = possible_ids(select, parameters)
    candidates = [item for item in items if ids is None or item.id in ids]
    paths = [ast.path_of(part.expression, select.root) for part in select.order_by]
    keep = len(paths) != 1 or paths[0] is None or policy.explicit(paths[0])
    results = _results(select, parameters, candidates, view, keep)
    if select.distinct:
        results = _distinct(results)
    state = continuation or {}
    skip = state.get("skip", number_of(select.offset, parameters, "OFFSET") or 0)
    top, limit = number_of(select.top, parameters, "TOP"), number_of(select.limit, parameters, "LIMIT")
    bounds = [bound for bound in (top, limit) if bound is not None]
    take = state.get("take", min(bounds) if bounds else None)
    if "after" in state:
        results = _behind(results, select, state["after"])
    elif "count" in state:
        results = results[state["count"] :]
    done = state.get("count", 0)
    results = results[skip:]
    done += skip
    if take is not None:
        results = results[:take]
    page: list[Result] = []
    size = 0
    for result in results[:page_size]:
        size += len(dumps(result.value))
        if page and size > MAX_PAGE_BYTES:
            break
        page.append(result)
    following: dict[str, Any] | None = None
    if len(page) < len(results):
        following = {"skip": 0}
        if take is not None:
            following["take"] = take - len(page)
        if page and not (select.distinct or is_grouped(select) or len(select.sources) > 1):
            following["after"] = {"order": [_mark(value) for value in page[-1].order], "number": page[-1].number}
        else:
            following["count"] = done + len(page)
    sizes = [min(r.size, len(dumps(r.value)) + 64) for r in page]
    loaded = sum(item.size for item in candidates)
    return Page([r.value for r in page], sizes, len(candidates), loaded, following)


def _mark(value: Any) -> list[Any]:
    return [] if value is UNDEFINED else [value]


def _behind(results: list[Result], select: ast.Select, after: dict[str, Any]) -> list[Result]:
    """The results behind a place, also when the item that stood there has gone."""
    values = [mark[0] if mark else UNDEFINED for mark in after["order"]]
    keys = [sort_key(value) for value in values]
    marks = [_Reversed(k) if o.descending else k for k, o in zip(keys, select.order_by, strict=True)]
    number = after["number"]
    place = (*marks, -number if select.order_by and select.order_by[-1].descending else number)
    return [result for result in results if result.place > place]
