from collections.abc import AsyncIterator

import pytest

from tests.engines import Engine
from tests.schema.api import Api, open_api


@pytest.fixture
async def api(engine: Engine) -> AsyncIterator[Api]:
    """A gateway whose read model moves when the test says so."""
    async with open_api(engine, projector=False) as api:
        yield api


@pytest.fixture
async def live(engine: Engine) -> AsyncIterator[Api]:
    """A gateway that projects by itself."""
    async with open_api(engine, projector=True) as api:
        yield api
