"""The SQL of the engine: tables, indexes, and queries compiled from data. Values are always bound, never pasted."""

import re
from collections.abc import Callable, Iterator
from functools import cache

from store.port import Condition, ContainerSpec, Contains, Eq, In, Index, Order, Prefix, Query, Range, Scalar

_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_LITERAL = re.compile(r"[A-Za-z]+", re.ASCII)

Bind = Callable[[Scalar], str]
"""Binds a value and returns its place-holder."""

COLUMNS = "partition, id, lsn, CAST(body AS BLOB), expires"
ALIVE = "(expires IS NULL OR expires > :now)"


def table(container: str) -> str:
    """The table that keeps a container."""
    if not _NAME.fullmatch(container):
        raise ValueError(f"{container!r} cannot name a container")
    return f"c_{container}"


def create_table(spec: ContainerSpec) -> Iterator[str]:
    """The statements that make a container's table with the indexes of its feed and its expiry."""
    name = table(spec.name)
    yield f"""CREATE TABLE IF NOT EXISTS {name} (
        partition TEXT NOT NULL, id TEXT NOT NULL, lsn INTEGER NOT NULL, range INTEGER NOT NULL,
        expires REAL, body TEXT NOT NULL, UNIQUE (partition, id)) STRICT"""
    yield f"CREATE INDEX IF NOT EXISTS feed_{spec.name} ON {name} (range, lsn)"
    yield f"CREATE INDEX IF NOT EXISTS partition_feed_{spec.name} ON {name} (partition, lsn)"
    yield f"CREATE INDEX IF NOT EXISTS expiry_{spec.name} ON {name} (expires) WHERE expires IS NOT NULL"


def create_index(spec: ContainerSpec, index: Index) -> tuple[str, str]:
    """The name of an expression index, which tells its definition, and the statement that makes it."""
    kind = f" {'='.join(index.where)}" if index.where else ""
    name = f"query_{spec.name}{' across' if index.across else ''}{kind}: {', '.join(index.equal + index.paths)}"
    scope = [] if index.across else ["partition"]
    columns = ", ".join([*scope, *map(expression, index.equal + index.paths), "id"])
    where = f" WHERE {_discriminator(index.where)}" if index.where else ""
    return name, f'CREATE INDEX IF NOT EXISTS "{name}" ON {table(spec.name)} ({columns}){where}'


def _discriminator(where: tuple[str, str]) -> str:
    path, value = where
    if not _LITERAL.fullmatch(value):
        raise ValueError(f"{value!r} cannot discriminate an index")
    return f"{expression(path)} = '{value}'"


def expression(path: str) -> str:
    """The SQL expression of a path; the same text in indexes and in queries, so that SQLite sees they match."""
    if path == "id":
        return "id"
    if not _PATH.fullmatch(path):
        raise ValueError(f"{path!r} is not a path")
    return f"json_extract(body, '$.{path}')"


def _binder(values: dict[str, Scalar]) -> Bind:
    def bind(value: Scalar) -> str:
        name = f"v{len(values)}"
        values[name] = value
        return f":{name}"

    return bind


def compile_count(spec: ContainerSpec, where: tuple[Condition, ...], now: float) -> tuple[str, dict[str, Scalar]]:
    """The SELECT that counts the documents which meet the conditions, and the values to bind."""
    values: dict[str, Scalar] = {"now": now}
    bind = _binder(values)
    terms = [ALIVE, *(_condition(condition, bind) for condition in where)]
    return f"SELECT count(*) FROM {table(spec.name)} WHERE {' AND '.join(terms)}", values


def compile_query(spec: ContainerSpec, query: Query, now: float) -> tuple[str, dict[str, Scalar]]:
    """One SELECT for `query`, fetching one row more than the page holds, and the values to bind."""
    values: dict[str, Scalar] = {"now": now, "limit": query.limit + 1}
    bind = _binder(values)
    terms = [ALIVE]
    if query.partition is not None:
        terms.append(f"partition = {bind(query.partition)}")
    discriminators = {index.where for index in spec.indexes if index.where}
    for condition in query.where:
        # A partial index serves only a query whose text has its condition; the text comes from the specification.
        if isinstance(condition, Eq) and (condition.path, condition.value) in discriminators:
            terms.append(_discriminator((condition.path, str(condition.value))))
        else:
            terms.append(_condition(condition, bind))
    terms += [f"{expression(order.path)} IS NOT NULL" for order in query.order_by if order.path != "id"]
    keys = _keys(query.order_by)
    if query.after is not None:
        terms.append(_after(keys, query.after, bind))
    order_by = ", ".join(f"{key} {'DESC' if descending else 'ASC'}" for key, descending in keys)
    sql = f"SELECT {COLUMNS} FROM {table(spec.name)} WHERE {' AND '.join(terms)} ORDER BY {order_by} LIMIT :limit"
    return sql, values


def _condition(condition: Condition, bind: Bind) -> str:
    path = expression(condition.path) if not isinstance(condition, Contains) else ""
    match condition:
        case Eq(value=value):
            return f"{path} = {bind(value)}"
        case In(values=values):
            return f"{path} IN ({', '.join(map(bind, values))})"
        case Range(low=low, high=high):
            # To SQLite every number is below every text: the open side ends where the other type begins.
            sides = [f"{path} >= {bind(low)}"] if low is not None else []
            sides += [f"{path} < {bind(high)}"] if high is not None else []
            sides += [f"{path} >= ''"] if low is None and isinstance(high, str) else []
            sides += [f"{path} < ''"] if high is None and isinstance(low, int | float) else []
            return " AND ".join(sides) or "TRUE"
        case Prefix(value=value):
            return f"{path} >= {bind(value)} AND substr({path}, 1, {bind(len(value))}) = {bind(value)}"
        case Contains(path=array, value=value):
            expression(array)  # checks the path
            element = f"SELECT 1 FROM json_each(body, '$.{array}') AS element WHERE element.value = {bind(value)}"
            return f"json_type(body, '$.{array}') = 'array' AND EXISTS ({element})"


def _keys(order_by: tuple[Order, ...]) -> list[tuple[str, bool]]:
    keys = [(expression(order.path), order.descending) for order in order_by]
    keys.append(("id", order_by[-1].descending if order_by else False))
    return keys


def _after(keys: list[tuple[str, bool]], after: tuple[Scalar, ...], bind: Bind) -> str:
    """The documents strictly behind `after`: a row comparison where all directions agree, else its expansion."""
    names = [bind(value) for value in after]
    columns = [key for key, _ in keys]
    if len({descending for _, descending in keys}) == 1:
        comparison = "<" if keys[0][1] else ">"
        # SQLite does not see that the row comparison bounds the first column, so it is told.
        bound = f"{columns[0]} {comparison}= {names[0]}"
        return f"{bound} AND ({', '.join(columns)}) {comparison} ({', '.join(names)})"
    alternatives = []
    for position, (column, descending) in enumerate(keys):
        equal = [f"{columns[i]} = {names[i]}" for i in range(position)]
        alternatives.append(" AND ".join([*equal, f"{column} {'<' if descending else '>'} {names[position]}"]))
    return f"({' OR '.join(f'({alternative})' for alternative in alternatives)})"


@cache
def count_changes(container: str) -> str:
    """How many documents of a range have changed behind a place in the feed."""
    return f"SELECT count(*) FROM {table(container)} WHERE range = :scope AND lsn > :after AND {ALIVE}"


@cache
def select_changes(container: str, scope_column: str) -> str:
    """A page of the feed: whole commits only, so that a cursor never stands in the middle of one."""
    name = table(container)
    return f"""SELECT {COLUMNS} FROM {name} WHERE {scope_column} = :scope AND lsn > :after AND lsn <= (
        SELECT max(lsn) FROM (SELECT lsn FROM {name} WHERE {scope_column} = :scope AND lsn > :after AND {ALIVE}
        ORDER BY lsn LIMIT :limit)) AND {ALIVE} ORDER BY lsn, id"""
