from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from store import Container, Store
from tests.engines import ENGINES, Engine, opened
from tests.store.notes import CONTAINERS


@pytest.fixture(params=ENGINES)
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    """What the contract suite runs over."""
    async with opened(request.param) as engine:
        yield engine


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store's file may be made."""
    return tmp_path / "store.db"


@pytest.fixture
async def store(engine: Engine) -> Store:
    return await engine.open(CONTAINERS)


@pytest.fixture
async def notes(store: Store) -> Container:
    return store.container("notes")


@pytest.fixture
async def two_handles(shared_engine: Engine) -> tuple[Container, Container]:
    """The container `notes` of one store, opened twice."""
    one, other = [await shared_engine.open(CONTAINERS) for _ in range(2)]
    return one.container("notes"), other.container("notes")
