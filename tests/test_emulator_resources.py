"""The emulator's account, databases, containers, offers and control routes, and the command that serves it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from azure.cosmos import PartitionKey, ThroughputProperties
from azure.cosmos.aio import ContainerProxy, CosmosClient, DatabaseProxy
from azure.cosmos.exceptions import CosmosHttpResponseError, CosmosResourceExistsError, CosmosResourceNotFoundError

from tests.emulator import Emulator, emulator, snapshot
from tests.emulator.testing import client_of, new_container

KEY = PartitionKey("/pk")


@pytest.fixture
async def server() -> AsyncIterator[Emulator]:
    async with emulator() as server:
        yield server


@pytest.fixture
async def client(server: Emulator) -> AsyncIterator[CosmosClient]:
    async with client_of(server) as client:
        yield client


@pytest.fixture
async def database(client: CosmosClient) -> DatabaseProxy:
    return await client.create_database("db")


async def test_databases_are_created_listed_and_deleted(client: CosmosClient) -> None:
    await client.create_database("one")
    await client.create_database("two", offer_throughput=400)
    with pytest.raises(CosmosResourceExistsError):
        await client.create_database("one")
    assert [one["id"] async for one in client.list_databases()] == ["one", "two"]
    found = client.query_databases(
        query="SELECT VALUE d.id FROM d WHERE d.id = @id", parameters=[{"name": "@id", "value": "two"}]
    )
    assert [one async for one in found] == ["two"]  # type: ignore[comparison-overlap]
    await client.delete_database("one")
    with pytest.raises(CosmosResourceNotFoundError):
        await client.get_database_client("one").read()


async def test_containers_are_created_listed_replaced_and_deleted(database: DatabaseProxy) -> None:
    container = await database.create_container("c", KEY, default_ttl=60)
    with pytest.raises(CosmosResourceExistsError):
        await database.create_container("c", KEY)
    assert [one["id"] async for one in database.list_containers()] == ["c"]
    created = await container.read()
    assert created["partitionKey"] == {"paths": ["/pk"], "kind": "Hash", "version": 2}
    assert created["indexingPolicy"]["excludedPaths"] == [{"path": '/"_etag"/?'}]
    await database.replace_container("c", KEY, default_ttl=-1)
    assert (await container.read())["defaultTtl"] == -1
    await database.delete_container("c")
    with pytest.raises(CosmosResourceNotFoundError):
        await container.read()


@pytest.mark.parametrize(
    "settings",
    [
        {"default_ttl": 0},
        {"indexing_policy": {"includedPaths": [{"path": "/a/?"}], "excludedPaths": []}},
        {"indexing_policy": {"includedPaths": [{"path": "/*"}, {"path": "/a"}], "excludedPaths": []}},
        {"indexing_policy": {"compositeIndexes": [[{"path": "/a"}]]}},
        {"offer_throughput": 150},
        {"offer_throughput": ThroughputProperties(auto_scale_max_throughput=1500)},
        {"partition_key": PartitionKey(path=["/a", "/b", "/c", "/d"])},
        {"id": "x" * 256},
    ],
)
async def test_a_container_that_azure_refuses_is_refused(database: DatabaseProxy, settings: dict[str, Any]) -> None:
    with pytest.raises(CosmosHttpResponseError) as refused:
        await database.create_container(**{"id": "c", "partition_key": KEY, **settings})
    assert refused.value.status_code == 400


async def test_a_partition_key_is_for_ever(database: DatabaseProxy) -> None:
    await database.create_container("c", KEY)
    with pytest.raises(CosmosHttpResponseError) as refused:
        await database.replace_container("c", PartitionKey("/other"))
    assert refused.value.status_code == 400


async def test_a_container_has_the_partitions_that_its_throughput_needs(
    server: Emulator, database: DatabaseProxy
) -> None:
    container = await database.create_container("c", KEY, offer_throughput=30_000)
    assert len(server.container("db", "c").partitions) == 5
    assert (await container.get_throughput()).offer_throughput == 30_000
    await container.replace_throughput(70_000)
    assert (await container.get_throughput()).offer_throughput == 70_000
    assert len(server.container("db", "c").partitions) == 7


async def test_the_ring_is_cut_where_azure_cuts_it(database: DatabaseProxy) -> None:
    container = await database.create_container("c", KEY)
    ends = [one["Range"]["max"] async for one in container.read_feed_ranges()]
    assert ends == ["0" + 31 * "F", "1" + 30 * "F" + "E", "2" + 30 * "F" + "D", "FF"]


async def test_autoscale_is_an_offer_with_a_maximum(database: DatabaseProxy) -> None:
    container = await database.create_container(
        "c", KEY, offer_throughput=ThroughputProperties(auto_scale_max_throughput=4000)
    )
    assert (await container.get_throughput()).auto_scale_max_throughput == 4000


async def test_partition_key_ranges_are_304_when_nothing_is_newer(server: Emulator, database: DatabaseProxy) -> None:
    container = await database.create_container("c", KEY)
    assert len([one async for one in container.read_feed_ranges()]) == 4
    assert server.counts()["pkranges"] == 2


async def test_there_are_no_conflicts_with_one_region(database: DatabaseProxy) -> None:
    container = await database.create_container("c", KEY)
    assert [one async for one in container.list_conflicts()] == []
    with pytest.raises(CosmosResourceNotFoundError):
        await container.get_conflict("1", "a")


async def test_a_warm_write_is_one_request(server: Emulator, database: DatabaseProxy) -> None:
    container = await database.create_container("c", KEY)
    await container.create_item({"id": "1", "pk": "a"})
    server.requests.clear()
    await container.create_item({"id": "2", "pk": "a"})
    assert list(server.requests) == [("POST", "create")]


async def test_the_control_routes_do_what_the_methods_do(server: Emulator, client: CosmosClient) -> None:
    items = await new_container(client)
    async with ClientSession(f"{server.url}_emulator/") as session:
        await session.delete("requests")
        await session.post("faults", json={"fault": "throttle", "times": 1, "kind": "create", "retry_after_ms": 1})
        await items.create_item({"id": "1", "pk": "a"})
        asked = await (await session.get("requests")).json()
        assert asked["counts"]["create"] == 2
        assert asked["charged"] > 5
        names = {"database": "db", "container": "c"}
        children = await (await session.post("split", json={**names, "range": "0"})).json()
        assert [child["parents"] for child in children] == [["0"], ["0"]]
        merged = await (await session.post("merge", json={**names, "ranges": ["4", "5"]})).json()
        assert merged[0]["parents"] == ["0", "4", "0", "5"]
        await session.post("advance", json={"seconds": 1000})
        await session.post("faults", json={"fault": "fail", "status": 503, "times": 9})
        await session.post("faults", json={"fault": "budget", "units": 0})
        await session.delete("faults")
        await items.read_item("1", "a")
        assert (await session.post("faults", json={"fault": "nonsense"})).status == 400
        assert (await session.get("nonsense")).status == 404


async def test_an_account_continues_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "account.json"
    async with emulator(partitions=2) as server, client_of(server) as client:
        items = await new_container(client, default_ttl=-1)
        await items.create_item({"id": "1", "pk": "a", "text": "ü"})
        server.split("db", "c", "0")
        await items.scripts.create_user_defined_function({"id": "f", "body": "function () { }"})
        user = await client.get_database_client("db").create_user({"id": "u"})
        await user.create_permission({"id": "p", "permissionMode": "Read", "resource": "dbs/db/colls/c"})
        snapshot.write(server.account, file)
        saved = snapshot.dump(server.account)
    async with emulator(partitions=2) as server, client_of(server) as client:
        snapshot.read(server.account, file)
        assert snapshot.dump(server.account) == saved
        items = client.get_database_client("db").get_container_client("c")
        await items.create_item({"id": "2", "pk": "a"})
        assert await ids(items) == ["1", "2"]
        assert (await items.read_item("1", "a"))["text"] == "ü"
        assert (await items.scripts.get_user_defined_function("f"))["body"] == "function () { }"
        user = client.get_database_client("db").get_user_client("u")
        assert (await user.get_permission("p")).permission_mode == "Read"


async def ids(items: ContainerProxy) -> list[str]:
    return [item["id"] async for item in items.query_items_change_feed(partition_key="a", start_time="Beginning")]


async def test_the_command_serves_until_it_is_stopped_and_keeps_its_data(tmp_path: Path) -> None:
    async def serve() -> tuple[asyncio.subprocess.Process, str, str]:
        command = ["-m", "tests.emulator", "--port", "0", "--partitions", "2", "--data", str(tmp_path / "data")]
        process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        ready = (await process.stdout.readline()).decode().split()
        assert ready[:2] == ["emulator", "ready:"]
        return process, ready[2], ready[3].removeprefix("key=")

    process, url, key = await serve()
    async with CosmosClient(url, key) as client:
        items = await new_container(client)
        await items.create_item({"id": "1", "pk": "a"})
    process.terminate()
    assert await process.wait() == 0
    process, url, key = await serve()
    async with CosmosClient(url, key) as client:
        assert await ids(client.get_database_client("db").get_container_client("c")) == ["1"]
    process.terminate()
    assert await process.wait() == 0
