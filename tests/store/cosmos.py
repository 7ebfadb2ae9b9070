"""The notes on an account of the emulator, for what only the Cosmos DB engine has to show."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from store.cosmos import CosmosStore, connect, open_cosmos, provision
from tests.emulator import Emulator
from tests.store.notes import CONTAINERS

DATABASE = "tests"


async def provisioned(server: Emulator) -> None:
    async with connect(server.url, server.key) as client:
        await provision(client, DATABASE, CONTAINERS)


@asynccontextmanager
async def opened(server: Emulator) -> AsyncIterator[CosmosStore]:
    """A handle on the notes, which are provisioned, as another process would have it."""
    store = await open_cosmos(server.url, server.key, DATABASE, CONTAINERS)
    try:
        yield store
    finally:
        await store.close()
