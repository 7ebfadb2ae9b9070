"""Queries compiled to SQL. What is asked alike has the same text, which SQLite then has prepared already."""

from collections.abc import Sequence
from typing import Any

from store.port import Condition, ContainerSpec, Contains, Eq, In, Order, Prefix, Query, Range, Scalar
from store.sqlite.sql import ALIVE, COLUMNS, discriminator, expression, table

Statement = tuple[str, list[Any]]
"""A text with place-holders, and the values to bind to them, in order."""


def compile_count(spec: ContainerSpec, where: Sequence[Condition], now: float) -> Statement:
    """The SELECT that counts the documents which meet the conditions."""
    values: list[Any] = []
    terms = [_condition(condition, values) for condition in where]
    return f"SELECT count(*) FROM {table(spec.name)} WHERE {' AND '.join([*terms, ALIVE])}", [*values, now]


def compile_query(spec: ContainerSpec, query: Query, now: float) -> Statement:
    """One SELECT for `query`, fetching one row more than the page holds."""
    values: list[Any] = []
    terms = []
    if query.partition is not None:
        terms.append("partition = ?")
        values.append(query.partition)
    for condition in query.where:
        if isinstance(condition, Eq) and _discriminates(spec, condition):
            terms.append(discriminator((condition.path, str(condition.value))))
        else:
            terms.append(_condition(condition, values))
    terms += [f"{expression(order.path)} IS NOT NULL" for order in query.order_by if order.path != "id"]
    keys = _keys(query.order_by)
    if query.after is not None:
        terms.append(_after(keys, query.after, values))
    terms.append(ALIVE)
    values += now, query.limit + 1
    order_by = ", ".join([f"{key} DESC" if descending else key for key, descending in keys])
    return f"SELECT {COLUMNS} FROM {table(spec.name)} WHERE {' AND '.join(terms)} ORDER BY {order_by} LIMIT ?", values


def _discriminates(spec: ContainerSpec, condition: Eq) -> bool:
    """A partial index serves only a query whose text has its condition; the text comes from the specification."""
    return any(index.where == (condition.path, condition.value) for index in spec.indexes)


def _condition(condition: Condition, values: list[Any]) -> str:
    """The text of a condition, whose values are added to `values`."""
    path = expression(condition.path)
    match condition:
        case Eq(value=value):
            values.append(value)
            return f"{path} = ?"
        case In(values=several):
            values += several
            return f"{path} IN ({', '.join('?' * len(several))})"
        case Range(low=low, high=high):
            # To SQLite every number is below every text: the open side ends where the other type begins.
            sides = [f"{path} >= ?"] if low is not None else []
            sides += [f"{path} < ?"] if high is not None else []
            sides += [f"{path} >= ''"] if low is None and isinstance(high, str) else []
            sides += [f"{path} < ''"] if high is None and isinstance(low, int | float) else []
            values += [side for side in (low, high) if side is not None]
            return " AND ".join(sides) or "TRUE"
        case Prefix(value=value):
            values += value, len(value), value
            return f"{path} >= ? AND substr({path}, 1, ?) = ?"
        case Contains(path=array, value=value):
            values.append(value)
            element = f"SELECT 1 FROM json_each(body, '$.{array}') AS element WHERE element.value = ?"
            return f"json_type(body, '$.{array}') = 'array' AND EXISTS ({element})"


def _keys(order_by: tuple[Order, ...]) -> list[tuple[str, bool]]:
    """The columns that make the order total, and whether they descend."""
    keys = [(expression(order.path), order.descending) for order in order_by]
    keys.append(("id", order_by[-1].descending if order_by else False))
    return keys


def _after(keys: list[tuple[str, bool]], after: tuple[Scalar, ...], values: list[Any]) -> str:
    """The documents strictly behind `after`: a row comparison where all directions agree, else its expansion."""
    columns = [key for key, _ in keys]
    if len({descending for _, descending in keys}) == 1:
        comparison = "<" if keys[0][1] else ">"
        values += after[0], *after
        # SQLite does not see that the row comparison bounds the first column, so it is told.
        bound = f"{columns[0]} {comparison}= ?"
        return f"{bound} AND ({', '.join(columns)}) {comparison} ({', '.join('?' * len(columns))})"
    alternatives = []
    for position, (column, descending) in enumerate(keys):
        equal = [f"{key} = ?" for key in columns[:position]]
        alternatives.append(" AND ".join([*equal, f"{column} {'<' if descending else '>'} ?"]))
        values += after[: position + 1]
    return f"({' OR '.join(f'({alternative})' for alternative in alternatives)})"
