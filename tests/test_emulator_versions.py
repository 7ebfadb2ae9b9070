"""The change feed of all versions and deletes at the emulator, through the real SDK."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import CosmosHttpResponseError

from tests.emulator import Emulator, emulator
from tests.emulator.testing import client_of, new_container

MODE = "AllVersionsAndDeletes"
KEPT_MINUTES = 10


@pytest.fixture
async def server() -> AsyncIterator[Emulator]:
    async with emulator(partitions=1) as server:
        yield server


@pytest.fixture
async def client(server: Emulator) -> AsyncIterator[CosmosClient]:
    async with client_of(server) as client:
        yield client


@pytest.fixture
async def items(client: CosmosClient) -> ContainerProxy:
    return await new_container(client, default_ttl=-1, change_feed_policy={"retentionDuration": KEPT_MINUTES})


async def read(items: ContainerProxy, **scope: Any) -> tuple[list[dict[str, Any]], str]:
    """The entries up to the end of the feed, and the token behind it."""
    last: list[Any] = []
    feed = items.query_items_change_feed(mode=MODE, response_hook=lambda headers, _: last.append(headers), **scope)
    entries = [entry async for entry in feed]
    return entries, last[-1]["etag"]


def kinds(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["metadata"]["operationType"] for entry in entries]


async def test_every_version_and_the_deletion_come_in_order(items: ContainerProxy) -> None:
    _, token = await read(items)
    for n in (1, 2):
        await items.upsert_item({"id": "1", "pk": "a", "n": n})
    await items.delete_item("1", "a")
    entries, _ = await read(items, continuation=token)
    assert kinds(entries) == ["create", "replace", "delete"]
    assert [entry["current"].get("n") for entry in entries] == [1, 2, None]
    deletion = entries[-1]
    assert deletion["previous"]["n"] == 2
    assert deletion["metadata"]["id"] == "1"
    assert deletion["metadata"]["partitionKey"] == {"pk": "a"}
    assert deletion["metadata"]["previousImageLSN"] == entries[1]["metadata"]["lsn"]


async def test_expiry_is_a_deletion_that_says_so(server: Emulator, items: ContainerProxy) -> None:
    await items.create_item({"id": "1", "pk": "a", "ttl": 5})
    _, token = await read(items)
    server.advance(10)
    await items.create_item({"id": "1", "pk": "a"})
    entries, _ = await read(items, continuation=token)
    assert kinds(entries) == ["delete", "create"]
    assert entries[0]["metadata"]["timeToLiveExpired"] is True


async def test_a_partition_key_has_its_own_feed(items: ContainerProxy) -> None:
    _, token = await read(items, partition_key="a")
    for key in ("a", "b"):
        await items.create_item({"id": key, "pk": key})
    entries, _ = await read(items, continuation=token)
    assert [entry["current"]["id"] for entry in entries] == ["a"]


async def test_nothing_is_lost_or_repeated_over_a_split(server: Emulator, items: ContainerProxy) -> None:
    _, token = await read(items)
    for n in range(10):
        await items.create_item({"id": str(n), "pk": str(n)})
    server.split("db", "c", "0")
    for n in range(10):
        await items.delete_item(str(n), str(n))
    entries, _ = await read(items, continuation=token)
    assert sorted(kinds(entries)) == ["create"] * 10 + ["delete"] * 10


async def test_what_is_older_than_the_retention_is_gone(server: Emulator, items: ContainerProxy) -> None:
    _, token = await read(items)
    await items.create_item({"id": "1", "pk": "a"})
    server.advance(KEPT_MINUTES * 60 + 1)
    with pytest.raises(CosmosHttpResponseError, match="retention") as refused:
        await read(items, continuation=token)
    assert refused.value.status_code == 400


async def test_a_container_without_the_policy_keeps_no_versions(client: CosmosClient) -> None:
    items = await new_container(client)
    with pytest.raises(CosmosHttpResponseError, match="must be enabled") as refused:
        await read(items)
    assert refused.value.status_code == 400
