"""`gateway export` and `gateway import` as a person runs them, and as they are killed."""

import asyncio
import contextlib
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from gateway.wiring import CONTAINERS
from store import Create, Store, open_store
from tests.emulator import Emulator, emulator
from tests.emulator.faults import Fault, Faults, Rule
from tests.engines import Engine, opened
from tests.gateway.moving import documents, export, forged, is_complete, kept, lines, order_line, shop
from tests.gateway.processes import gateway
from tests.projector.world import World, item, open_world, order_id, until
from write_model import orders

MANY = 30_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "orders.jsonl"


async def run(*arguments: str | Path) -> tuple[int | None, str, str]:
    """Exit code and both streams of a command."""
    async with gateway(*map(str, arguments)) as process:
        out, err = await process.communicate()
    assert "Traceback" not in err.decode()
    return process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def provisioned(name: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Engine, str]]:
    """An empty store on that engine, and its URL; the environment says what else it takes."""
    async with opened(name) as engine:
        settings = await engine.provisioned(CONTAINERS)
        for setting, value in settings.items():
            monkeypatch.setenv(setting.upper(), value)
        yield engine, settings["store_url"]


@pytest.mark.parametrize(("there", "here"), [("file", "cosmos"), ("cosmos", "file")])
async def test_a_store_is_moved_by_one_command_each(
    there: str, here: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with provisioned(there, monkeypatch) as (source, from_), provisioned(here, monkeypatch) as (target, to):
        was, becomes = await open_world(source), await open_world(target)
        await shop(was)
        await was.drain()
        code, out, err = await run("export", file, "--store", from_)
        assert (code, out) == (0, f"{file}: 33 documents (24 command, 9 order)\n")
        assert "exporting" in err
        code, out, err = await run("import", file, "--store", to)
        assert (code, out) == (0, f"{to}: 33 documents (24 command, 9 order)\n")
        assert "33/33 100%" in err
        code, out, _ = await run("import", file, "--store", to)
        assert (code, out) == (0, f"{to}: 33 documents (24 command, 9 order), 33 of them were there\n")
        assert await kept(becomes) == await kept(was)
        await becomes.drain()
        assert await becomes.views() == await was.views()
        sold = order_id("customer-1", "sold")
        assert (await becomes.give(orders.submit, sold, command_id="x")).replayed
        assert (await becomes.give(orders.ship, sold)).state.version == 4


# ---------------------------------------------------------------------------------------------------- killed


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """While in the context nobody can write to that SQLite store."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")


def count(path: Path) -> int:
    """How many documents there are in the write container of a SQLite store."""
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path)) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'c_orders'").fetchone():
            return 0
        ((number,),) = db.execute("SELECT count(*) FROM c_orders").fetchall()
        return int(number)


def size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


async def fill(path: Path) -> None:
    """A SQLite store with so many documents that moving them takes a while."""
    store: Store = await open_store(f"sqlite:///{path}", CONTAINERS)
    container = store.container(orders.CONTAINER.name)
    ids = [f"order:{number}" for number in range(MANY)]
    await asyncio.gather(
        *(
            container.commit(f"c{start % 7}", [Create(id, {"id": id, "kind": "order"}) for id in ids[start:][:100]])
            for start in range(0, MANY, 100)
        )
    )
    await store.close()


async def test_an_export_that_is_killed_in_the_middle_continues(tmp_path: Path, file: Path) -> None:
    await fill(tmp_path / "store.db")
    url, part = f"sqlite:///{tmp_path}/store.db", Path(f"{file}.part")
    killed = 0
    while killed < 3 and not is_complete(file):
        before = size(part)
        async with gateway("export", str(file), "--store", url) as process:
            await until(lambda: size(part) > before + 1_000 or is_complete(file))  # noqa: B023
            process.send_signal(signal.SIGKILL)
            await process.wait()
            killed += 1
    if not is_complete(file):
        code, out, err = await run("export", file, "--store", url)
        assert (code, out) == (0, f"{file}: 30,000 documents (30,000 order)\n"), err
    assert len(documents(file)) == MANY
    assert lines(file)[-1]["documents"] == MANY


async def test_an_import_that_is_killed_in_the_middle_continues(tmp_path: Path, file: Path) -> None:
    forged(file, *(order_line(number, partition=f"c{number % 50}") for number in range(MANY)))
    path = tmp_path / "store.db"
    async with gateway("import", str(file), "--store", f"sqlite:///{path}") as process:
        await until(lambda: count(path))
        with locked(path):
            there = count(path)
            process.send_signal(signal.SIGKILL)
            await process.wait()
    assert there
    code, out, err = await run("import", file, "--store", f"sqlite:///{path}")
    assert (code, out.startswith(f"sqlite:///{path}: 30,000 documents (30,000 order)")) == (0, True), err
    assert count(path) == MANY


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Emulator]:
    """An account, which the environment names and which is provisioned."""
    async with emulator(partitions=2) as server:
        monkeypatch.setenv("STORE_URL", server.url)
        monkeypatch.setenv("COSMOS_KEY", server.key)
        assert (await run("provision"))[0] == 0
        yield server


@asynccontextmanager
async def on(server: Emulator) -> AsyncIterator[World]:
    store = await open_store(server.url, CONTAINERS, key=server.key)
    try:
        yield World(store)
    finally:
        await store.close()


class Stall(Faults):
    """Answers so many requests of a kind, and leaves whoever makes the next without an answer."""

    def __init__(self, kind: str, answered: int) -> None:
        super().__init__()
        self.kind = kind
        self.left = answered
        self.reached = False

    def take(self, fault: Fault, kind: str, container: str | None) -> Rule | None:
        if fault != "delay" or kind != self.kind or container != orders.CONTAINER.name:
            return None
        self.left -= 1
        self.reached = self.left < 0
        return Rule("delay", times=1, seconds=3600.0) if self.reached else None


async def ended(
    server: Emulator, how: signal.Signals, kind: str, answered: int, *arguments: str | Path
) -> tuple[int | None, str]:
    """Run a command until it waits for an answer in the middle of its work, and end it; its code and what it said."""
    stall = server.faults = Stall(kind, answered)
    async with gateway(*map(str, arguments)) as process:
        await until(lambda: stall.reached)
        process.send_signal(how)
        _, err = await process.communicate()
    server.faults = Faults()
    return process.returncode, err.decode()


@pytest.mark.parametrize("feeds", [0, 2])
async def test_an_export_from_cosmos_that_is_killed_continues(server: Emulator, file: Path, feeds: int) -> None:
    async with on(server) as world:
        await shop(world)
        await ended(server, signal.SIGKILL, "feed", feeds, "export", file)
        await world.give(orders.add_item, order_id("customer-1", "begun"), item=item("cup"))
        code, _, err = await run("export", file)
        assert code == 0, err
        there = await kept(world)
    assert {(partition, id) for _, partition, id in there} == documents(file).keys()
    assert documents(file)["customer-1", order_id("customer-1", "begun")]["version"] == 2


@pytest.mark.parametrize("batches", [0, 5])
async def test_an_import_into_cosmos_that_is_killed_continues(server: Emulator, file: Path, batches: int) -> None:
    async with on(server) as target, opened("memory") as engine:
        source = await open_world(engine)
        await shop(source)
        await export(source, file)
        await ended(server, signal.SIGKILL, "batch", batches, "import", file)
        code, out, err = await run("import", file)
        assert (code, out.startswith(f"{server.url}: 33 documents (24 command, 9 order)")) == (0, True), err
        assert await kept(target) == await kept(source)


async def test_a_service_that_throttles_is_waited_for(server: Emulator, file: Path) -> None:
    async with on(server) as world:
        await shop(world)
        server.faults.throttle(5, kind="feed")
        assert (await run("export", file))[0] == 0
        server.faults.throttle(20, kind="batch")
        server.faults.drop("after", 3, kind="batch")
        assert (await run("import", file))[0] == 0


@pytest.mark.parametrize(("command", "kind"), [("export", "feed"), ("import", "batch")])
async def test_an_interrupted_command_says_that_it_may_be_run_again(
    server: Emulator, file: Path, command: str, kind: str
) -> None:
    if command == "import":
        forged(file, order_line())
    code, said = await ended(server, signal.SIGINT, kind, 0, command, file)
    assert (code, said.splitlines()[-1]) == (130, "Interrupted; run it again to continue.")
    assert (await run(command, file))[0] == 0


# ---------------------------------------------------------------------------------------------------- told


async def test_a_store_that_does_not_exist_is_not_made_by_an_export(tmp_path: Path, file: Path) -> None:
    url = f"sqlite:///{tmp_path}/no.db"
    told = f"gateway: {url} does not exist, so there is nothing to export\n"
    assert await run("export", file, "--store", url) == (1, "", told)
    assert not is_complete(tmp_path / "no.db")


async def test_what_is_wrong_with_a_file_is_told_in_a_sentence(tmp_path: Path, file: Path) -> None:
    forged(file, header={"format": "another", "version": 1, "container": "orders"})
    code, out, err = await run("import", file, "--store", f"sqlite:///{tmp_path}/store.db")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == f"gateway: {file} is not an export of this program"


async def test_a_file_is_named_even_if_its_name_looks_like_markup(tmp_path: Path) -> None:
    path = tmp_path / "[red]x[/red]"
    code, _, err = await run("import", path, "--store", f"sqlite:///{tmp_path}/store.db")
    assert (code, err.splitlines()[-1]) == (1, f"gateway: {path} does not exist")
