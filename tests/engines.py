"""The engines that tests run over; each test has an empty store of its own.

Cosmos DB is the emulator in this process. With COSMOS_TEST_ENDPOINT in the environment it is the account at that
address instead, its key is COSMOS_TEST_KEY (by default the emulators' well-known one), and each test makes a database
there and deletes it at its end.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from tempfile import TemporaryDirectory

import pytest
from azure.cosmos.exceptions import CosmosResourceNotFoundError
from hypothesis import given, settings
from hypothesis import strategies as st

from store import ContainerSpec, Store, open_store
from store.cosmos import connect, provision
from store.sqlite import open_sqlite
from tests.emulator import emulator
from tests.emulator.server import KEY

Specs = Iterable[ContainerSpec]


class SQLiteEngine:
    """A file, or the memory of this process, where each handle is a store of its own."""

    def __init__(self, resources: AsyncExitStack, path: str) -> None:
        self._resources = resources
        self._path = path
        self._now = 1_800_000_000.0

    async def open(self, specs: Specs) -> Store:
        """A handle on the store, closed at the end of the test."""
        store = await open_sqlite(self._path, specs, clock=lambda: self._now)
        self._resources.push_async_callback(store.close)
        return store

    async def provisioned(self, specs: Specs) -> dict[str, str]:
        """The settings of a gateway whose store this is, after what it needs was made."""
        return {"store_url": f"sqlite:///{self._path}"}

    async def advance(self, seconds: float) -> None:
        """Let the time that judges expiry pass."""
        self._now += seconds


class CosmosEngine:
    """A database in an account of Cosmos DB."""

    def __init__(
        self, resources: AsyncExitStack, url: str, key: str, advance: Callable[[float], Awaitable[None]]
    ) -> None:
        self._resources = resources
        self._url, self._key = url, key
        self._database = f"gateway-tests-{secrets.token_hex(6)}"
        self.advance = advance

    async def open(self, specs: Specs) -> Store:
        """A handle on the database, closed at the end of the test."""
        await self.provisioned(specs)
        store = await open_store(self._url, specs, key=self._key, database=self._database)
        self._resources.push_async_callback(store.close)
        return store

    async def provisioned(self, specs: Specs) -> dict[str, str]:
        """The settings of a gateway whose store this is, after what it needs was made."""
        async with connect(self._url, self._key) as client:
            await provision(client, self._database, specs)
        return {"store_url": self._url, "cosmos_key": self._key, "cosmos_database": self._database}

    async def drop(self) -> None:
        """Delete the database."""
        async with connect(self._url, self._key) as client:
            with suppress(CosmosResourceNotFoundError):
                await client.delete_database(self._database)


Engine = SQLiteEngine | CosmosEngine


async def in_memory(resources: AsyncExitStack) -> Engine:
    return SQLiteEngine(resources, ":memory:")


async def in_a_file(resources: AsyncExitStack) -> Engine:
    return SQLiteEngine(resources, f"{resources.enter_context(TemporaryDirectory())}/store.db")


async def on_cosmos(resources: AsyncExitStack) -> Engine:
    if endpoint := os.environ.get("COSMOS_TEST_ENDPOINT"):
        engine = CosmosEngine(resources, endpoint, os.environ.get("COSMOS_TEST_KEY", KEY), asyncio.sleep)
        resources.push_async_callback(engine.drop)
        return engine
    server = await resources.enter_async_context(emulator(partitions=2))

    async def advance(seconds: float) -> None:
        server.advance(seconds)

    return CosmosEngine(resources, server.url, server.key, advance)


ENGINES = {"memory": in_memory, "file": in_a_file, "cosmos": on_cosmos}
QUICK = ["memory", "cosmos"]
"""Each engine once, in its quickest form."""
SHARED = ["file", "cosmos"]
"""The engines on which several handles, and several processes, have one store."""


@asynccontextmanager
async def opened(name: str) -> AsyncIterator[Engine]:
    """An engine with an empty store; the store and all handles on it end with the context."""
    async with AsyncExitStack() as resources:
        yield await ENGINES[name](resources)


def on_engines(
    *strategies: st.SearchStrategy[object], **examples: int
) -> Callable[[Callable[..., Awaitable[None]]], Callable[[str], None]]:
    """Make a property a test: it holds on each named engine for so many examples, each in an empty store.

    The property takes the engine, and a value of each strategy.
    """

    def decorate(holds: Callable[..., Awaitable[None]]) -> Callable[[str], None]:
        @pytest.mark.parametrize("name", examples)
        def test(name: str) -> None:
            async def example(values: tuple[object, ...]) -> None:
                async with opened(name) as engine:
                    await holds(engine, *values)

            def check(values: tuple[object, ...]) -> None:
                asyncio.run(example(values))

            check.__name__ = holds.__name__  # by which hypothesis keeps the examples of different properties apart
            settings(deadline=None, max_examples=examples[name])(given(st.tuples(*strategies))(check))()

        return test

    return decorate
