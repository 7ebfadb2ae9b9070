"""Where the gateway keeps its documents in SQLite, so that all servers read the same rows by the same statements.

The one place here that knows it.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

BY_ID_SQL = "SELECT CAST(body AS BLOB) FROM c_customer_views WHERE partition = ? AND id = ?"
LIST_SQL = """SELECT CAST(body AS BLOB) FROM c_customer_views
WHERE partition = ? AND json_extract(body, '$.kind') = 'order' AND json_extract(body, '$.createdAt') IS NOT NULL
ORDER BY json_extract(body, '$.createdAt') DESC, id DESC LIMIT 20"""
READ_TABLE = "c_customer_views"
WRITE_TABLE = "c_orders"


def for_peers(path: Path) -> dict[str, str]:
    """The environment by which peers read the rows."""
    return {"ROWS": str(path), "BY_ID_SQL": BY_ID_SQL, "LIST_SQL": LIST_SQL, "WRITE_TABLE": WRITE_TABLE}


def opened(path: str | Path) -> sqlite3.Connection:
    """The file, to be read."""
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)


def copied(path: Path, to: Path) -> Path:
    """A copy of the file, of one moment."""
    with closing(opened(path)) as db:
        db.execute("VACUUM INTO ?", (str(to),))
    with closing(sqlite3.connect(to)) as db:
        db.execute("PRAGMA journal_mode = WAL")
    return to


def sizes(path: Path) -> tuple[int, int]:
    """Bytes of the last command's document and of its order's in the write model."""
    with closing(opened(path)) as db:
        pick = f"SELECT length(CAST(body AS BLOB)) FROM {WRITE_TABLE} WHERE id GLOB ? ORDER BY lsn DESC LIMIT 1"
        command, order = (db.execute(pick, (pattern,)).fetchone()[0] for pattern in ("cmd:*", "order:*"))
    return int(command), int(order)


def count(path: Path) -> int:
    """How many read documents there are by customer."""
    with closing(opened(path)) as db:
        return int(db.execute(f"SELECT count(*) FROM {READ_TABLE}").fetchone()[0])
