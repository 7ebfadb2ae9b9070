"""The bare replay: all documents of the feed decoded, and as many read documents upserted as a projection makes.

    python -m benchmarks.floors.replay FOLDER FILE

FILE is a store that was projected. The table that is filled has the indexes of the gateway's; a transaction holds a
page, and is durable. Prints microseconds of CPU and seconds for all.
"""

import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import msgspec

from benchmarks.rows import READ_TABLE, WRITE_TABLE, opened

PAGE = 100


def table(source: sqlite3.Connection) -> list[str]:
    """The statements that make the table of read documents with its indexes."""
    made = source.execute("SELECT sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL", (READ_TABLE,))
    return [sql for (sql,) in made.fetchall()]


def replay(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Decode and upsert all, page by page."""
    changes = source.execute(f"SELECT CAST(body AS BLOB) FROM {WRITE_TABLE} ORDER BY lsn")
    (total,) = source.execute(f"SELECT count(*) FROM {WRITE_TABLE}").fetchone()
    rows = source.execute(f"SELECT * FROM {READ_TABLE} ORDER BY lsn").fetchall()
    marks = ", ".join("?" * len(rows[0]))
    put = f"""INSERT INTO {READ_TABLE} VALUES ({marks})
    ON CONFLICT (partition, id) DO UPDATE SET lsn = excluded.lsn, body = excluded.body"""
    written = done = 0
    while page := changes.fetchmany(PAGE):
        done += len(page)
        documents = [msgspec.json.decode(body) for (body,) in page]
        assert all(documents)
        due = len(rows) * done // total
        target.execute("BEGIN IMMEDIATE")
        target.executemany(put, rows[written:due])
        target.execute("COMMIT")
        written = due


def main(parent: str, path: str) -> None:
    """Replay once."""
    with tempfile.TemporaryDirectory(dir=parent) as folder, closing(opened(path)) as source:
        target = sqlite3.connect(Path(folder) / "floor.db", isolation_level=None)
        target.execute("PRAGMA journal_mode = WAL")
        target.execute("PRAGMA synchronous = FULL")
        for statement in table(source):
            target.execute(statement)
        cpu, started = time.process_time(), time.perf_counter()
        replay(source, target)
        print((time.process_time() - cpu) * 1e6, time.perf_counter() - started)
        target.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
