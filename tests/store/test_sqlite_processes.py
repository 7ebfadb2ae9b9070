"""Several processes on one SQLite file, and one that is killed in the middle of its work."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from store import Container, Partition, Query, Start
from store.sqlite import SQLiteStore, open_sqlite
from tests.store import child
from tests.store.notes import CONTAINERS, HANGS_AFTER, content, follow, follow_all, keep

ROOT = Path(__file__).parents[2]


class Child:
    """A running `tests.store.child`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        """The next thing that it said; "" when it has ended."""
        assert self.process.stdout
        async with asyncio.timeout(HANGS_AFTER):
            return (await self.process.stdout.readline()).decode().strip()

    async def rest(self) -> list[str]:
        """All that it said until it ended."""
        assert self.process.stdout
        async with asyncio.timeout(HANGS_AFTER):
            return (await self.process.stdout.read()).decode().split()


@asynccontextmanager
async def running(mode: str, path: Path, owner: str, number: int) -> AsyncIterator[Child]:
    arguments = ("-m", child.__name__, mode, str(path), owner, str(number))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE, limit=2**24
    )
    try:
        yield Child(process)
    finally:
        if process.returncode is None and not process.stdout.at_eof():  # type: ignore[union-attr]
            process.kill()
        await process.communicate()


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SQLiteStore]:
    store = await open_sqlite(str(path), CONTAINERS)
    yield store
    await store.close()


async def test_commits_of_another_process_wake_who_waits_here(notes: Container, path: Path) -> None:
    found: list[str] = []
    cursor = (await notes.changes(Partition("shared"), Start.NOW)).cursor
    seen = await notes.wait_for_changes(0, 0)
    async with running("write", path, "bob", 20):
        while len(found) < 20:
            async with asyncio.timeout(HANGS_AFTER):
                seen = await notes.wait_for_changes(seen, 2 * HANGS_AFTER)
            documents, cursor = await follow(notes, Partition("shared"), cursor)
            found += [document.id for document in documents]
    assert found == [f"bob{number:04}" for number in range(20)]


async def test_commits_made_here_wake_who_waits_in_another_process(notes: Container, path: Path) -> None:
    async with running("listen", path, "ada", 20) as listener:
        assert await listener.line() == "listening"
        for number in range(20):
            await keep(notes, "ada", f"n{number:02}")
        assert await listener.rest() == [f"n{number:02}" for number in range(20)]


async def test_the_commits_of_several_processes_interleave_without_loss(notes: Container, path: Path) -> None:
    async with running("write", path, "ada", 100) as one, running("write", path, "bob", 100) as other:
        for number in range(100):
            await keep(notes, "shared", f"eve{number:04}")
        assert (len(await one.rest()), len(await other.rest())) == (100, 100)
    feed = [document.id for document in (await follow(notes, Partition("shared")))[0]]
    for owner in ("ada", "bob", "eve"):
        assert [id for id in feed if id.startswith(owner)] == [f"{owner}{number:04}" for number in range(100)]
    assert len(feed) == 300


async def test_of_two_processes_that_replace_one_document_neither_overwrites_the_other(
    notes: Container, path: Path
) -> None:
    await keep(notes, "ada", "total", total=0)
    async with running("add", path, "ada", 60) as one, running("add", path, "ada", 60) as other:
        totals = [*(await one.rest()), *(await other.rest())]
    assert sorted(map(int, totals)) == list(range(1, 121))


async def test_processes_that_make_the_same_new_store_at_once_share_it(path: Path) -> None:
    async with AsyncExitStack() as stack:
        owners = [f"o{number}-" for number in range(8)]
        children = [await stack.enter_async_context(running("write", path, owner, 3)) for owner in owners]
        said = [await child.rest() for child in children]
        assert said == [[f"{owner}{number:04}" for number in range(3)] for owner in owners]
    store = await open_sqlite(str(path), CONTAINERS)
    documents = await follow_all(store.container("notes"))
    await store.close()
    assert len(documents) == 24


async def test_what_was_acknowledged_survives_the_kill_of_its_process_and_batches_are_whole(path: Path) -> None:
    acknowledged: list[str] = []
    for round in range(3):
        async with running("load", path, f"r{round}-", 8) as loader:
            acknowledged += [f"r{round}-{await loader.line()}" for _ in range(200)]
            os.kill(loader.process.pid, signal.SIGKILL)
            acknowledged += [f"r{round}-{line}" for line in await loader.rest()]
            assert await loader.process.wait() == -signal.SIGKILL

    store = await open_sqlite(str(path), CONTAINERS)
    documents = await follow_all(store.container("notes"))
    await store.close()
    batches: dict[str, set[str]] = {}
    for document in documents:
        batch, part = document.id.rsplit("-", 1)
        batches.setdefault(f"{document.partition.split('-')[0]}-{batch}", set()).add(part)
        assert content(document)["id"] == document.id
    assert set(acknowledged) <= set(batches)
    assert all(parts == {"a", "b", "c"} for parts in batches.values())


async def test_a_store_goes_on_after_another_process_was_killed(notes: Container, path: Path) -> None:
    async with running("load", path, "bob", 8) as loader:
        await loader.line()
        os.kill(loader.process.pid, signal.SIGKILL)
    await keep(notes, "ada", "n1")
    assert [document.id for document in (await notes.query(Query("ada"))).documents] == ["n1"]
