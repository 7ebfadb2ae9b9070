import pytest

from store import Container
from tests.engines import Engine
from tests.write_model.desk import open_orders
from write_model import handler


@pytest.fixture
async def container(engine: Engine) -> Container:
    """An empty container for orders."""
    return await open_orders(engine)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command loop does not pause between its attempts."""
    monkeypatch.setattr(handler, "PAUSE_S", 0)
