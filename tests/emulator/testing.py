"""For tests: a real SDK client of an emulator, and a fresh container to work with."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from azure.core.pipeline.transport import AioHttpTransport
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient

from .server import Emulator


@contextlib.asynccontextmanager
async def client_of(server: Emulator, **settings: Any) -> AsyncIterator[CosmosClient]:
    """A client of `server`, closed at the end."""
    transport = AioHttpTransport(use_env_settings=False)
    async with CosmosClient(server.url, server.key, transport=transport, **settings) as client:
        yield client


async def new_container(client: CosmosClient, key: str | list[str] = "/pk", **settings: Any) -> ContainerProxy:
    """Container "c" in database "db", which is created if it is not there."""
    database = await client.create_database_if_not_exists("db")
    definition: Any = PartitionKey(path=key, kind="Hash") if isinstance(key, str) else PartitionKey(path=key)
    container: ContainerProxy = await database.create_container("c", definition, **settings)
    return container
