"""The engines that the contract suite runs over: another engine is one more entry of ENGINES."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from store import Container, Store
from store.sqlite import open_sqlite
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


Engine = SQLiteEngine

ENGINES: dict[str, Callable[[Path], Engine]] = {
    "memory": lambda folder: SQLiteEngine(":memory:"),
    "file": lambda folder: SQLiteEngine(str(folder / "store.db")),
}
SHARED = ["file"]
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
