from collections.abc import AsyncIterator

import pytest

from tests.gateway.edge import Edge, open_edge


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    """A gateway on a free port, with a store in memory and a projector."""
    async with open_edge() as edge:
        yield edge
