"""SQLite files for the tests: made by the engine, looked into beside it."""

import sqlite3
from pathlib import Path

from store import ContainerSpec
from store.sqlite import open_sqlite
from tests.store.notes import CONTAINERS, keep


async def made(path: Path, specs: tuple[ContainerSpec, ...] = CONTAINERS, documents: int = 10, ranges: int = 4) -> None:
    """A store in `path`, closed again."""
    store = await open_sqlite(str(path), specs, ranges=ranges)
    for number in range(documents):
        await keep(store.container("notes"), "ada", f"n{number}", text="x" * 500)
    await store.close()


def ask(path: Path, statement: str) -> list[tuple[object, ...]]:
    """The rows of `statement` on the file, asked beside the engine."""
    connection = sqlite3.connect(path)
    rows = connection.execute(statement).fetchall()
    connection.commit()
    connection.close()
    return rows
