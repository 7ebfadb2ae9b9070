from collections.abc import AsyncIterator

import pytest

from tests.gateway.conftest import edge as edge
from tests.gateway.edge import Edge, open_edge
from tests.schema.conftest import api as api
from tests.security.issuer import Issuer, open_issuer


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    """An issuer of tokens."""
    async with open_issuer() as issuer:
        yield issuer


@pytest.fixture
async def guarded(issuer: Issuer) -> AsyncIterator[Edge]:
    """A gateway that takes that issuer's tokens."""
    async with open_edge(**issuer.settings) as edge:
        yield edge
