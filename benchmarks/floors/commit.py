"""The bare group commit: one transaction for the commands of all clients, durable before the next is begun.

    python -m benchmarks.floors.commit FOLDER SECONDS CLIENTS COMMAND_BYTES ORDER_BYTES

For each command one row is inserted, its order's row replaced, and the feed's number raised, as many bytes as the
gateway writes. Prints commands per second.
"""

import itertools
import sqlite3
import sys
import tempfile
import time
import uuid
from pathlib import Path

ORDERS = 1_000
TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE feeds (name TEXT PRIMARY KEY, lsn INTEGER NOT NULL) STRICT;
INSERT INTO feeds VALUES ('orders', 0);
CREATE TABLE orders (
    partition TEXT NOT NULL, id TEXT NOT NULL, lsn INTEGER NOT NULL, body TEXT NOT NULL, UNIQUE (partition, id)
) STRICT;
CREATE INDEX feed ON orders (lsn);
"""
PUT = """INSERT INTO orders VALUES (?, ?, ?, ?)
ON CONFLICT (partition, id) DO UPDATE SET lsn = excluded.lsn, body = excluded.body"""


def rate(folder: Path, seconds: float, clients: int, command: str, order: str) -> float:
    """Commands per second, in so many seconds."""
    db = sqlite3.connect(folder / "floor.db", isolation_level=None)
    db.executescript(TABLES)
    numbers, done, lsn = itertools.cycle(range(ORDERS)), 0, 0
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        db.execute("BEGIN IMMEDIATE")
        for number in itertools.islice(numbers, clients):
            lsn += 1
            partition = f"customer{number:06}"
            db.execute("INSERT INTO orders VALUES (?, ?, ?, ?)", (partition, f"cmd:{uuid.uuid4()}", lsn, command))
            db.execute(PUT, (partition, f"order:{partition}:{uuid.UUID(int=number)}", lsn, order))
            db.execute("UPDATE feeds SET lsn = ? WHERE name = 'orders'", (lsn,))
        db.execute("COMMIT")
        done += clients
    took = time.perf_counter() - started
    db.close()
    return done / took


if __name__ == "__main__":
    parent, seconds, clients, command_bytes, order_bytes = sys.argv[1:]
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        print(rate(Path(folder), float(seconds), int(clients), "c" * int(command_bytes), "o" * int(order_bytes)))
