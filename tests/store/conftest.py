"""The engines that the contract suite runs over: another engine is one more entry of ENGINES."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from store import Container, Store
from store.cosmos import connect, open_cosmos, provision
from store.sqlite import open_sqlite
from tests.emulator import Emulator, emulator
from tests.store.notes import CONTAINERS


class SQLiteEngine:
    """One store, and as many open handles on it as a test asks for (on `:memory:` each handle is a store)."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._now = 1_800_000_000.0
        self._open: list[Store] = []

    async def open(self) -> Store:
        """A handle on the store, closed at the end of the test."""
        self._open.append(await open_sqlite(self._path, CONTAINERS, clock=lambda: self._now))
        return self._open[-1]

    async def advance(self, seconds: float) -> None:
        """Let the time that judges expiry pass."""
        self._now += seconds

    async def close(self) -> None:
        for store in self._open:
            await store.close()


class CosmosEngine:
    """An account of the emulator, with the containers provisioned, and handles on it."""

    DATABASE = "tests"

    def __init__(self) -> None:
        self._resources = AsyncExitStack()
        self.server: Emulator | None = None

    async def open(self) -> Store:
        """A handle on the account, closed at the end of the test."""
        if self.server is None:
            self.server = await self._resources.enter_async_context(emulator(partitions=4))
            async with connect(self.server.url, self.server.key) as client:
                await provision(client, self.DATABASE, CONTAINERS)
        store = await open_cosmos(self.server.url, self.server.key, self.DATABASE, CONTAINERS)
        self._resources.push_async_callback(store.close)
        return store

    async def advance(self, seconds: float) -> None:
        """Let the server's time pass."""
        assert self.server
        self.server.advance(seconds)

    async def close(self) -> None:
        await self._resources.aclose()


Engine = SQLiteEngine | CosmosEngine

ENGINES: dict[str, Callable[[Path], Engine]] = {
    "memory": lambda folder: SQLiteEngine(":memory:"),
    "file": lambda folder: SQLiteEngine(str(folder / "store.db")),
    "cosmos": lambda folder: CosmosEngine(),
}
SHARED = ["file", "cosmos"]
"""The engines on which two handles are two views of one store."""


@pytest.fixture(params=ENGINES)
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    engine = ENGINES[request.param](tmp_path)
    yield engine
    await engine.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store's file may be made."""
    return tmp_path / "store.db"


@pytest.fixture
async def store(engine: Engine) -> Store:
    return await engine.open()


@pytest.fixture
async def notes(store: Store) -> Container:
    return store.container("notes")


@pytest.fixture(params=SHARED)
async def two_handles(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Container, Container]]:
    """The container `notes` of one store, opened twice."""
    engine = ENGINES[request.param](tmp_path)
    yield (await engine.open()).container("notes"), (await engine.open()).container("notes")
    await engine.close()
