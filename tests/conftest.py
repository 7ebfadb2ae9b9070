"""Engines, gateways on them, and worlds in them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

import pytest

from gateway.wiring import CONTAINERS
from tests.engines import QUICK, SHARED, Engine, opened
from tests.projector.world import World, open_world


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loops that a test runs on: of a module that names some, each of its `LOOPS`."""
    module = item.getparent(pytest.Module)
    assert module
    return getattr(module.obj, "LOOPS", {"asyncio": asyncio.new_event_loop})


@pytest.fixture(params=QUICK)
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    """Where one handle is opened."""
    async with opened(request.param) as engine:
        yield engine


@pytest.fixture(params=SHARED)
async def shared_engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    """Where several handles are opened, also by several processes."""
    async with opened(request.param) as engine:
        yield engine


@pytest.fixture
async def store_url(shared_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> str:
    """The store of all gateways of this test, those in processes of their own too: the environment names it."""
    settings = await shared_engine.provisioned(CONTAINERS)
    for name, value in settings.items():
        monkeypatch.setenv(name.upper(), value)
    return settings["store_url"]


@pytest.fixture
async def world(engine: Engine) -> World:
    """A world where, in memory, one thing happens after another."""
    return await open_world(engine)


@pytest.fixture
async def shared_world(shared_engine: Engine) -> World:
    """A world where commits take their time, so that others come between."""
    return await open_world(shared_engine)


@pytest.fixture
async def other_world(shared_engine: Engine) -> World:
    """The shared world as another process has it open."""
    return await open_world(shared_engine)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """What the command line does to logging ends with the test in whose process it ran."""
    loggers = [
        logging.root,
        *(one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)),
    ]
    before = [(one, one.level, one.handlers[:], one.propagate, one.disabled) for one in loggers]
    yield
    known = {one for one, *_ in before}
    for one in logging.root.manager.loggerDict.values():
        if isinstance(one, logging.Logger) and one not in known:
            one.setLevel(logging.NOTSET)
    for one, level, handlers, propagate, disabled in before:
        one.setLevel(level)
        one.handlers[:], one.propagate, one.disabled = handlers, propagate, disabled
