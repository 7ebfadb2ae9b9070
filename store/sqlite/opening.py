"""The file of a store: opened only if it is ours, or new; its containers made, brought up to date, and dropped."""

import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

from store.errors import StoreUnusable, Unavailable
from store.port import ContainerSpec
from store.sqlite import sql

APPLICATION_ID = 0x43515253  # "CQRS": marks a file as ours
FORMAT = 1
BUSY_MS = 5_000
CACHE_KIB = 32 * 1024
"""Of pages that each connection keeps at most; what is not there is read from the file again."""


def connect(path: str) -> sqlite3.Connection:
    """A connection to the file, whose folder is made if it is missing. Raises StoreUnusable."""
    try:
        if path != ":memory:":
            Path(path).absolute().parent.mkdir(parents=True, exist_ok=True)
        # The writer's connection is used on its thread only, but opened and closed on the loop's.
        db = sqlite3.connect(
            path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        # Behind a savepoint SQLite keeps a copy of each page that is changed: a file for each group of commits.
        db.execute("PRAGMA temp_store = MEMORY")
        return db
    except OSError as error:
        raise StoreUnusable(f"the data folder {str(Path(path).parent)!r} cannot be made: {error.strerror}") from error
    except ValueError as error:
        raise StoreUnusable(f"{path!r} cannot name a file: {error}") from error
    except sqlite3.Error as error:
        raise StoreUnusable(explain(path, error)) from error


def prepare(db: sqlite3.Connection, path: str, specs: Iterable[ContainerSpec], ranges: int) -> tuple[str, int]:
    """Check that the file is ours, or new, before anything is written; make what is missing."""
    _check_identity(db, path)
    _use_wal(db)
    db.execute("PRAGMA synchronous = FULL")
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {FORMAT}")
        db.execute("CREATE TABLE IF NOT EXISTS store (id TEXT NOT NULL, ranges INTEGER NOT NULL) STRICT")
        db.execute("CREATE TABLE IF NOT EXISTS containers (name TEXT PRIMARY KEY, lsn INTEGER NOT NULL) STRICT")
        if not db.execute("SELECT 1 FROM store").fetchone():
            db.execute("INSERT INTO store VALUES (?, ?)", (secrets.token_hex(8), ranges))
        for spec in specs:
            prepare_container(db, spec)
        store_id, ranges = db.execute("SELECT id, ranges FROM store").fetchone()
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return store_id, ranges


def _use_wal(db: sqlite3.Connection) -> None:
    """Switch to WAL; SQLite does not wait by itself for another process that is doing the same."""
    deadline = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def _check_identity(db: sqlite3.Connection, path: str) -> None:
    db.execute("BEGIN")  # one snapshot, for another process may be making the store at this moment
    application = db.execute("PRAGMA application_id").fetchone()[0]
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    version = db.execute("PRAGMA user_version").fetchone()[0]
    db.execute("COMMIT")
    if application != APPLICATION_ID and (application or tables):
        raise StoreUnusable(f"{path!r} is a SQLite file of another program; nothing in it was changed")
    if application == APPLICATION_ID and version != FORMAT:
        raise StoreUnusable(f"{path!r} has format {version}, this program knows format {FORMAT}")


def in_transaction(db: sqlite3.Connection, change: Callable[[sqlite3.Connection], None]) -> None:
    """Change the schema, all of it or nothing. Raises Unavailable."""
    try:
        db.execute("BEGIN IMMEDIATE")
        change(db)
        db.execute("COMMIT")
    except BaseException as error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise Unavailable(f"the store cannot be changed: {error}") from error
        raise


def on_own_connection(path: str, change: Callable[[sqlite3.Connection], None]) -> None:
    """As `in_transaction`, beside the connections that are in use. Raises Unavailable."""
    with closing(connect(path)) as db:
        in_transaction(db, change)


def drop_container(db: sqlite3.Connection, name: str) -> None:
    """Remove a container's table, with its indexes, and what is known of it."""
    db.execute(f"DROP TABLE IF EXISTS {sql.table(name)}")
    db.execute("DELETE FROM containers WHERE name = ?", (name,))


def prepare_container(db: sqlite3.Connection, spec: ContainerSpec) -> None:
    """Make what a container lacks, and drop the indexes that it has no use for any more."""
    for statement in sql.create_table(spec):
        db.execute(statement)
    db.execute("INSERT OR IGNORE INTO containers VALUES (?, 0)", (spec.name,))
    wanted = dict(sql.create_index(spec, index) for index in spec.indexes)
    existing = db.execute(
        "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND name GLOB 'query_*'",
        (sql.table(spec.name),),
    ).fetchall()
    for (name,) in existing:
        if name not in wanted:
            db.execute(f'DROP INDEX "{name}"')
    for statement in wanted.values():
        db.execute(statement)


def explain(path: str, error: sqlite3.Error) -> str:
    """Why the file cannot be used, in a sentence."""
    match error.sqlite_errorcode & 0xFF:
        case sqlite3.SQLITE_NOTADB:
            return f"{path!r} is not a SQLite database; nothing in it was changed"
        case sqlite3.SQLITE_CORRUPT:
            return f"{path!r} is damaged: {error}. Restore it from a backup, or move it away to begin anew"
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return f"{path!r} cannot be opened: is it a folder, or is the folder not writable?"
        case sqlite3.SQLITE_READONLY:
            return f"{path!r} is read-only"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"{path!r} is locked by another program"
        case _:
            return f"{path!r} cannot be used: {error}"
