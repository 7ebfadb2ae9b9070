"""Queries compiled to SQL. What is asked alike has the same text, made once, which SQLite then has prepared already."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from store.port import Condition, ContainerSpec, Contains, Eq, In, Order, Prefix, Query, Range, Scalar
from store.sqlite.sql import ALIVE, discriminator, expression, selected, table

Statement = tuple[str, list[Any]]
"""A text with place-holders, and the values to bind to them, in order."""
Shape = tuple[Any, ...]
"""What the text of a condition depends on: its class, its path, and what else matters of its values."""

TEXTS = 200


class Queries:
    """Compiles what one container is asked."""

    def __init__(self, spec: ContainerSpec) -> None:
        self._table = table(spec.name)
        self._discriminated = {index.where for index in spec.indexes if index.where}
        self._text = lru_cache(TEXTS)(self._select)

    def count(self, where: Sequence[Condition], now: float) -> Statement:
        """The SELECT that counts the documents which meet the conditions."""
        values: list[Any] = []
        terms = [_term(_taken(condition, values)) for condition in where]
        return f"SELECT count(*) FROM {self._table} WHERE {' AND '.join([*terms, ALIVE])}", [*values, now]

    def page(self, query: Query, now: float) -> Statement:
        """One SELECT for `query`, fetching one row more than the page holds; see `selected` for its columns."""
        values: list[Any] = [] if query.partition is None else [query.partition]
        shapes = tuple([self._shape(condition, values) for condition in query.where])
        after = query.after
        if after is not None:
            values += _placed(query.order_by, after)
        values += now, query.limit + 1
        return self._text(query.partition is None, shapes, query.order_by, after is not None), values

    def _shape(self, condition: Condition, values: list[Any]) -> Shape:
        """A partial index serves only a query whose text has its condition; the text comes from the specification."""
        if type(condition) is Eq and (condition.path, condition.value) in self._discriminated:
            return (None, condition.path, condition.value)
        return _taken(condition, values)

    def _select(self, across: bool, shapes: tuple[Shape, ...], order_by: tuple[Order, ...], placed: bool) -> str:
        terms = [] if across else ["partition = ?"]
        terms += map(_term, shapes)
        terms += [f"{expression(order.path)} IS NOT NULL" for order in order_by if order.path != "id"]
        keys = _keys(order_by)
        if placed:
            terms.append(_after(keys))
        terms.append(ALIVE)
        order = ", ".join([f"{key} DESC" if descending else key for key, descending in keys])
        return f"SELECT {selected(across)} FROM {self._table} WHERE {' AND '.join(terms)} ORDER BY {order} LIMIT ?"


def _taken(condition: Condition, values: list[Any]) -> Shape:
    """The shape of a condition, whose values are added to `values`."""
    match condition:
        case Eq(value=value):
            values.append(value)
            return (Eq, condition.path)
        case In(values=several):
            values += several
            return (In, condition.path, len(several))
        case Range(low=low, high=high):
            values += [side for side in (low, high) if side is not None]
            return (
                Range,
                condition.path,
                low is not None,
                high is not None,
                isinstance(low if high is None else high, str),
            )
        case Prefix(value=value):
            values += value, len(value), value
            return (Prefix, condition.path)
        case Contains(value=value):
            values.append(value)
            return (Contains, condition.path)


def _term(shape: Shape) -> str:
    """The text of a condition."""
    kind, name, *more = shape
    path = expression(name)
    if kind is None:
        return discriminator((name, more[0]))
    if kind is Eq:
        return f"{path} = ?"
    if kind is In:
        return f"{path} IN ({', '.join('?' * more[0])})"
    if kind is Prefix:
        return f"{path} >= ? AND substr({path}, 1, ?) = ?"
    if kind is Contains:
        element = f"SELECT 1 FROM json_each(body, '$.{name}') AS element WHERE element.value = ?"
        return f"json_type(body, '$.{name}') = 'array' AND EXISTS ({element})"
    # To SQLite every number is below every text: the open side of a range ends where the other type begins.
    low, high, text = more
    sides = [f"{path} >= ?"] if low else []
    sides += [f"{path} < ?"] if high else []
    sides += [f"{path} >= ''"] if high and not low and text else []
    sides += [f"{path} < ''"] if low and not high and not text else []
    return " AND ".join(sides) or "TRUE"


def _keys(order_by: tuple[Order, ...]) -> list[tuple[str, bool]]:
    """The columns that make the order total, and whether they descend."""
    keys = [(expression(order.path), order.descending) for order in order_by]
    keys.append(("id", order_by[-1].descending if order_by else False))
    return keys


def _after(keys: list[tuple[str, bool]]) -> str:
    """The documents strictly behind a place: a row comparison where all directions agree, else its expansion."""
    columns = [key for key, _ in keys]
    if len({descending for _, descending in keys}) == 1:
        comparison = "<" if keys[0][1] else ">"
        # SQLite does not see that the row comparison bounds the first column, so it is told.
        bound = f"{columns[0]} {comparison}= ?"
        return f"{bound} AND ({', '.join(columns)}) {comparison} ({', '.join('?' * len(columns))})"
    alternatives = []
    for position, (column, descending) in enumerate(keys):
        equal = [f"{key} = ?" for key in columns[:position]]
        alternatives.append(" AND ".join([*equal, f"{column} {'<' if descending else '>'} ?"]))
    return f"({' OR '.join(f'({alternative})' for alternative in alternatives)})"


def _placed(order_by: tuple[Order, ...], after: tuple[Scalar, ...]) -> list[Scalar]:
    """What is bound to the text of `_after`."""
    if len({order.descending for order in order_by}) < 2:
        return [after[0], *after]
    return [value for position in range(len(after)) for value in after[: position + 1]]
