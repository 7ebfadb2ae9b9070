from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.projector.world import World, open_world


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A world in memory: fast, and one thing after another."""
    async with open_world() as world:
        yield world


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "store.db")


@pytest.fixture
async def file_world(path: str) -> AsyncIterator[World]:
    """A world in a file: commits take their time, so that others come between."""
    async with open_world(path) as world:
        yield world
