"""The SQL of the engine: tables, indexes, reads, writes and the feed. Values are always bound, never pasted."""

import re
from collections.abc import Iterator
from functools import cache

from store.port import ContainerSpec, Index

_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_LITERAL = re.compile(r"[A-Za-z]+", re.ASCII)

_VERSION = "id, lsn, CAST(body AS BLOB), expires"
_DOCUMENT = f"partition, {_VERSION}"
ALIVE = "(expires IS NULL OR expires > ?)"
_THERE = f"partition = ? AND id = ? AND {ALIVE}"
_UNCHANGED = f"partition = ? AND id = ? AND lsn = ? AND {ALIVE}"


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
    where = f" WHERE {discriminator(index.where)}" if index.where else ""
    return name, f'CREATE INDEX IF NOT EXISTS "{name}" ON {table(spec.name)} ({columns}){where}'


def discriminator(where: tuple[str, str]) -> str:
    """The condition of a partial index; a query that is to use the index must have this very text."""
    path, value = where
    if not _LITERAL.fullmatch(value):
        raise ValueError(f"{value!r} cannot discriminate an index")
    return f"{expression(path)} = '{value}'"


@cache
def expression(path: str) -> str:
    """The SQL expression of a path; the same text in indexes and in queries, so that SQLite sees they match."""
    if path == "id":
        return "id"
    if not _PATH.fullmatch(path):
        raise ValueError(f"{path!r} is not a path")
    return f"json_extract(body, '$.{path}')"


def selected(across: bool) -> str:
    """What a Document is made of; without the partition, if only one is looked into: each column has its price."""
    return _DOCUMENT if across else _VERSION


@cache
def read(container: str) -> str:
    """A document but its partition, by partition, id and time."""
    return f"SELECT {_VERSION} FROM {table(container)} WHERE {_THERE}"


@cache
def find(container: str) -> str:
    """The version of a document, by partition, id and time."""
    return f"SELECT lsn FROM {table(container)} WHERE {_THERE}"


@cache
def upsert(container: str) -> str:
    """Store what was there or not: partition, id, lsn, body, expiry, range."""
    return f"""INSERT INTO {table(container)} (partition, id, lsn, body, expires, range)
        VALUES (?, ?, ?, CAST(? AS TEXT), ?, ?) ON CONFLICT (partition, id)
        DO UPDATE SET lsn = excluded.lsn, body = excluded.body, expires = excluded.expires"""


@cache
def create(container: str) -> str:
    """Store what is not there, or has expired: as `upsert`, and the time."""
    return f"{upsert(container)} WHERE {table(container)}.expires <= ?"


@cache
def replace(container: str) -> str:
    """Store the next version: its lsn, body and expiry, then what `delete` takes."""
    return f"UPDATE {table(container)} SET lsn = ?, body = CAST(? AS TEXT), expires = ? WHERE {_UNCHANGED}"


@cache
def delete(container: str) -> str:
    """Remove a version: partition, id, lsn (as text or number) and the time."""
    return f"DELETE FROM {table(container)} WHERE {_UNCHANGED}"


@cache
def purge(container: str) -> str:
    """Remove what has expired by a time, so many rows at most."""
    name = table(container)
    return f"DELETE FROM {name} WHERE rowid IN (SELECT rowid FROM {name} WHERE expires <= ? LIMIT ?)"


@cache
def count_changes(container: str) -> str:
    """How many documents have changed: in a range, behind a place in the feed, alive at a time."""
    return f"SELECT count(*) FROM {table(container)} WHERE range = ? AND lsn > ? AND {ALIVE}"


@cache
def select_changes(container: str, scope: str) -> str:
    """A page of the feed: of a range or a partition (?1), behind a place (?2), alive at a time (?3), at most ?4 rows.

    But whole commits, so that a cursor never stands in the middle of one.
    """
    name, alive = table(container), ALIVE.replace("?", "?3")
    return f"""SELECT {_DOCUMENT} FROM {name} WHERE {scope} = ?1 AND lsn > ?2 AND lsn <= (
        SELECT max(lsn) FROM (SELECT lsn FROM {name} WHERE {scope} = ?1 AND lsn > ?2 AND {alive}
        ORDER BY lsn LIMIT ?4)) AND {alive} ORDER BY lsn, id"""
