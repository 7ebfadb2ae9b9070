"""The container that orders are kept in."""

from collections.abc import AsyncIterator

import pytest

from store import Container, open_store
from write_model import handler, orders


@pytest.fixture
async def container() -> AsyncIterator[Container]:
    """An empty container, in memory."""
    store = await open_store("sqlite:///:memory:", [orders.CONTAINER])
    yield store.container("orders")
    await store.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command loop does not pause between its attempts."""
    monkeypatch.setattr(handler, "PAUSE_S", 0)
