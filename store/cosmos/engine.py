"""The engine on Azure Cosmos DB for NoSQL.

A commit is one transactional batch, sent once: the SDK's silent re-sending of writes is off, and what got no clear
answer is OutcomeUnknown. A query asks one partition where it names one. Nothing reads container properties per request.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from azure.cosmos.aio import CosmosClient

from store.cosmos.client import connect
from store.cosmos.container import CosmosContainer
from store.cosmos.provision import ensure, inspect, remove
from store.errors import StoreUnusable
from store.port import ContainerSpec


async def open_cosmos(
    url: str, key: str | None, database: str, containers: Iterable[ContainerSpec], poll_s: float | None = None
) -> "CosmosStore":
    """Connect to the account at `url` (see `connect`), check what is provisioned there, and warm each container.

    `poll_s`: seconds between looks at a feed for what other processes have committed; None for POLL_S.
    Raises StoreUnusable for a wrong key, and with a sentence for each thing that is missing or not as it should be;
    Unavailable for what does not answer.
    """
    specs = list(containers)
    async with AsyncExitStack() as resources:
        client = await resources.enter_async_context(connect(url, key))
        if problems := await inspect(client, database, specs):
            raise StoreUnusable("\n".join(problems))
        store = CosmosStore(client, database, specs, poll_s)
        await asyncio.gather(*(container.warm() for container in store.containers.values()))
        store.resources = resources.pop_all()
    return store


class CosmosStore:
    """An open account. `charges` counts requests, and `units` request units, by container and kind of request."""

    def __init__(
        self, client: CosmosClient, database: str, containers: Iterable[ContainerSpec], poll_s: float | None = None
    ) -> None:
        self._poll_s = poll_s
        self.resources = AsyncExitStack()
        self.charges: Counter[tuple[str, str]] = Counter()
        self.units: dict[tuple[str, str], float] = {}
        self._database = client.get_database_client(database)
        self.containers = {spec.name: self._open(spec) for spec in containers}

    def container(self, name: str) -> "CosmosContainer":
        """The container of that name. Raises KeyError if the store was opened without it."""
        return self.containers[name]

    async def make(self, spec: ContainerSpec) -> "CosmosContainer":
        """The container of that specification, made if it is missing; see the port."""
        if spec.name not in self.containers:
            await ensure(self._database, spec)
            container = self._open(spec)
            await container.warm()
            self.containers[spec.name] = container
        return self.containers[spec.name]

    async def drop(self, name: str) -> None:
        """Remove a container with all that is in it. Idempotent."""
        self.containers.pop(name, None)
        await remove(self._database, name)

    def _open(self, spec: ContainerSpec) -> "CosmosContainer":
        return CosmosContainer(self.charge, self._database.get_container_client(spec.name), spec, self._poll_s)

    async def ping(self) -> None:
        """Return if the account answers; raise Unavailable if not."""
        await next(iter(self.containers.values())).read("-", "-")

    async def close(self) -> None:
        """Let go of the connections. Idempotent."""
        await self.resources.aclose()

    def charge(self, container: str, kind: str, headers: Mapping[str, Any]) -> None:
        """Note what a request cost."""
        key = (container, kind)
        self.charges[key] += 1
        self.units[key] = self.units.get(key, 0.0) + float(headers.get("x-ms-request-charge", 0))
