"""The engine on Azure Cosmos DB for NoSQL: one client for the process and its loop, tuned and warmed.

A commit is one transactional batch, sent once: the SDK's silent re-sending of writes is off, and what got no clear
answer is OutcomeUnknown. A query asks one partition where it names one. Nothing reads container properties per request.
"""

import asyncio
import binascii
import random
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from azure.core.pipeline.transport import AioHttpTransport
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from store.cosmos import feed
from store.cosmos.errors import OWNER_MISSING, reading, writing
from store.cosmos.sql import compile_query
from store.errors import StoreUnusable, Throttled, Unavailable
from store.port import (
    Changes,
    ContainerSpec,
    Create,
    Delete,
    Document,
    FeedRange,
    Page,
    Query,
    Replace,
    Scope,
    Start,
    Upsert,
    Write,
    check_writes,
)
from store.signal import Signal

READ_TIMEOUT_S = 6.0
"""The service gives up after 5 seconds; see its documentation of request time-outs."""
CONNECT_TIMEOUT_S = 3.0
BUSY_DEADLINE_S = 5.0
"""How long a commit is tried again while the service asks for patience."""
POLL_S = 0.25
"""How often a waiting task looks whether another process has committed."""
REMEMBERED_SESSIONS = 10_000

SENT_ONCE: dict[str, Any] = {"retry_connect": 0, "retry_read": 0, "retry_write": 0}


def credential(key: str | None) -> Any:
    """The key itself, or the identity of the process (azure-identity, the extra `azure`). Raises StoreUnusable."""
    if key:
        return key
    try:
        from azure.identity.aio import DefaultAzureCredential  # type: ignore[import-untyped]
    except ImportError as error:
        raise StoreUnusable("give COSMOS_KEY, or install azure-identity to use the process' own identity") from error
    return DefaultAzureCredential()


@asynccontextmanager
async def connect(url: str, key: Any) -> AsyncIterator[CosmosClient]:
    """A client of the account at `url`, closed at the end. Raises StoreUnusable or Unavailable."""
    client = await _connected(url, key)
    try:
        yield client
    finally:
        await client.close()


async def open_cosmos(url: str, key: Any, database: str, containers: Iterable[ContainerSpec]) -> "CosmosStore":
    """Connect to the account at `url` with `key` (a key, or a credential of azure-identity) and warm each container.

    Raises StoreUnusable for a wrong key or what is not provisioned, Unavailable for what does not answer.
    """
    client = await _connected(url, key)
    store = CosmosStore(client, database, containers)
    try:
        await asyncio.gather(*(container.warm() for container in store.containers.values()))
    except BaseException:
        await store.close()
        raise
    return store


async def _connected(url: str, key: Any) -> CosmosClient:
    try:
        client = CosmosClient(
            url,
            key,
            transport=AioHttpTransport(use_env_settings=False),
            connection_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            no_response_on_write=True,
        )
    except (ValueError, binascii.Error) as error:
        raise StoreUnusable("COSMOS_KEY is not a key of Cosmos DB (base64)") from error
    try:
        async with reading(f"the account at {url}"):
            await client.__aenter__()
    except BaseException:
        await client.close()
        raise
    return client


class CosmosStore:
    """An open account. `charges` counts requests, and `units` request units, by container and kind of request."""

    def __init__(self, client: CosmosClient, database: str, containers: Iterable[ContainerSpec]) -> None:
        self._client = client
        self.charges: Counter[tuple[str, str]] = Counter()
        self.units: dict[tuple[str, str], float] = {}
        proxy = client.get_database_client(database)
        self.containers = {
            spec.name: CosmosContainer(self, proxy.get_container_client(spec.name), spec) for spec in containers
        }

    def container(self, name: str) -> "CosmosContainer":
        """The container of that name. Raises KeyError if the store was opened without it."""
        return self.containers[name]

    async def ping(self) -> None:
        """Return if the account answers; raise Unavailable if not."""
        await next(iter(self.containers.values())).read("-", "-")

    async def close(self) -> None:
        """Let go of the connections. Idempotent."""
        await self._client.close()

    def charge(self, container: str, kind: str, headers: Mapping[str, Any]) -> None:
        """Note what a request cost."""
        key = (container, kind)
        self.charges[key] += 1
        self.units[key] = self.units.get(key, 0.0) + float(headers.get("x-ms-request-charge", 0))


class CosmosContainer:
    """One container of an account; see `store.port.Container` for its promises."""

    def __init__(self, store: CosmosStore, proxy: ContainerProxy, spec: ContainerSpec) -> None:
        self.spec = spec
        self._store = store
        self._proxy = proxy
        self._signal = Signal()
        # The SDK does not note the session of a batch, so reads behind it might be older than it (observed, 4.17.1).
        self._sessions: OrderedDict[str, str] = OrderedDict()

    async def warm(self) -> None:
        """Have the SDK know the container before the first request is in a hurry; one read of its properties."""
        try:
            async with reading(f"container {self.spec.name!r}"):
                await self._proxy.read()
        except Unavailable as error:
            if isinstance(error.__cause__, CosmosResourceNotFoundError):
                raise StoreUnusable(
                    f"container {self.spec.name!r} does not exist; `gateway provision` makes it"
                ) from error
            raise
        await self.read("-", "-")

    async def read(self, partition: str, id: str) -> Document | None:
        """The document as it is now, or None."""
        try:
            async with reading(f"container {self.spec.name!r}"):
                try:
                    body = await self._proxy.read_item(id, partition, **self._options("read", partition))
                except CosmosResourceNotFoundError as error:
                    if error.sub_status == OWNER_MISSING:
                        raise
                    return None
        except UnicodeEncodeError as error:
            raise ValueError("an id or a partition key holds a lone surrogate") from error
        return self._document(dict(body))

    async def query(self, query: Query) -> Page:
        """The page that `query` asks for."""
        text, parameters = compile_query(query)
        options = self._options("query", query.partition)
        if query.partition is not None:
            options["partition_key"] = query.partition
        found: list[Document] = []
        async with reading(f"container {self.spec.name!r}"):
            items = self._proxy.query_items(text, parameters=parameters, max_item_count=query.limit + 1, **options)
            async for body in items:
                found.append(self._document(body))
                if len(found) > query.limit:
                    break
        return Page(found[: query.limit], more=len(found) > query.limit)

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str | None]:
        """Apply all `writes` or none; see the port. Tried again for a while when the service asks for patience."""
        check_writes(partition, writes)
        operations = [self._operation(partition, write) for write in writes]
        loop = asyncio.get_running_loop()
        deadline = loop.time() + BUSY_DEADLINE_S
        attempt = 0
        while True:
            try:
                return await self._send(partition, operations)
            except Throttled as busy:
                attempt += 1
                pause = busy.retry_after + random.uniform(0, 0.01 * 2**attempt)
                if loop.time() + pause > deadline:
                    raise
                await asyncio.sleep(pause)

    async def feed_ranges(self) -> list[FeedRange]:
        """The ranges that together are the container: its physical partitions."""
        async with reading(f"container {self.spec.name!r}"):
            return [feed.range_of(found) async for found in self._proxy.read_feed_ranges()]

    async def changes(self, scope: Scope, after: str | Start, limit: int = 100) -> Changes:
        """What changed in `scope` behind `after`; see the port."""
        while True:
            bodies, cursor = await feed.read_page(self._proxy, scope, after, limit, self._hook("feed"))
            inside = feed.within(scope, bodies, cursor, self.spec.partition_key)
            if inside or not bodies:
                return Changes(cursor, [self._document(body) for body in inside])
            after = cursor

    async def wait_for_changes(self, seen: int, timeout: float) -> int:
        """Wait for a commit here. One elsewhere is not heard of, so after POLL_S there may have been one."""
        count = await self._signal.wait(seen, min(timeout, POLL_S))
        if count == seen:
            self._signal.notify()
        return self._signal.count

    async def _send(self, partition: str, operations: list[Any]) -> list[str | None]:
        async with writing(f"container {self.spec.name!r}"):
            results = await self._proxy.execute_item_batch(
                operations, partition, response_hook=self._hook("batch"), **SENT_ONCE
            )
        headers = results.get_response_headers()
        if session := headers.get("x-ms-session-token"):
            self._sessions[partition] = session
            self._sessions.move_to_end(partition)
            if len(self._sessions) > REMEMBERED_SESSIONS:
                self._sessions.popitem(last=False)
        self._signal.notify()
        return [result.get("eTag") for result in results]

    def _operation(self, partition: str, write: Write) -> Any:
        match write:
            case Create(id, body, ttl):
                return ("create", (self._body(partition, id, body, ttl),))
            case Replace(id, body, etag, ttl) | Upsert(id, body, str(etag), ttl):
                return ("replace", (id, self._body(partition, id, body, ttl)), {"if_match_etag": etag})
            case Upsert(id, body, _, ttl):
                return ("upsert", (self._body(partition, id, body, ttl),))
            case Delete(id, etag):
                return ("delete", (id,), {"if_match_etag": etag})

    def _body(self, partition: str, id: str, body: Any, ttl: int | None) -> dict[str, Any]:
        document: dict[str, Any] = {**msgspec.to_builtins(body), "id": id, self.spec.partition_key: partition}
        if ttl is not None:
            document["ttl"] = ttl
        return document

    def _document(self, body: dict[str, Any]) -> Document:
        return Document(body[self.spec.partition_key], body["id"], body["_etag"], body)

    def _options(self, kind: str, partition: str | None) -> dict[str, Any]:
        options: dict[str, Any] = {"response_hook": self._hook(kind)}
        if partition is not None and (session := self._sessions.get(partition)):
            options["session_token"] = session
        return options

    def _hook(self, kind: str) -> Any:
        return lambda headers, body: self._store.charge(self.spec.name, kind, headers)
