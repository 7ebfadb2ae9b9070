"""A query as Cosmos SQL with parameters. Values are always parameters; only checked paths become text."""

import re
from collections.abc import Callable
from typing import Any

from store.port import Condition, Contains, Document, Eq, In, Order, Prefix, Query, Range, Scalar

_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)

Bind = Callable[[Scalar], str]
Parameters = list[dict[str, object]]


def _binder(parameters: Parameters) -> Bind:
    def bind(value: Scalar) -> str:
        name = f"@p{len(parameters)}"
        parameters.append({"name": name, "value": value})
        return name

    return bind


def compile_count(where: tuple[Condition, ...]) -> tuple[str, Parameters]:
    """The text and the parameters of the query that counts the documents which meet the conditions."""
    parameters: Parameters = []
    bind = _binder(parameters)
    terms = " AND ".join(_condition(condition, bind) for condition in where)
    return f"SELECT VALUE COUNT(1) FROM c{' WHERE ' if terms else ''}{terms}", parameters


def compile_query(query: Query) -> tuple[str, Parameters]:
    """The text and the parameters of `query`, without its partition and its limit, which go beside the text."""
    parameters: Parameters = []
    bind = _binder(parameters)
    terms = [_condition(condition, bind) for condition in query.where]
    ordered = [expression(order.path) for order in query.order_by if order.path != "id"]
    terms += [f"IS_DEFINED({path}) AND NOT IS_NULL({path})" for path in ordered]
    keys = _keys(query.order_by)
    if query.after is not None:
        terms.append(_after(keys, query.after, bind))
    where = f" WHERE {' AND '.join(terms)}" if terms else ""
    order_by = ", ".join(f"{key} {'DESC' if descending else 'ASC'}" for key, descending in keys)
    return f"SELECT * FROM c{where} ORDER BY {order_by}", parameters


def in_order(query: Query, documents: list[Document]) -> list[Document]:
    """The documents of several answers to `query` in the order that it asks for."""
    ordered = sorted(documents, key=lambda document: document.id, reverse=_last_descending(query.order_by))
    for order in reversed(query.order_by):
        ordered.sort(key=lambda document: _sortable(document, order.path), reverse=order.descending)
    return ordered


def _sortable(document: Document, path: str) -> tuple[bool, Any]:
    """The value at a path; numbers come before strings."""
    value: Any = document.body
    for name in path.split("."):
        value = value[name]
    return isinstance(value, str), value


def expression(path: str) -> str:
    """A path as c["a"]["b"]. Raises ValueError for what is no path."""
    if not _PATH.fullmatch(path):
        raise ValueError(f"{path!r} is not a path")
    return "c" + "".join(f'["{name}"]' for name in path.split("."))


def _condition(condition: Condition, bind: Bind) -> str:
    path = expression(condition.path)
    match condition:
        case Eq(value=value):
            return f"{path} = {bind(value)}"
        case In(values=()):
            return "false"
        case In(values=values):
            return f"{path} IN ({', '.join(map(bind, values))})"
        case Range(low=low, high=high):
            sides = [f"{path} >= {bind(low)}"] if low is not None else []
            sides += [f"{path} < {bind(high)}"] if high is not None else []
            return " AND ".join(sides) or "true"
        case Prefix(value=value):
            return f"STARTSWITH({path}, {bind(value)})"
        case Contains(value=value):
            return f"ARRAY_CONTAINS({path}, {bind(value)})"


def _keys(order_by: tuple[Order, ...]) -> list[tuple[str, bool]]:
    """The paths that make the order total: those asked for, and the id unless it is one of them."""
    keys = [(expression(order.path), order.descending) for order in order_by]
    if not any(order.path == "id" for order in order_by):
        keys.append((expression("id"), _last_descending(order_by)))
    return keys


def _last_descending(order_by: tuple[Order, ...]) -> bool:
    return order_by[-1].descending if order_by else False


def _after(keys: list[tuple[str, bool]], after: tuple[Scalar, ...], bind: Bind) -> str:
    """The documents strictly behind `after`, one alternative for each key; the first key bounds them all."""
    names = [bind(value) for value in after[: len(keys)]]
    alternatives = []
    for position, (key, descending) in enumerate(keys):
        equal = [f"{keys[before][0]} = {names[before]}" for before in range(position)]
        alternatives.append(" AND ".join([*equal, f"{key} {'<' if descending else '>'} {names[position]}"]))
    first, descending = keys[0]
    bound = f"{first} {'<=' if descending else '>='} {names[0]}"
    return f"{bound} AND ({' OR '.join(f'({alternative})' for alternative in alternatives)})"
