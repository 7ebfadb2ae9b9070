"""Databases and containers on Cosmos DB: made, brought up to date, inspected; and what is refused."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from azure.cosmos import PartitionKey, ThroughputProperties
from azure.cosmos.aio import CosmosClient

from store import ContainerSpec, StoreUnusable, Unavailable
from store.cosmos import Throughput, connect, open_cosmos, provision
from store.cosmos.provision import indexing_policy
from tests.emulator import Emulator, emulator
from tests.store.cosmos import DATABASE
from tests.store.notes import CONTAINERS, NOTES, TAGS

MAKES = "`gateway provision` makes it"


@pytest.fixture
async def server() -> AsyncIterator[Emulator]:
    async with emulator(partitions=2) as server:
        yield server


@pytest.fixture
async def client(server: Emulator) -> AsyncIterator[CosmosClient]:
    async with connect(server.url, server.key) as client:
        yield client


async def told(client: CosmosClient, *specs: ContainerSpec, throughput: Throughput | None = None) -> list[str]:
    """What provisioning says that it does."""
    steps = await provision(client, DATABASE, specs, throughput=throughput)
    return [step.told for step in steps if step.changes]


async def problems(server: Emulator, specs: Sequence[ContainerSpec] = CONTAINERS) -> list[str]:
    """What opening the store says is wrong."""
    with pytest.raises(StoreUnusable) as refused:
        await open_cosmos(server.url, server.key, DATABASE, specs)
    return str(refused.value).splitlines()


# ---------------------------------------------------------------------------------------------------- provisioning


async def test_provisioning_makes_what_is_missing_and_then_has_nothing_to_do(client: CosmosClient) -> None:
    planned = await provision(client, DATABASE, CONTAINERS, dry_run=True)
    done = await provision(client, DATABASE, CONTAINERS)
    again = await provision(client, DATABASE, CONTAINERS)
    assert planned == done
    assert ([step.changes for step in done], [step.changes for step in again]) == ([True] * 3, [False] * 3)


async def test_a_dry_run_changes_nothing(client: CosmosClient) -> None:
    await provision(client, DATABASE, [replace(NOTES, indexes=())])
    planned = await provision(client, DATABASE, CONTAINERS, dry_run=True)
    assert [step.changes for step in planned] == [False, True, True]
    assert await provision(client, DATABASE, CONTAINERS, dry_run=True) == planned


async def test_indexes_and_ttl_are_brought_up_to_date_and_named(client: CosmosClient) -> None:
    database = await client.create_database(DATABASE)
    await database.create_container("notes", PartitionKey("/owner"), indexing_policy=indexing_policy(TAGS))
    (step,) = await told(client, NOTES)
    assert "the composite index on /rank, /id is missing" in step
    assert "the index on /kind/? is missing" in step
    assert step.endswith("TTL is off")
    assert await told(client, NOTES) == []


async def test_only_what_queries_use_is_indexed(client: CosmosClient) -> None:
    await provision(client, DATABASE, [TAGS])
    policy = (await client.get_database_client(DATABASE).get_container_client("tags").read())["indexingPolicy"]
    assert {"path": "/*"} in policy["excludedPaths"]
    assert [entry["path"] for entry in policy["includedPaths"]] == ["/n/?"]
    assert policy["compositeIndexes"] == [
        [{"path": "/n", "order": "ascending"}, {"path": "/id", "order": "ascending"}],
    ]


async def test_another_partition_key_is_refused_and_what_it_holds_is_left_alone(client: CosmosClient) -> None:
    await provision(client, DATABASE, [replace(NOTES, partition_key="other")])
    container = client.get_database_client(DATABASE).get_container_client("notes")
    await container.create_item({"id": "1", "other": "a"})
    with pytest.raises(StoreUnusable, match="its partition key is /other, not /owner; it cannot be changed"):
        await provision(client, DATABASE, [NOTES])
    assert await container.read_item("1", "a")


# ---------------------------------------------------------------------------------------------------- throughput


async def maximum(client: CosmosClient, container: str | None = None) -> int | None:
    place = client.get_database_client(DATABASE)
    throughput = await (place.get_container_client(container) if container else place).get_throughput()
    return throughput.auto_scale_max_throughput


async def test_throughput_is_shared_by_the_containers_and_follows_the_settings(client: CosmosClient) -> None:
    made, *_ = await told(client, *CONTAINERS, throughput=Throughput(1000, shared=True))
    assert made == "database 'tests' is made, autoscale to 1000 RU/s"
    assert await maximum(client) == 1000
    changed = await told(client, *CONTAINERS, throughput=Throughput(4000, shared=True))
    assert changed == ["database 'tests' is updated: its autoscale maximum is 1000 RU/s, not 4000"]
    assert await maximum(client) == 4000
    assert await told(client, *CONTAINERS, throughput=Throughput(4000, shared=True)) == []


async def test_each_container_has_a_throughput_of_its_own(client: CosmosClient) -> None:
    await told(client, *CONTAINERS, throughput=Throughput(1000, shared=False))
    assert (await maximum(client, "notes"), await maximum(client, "tags")) == (1000, 1000)
    (step,) = await told(client, NOTES, throughput=Throughput(2000, shared=False))
    assert step == "container 'notes' is updated: its autoscale maximum is 1000 RU/s, not 2000"
    assert (await maximum(client, "notes"), await maximum(client, "tags")) == (2000, 1000)


async def test_a_database_without_shared_throughput_cannot_be_given_it(client: CosmosClient) -> None:
    await told(client, NOTES)
    with pytest.raises(StoreUnusable, match="database 'tests' has no throughput of its own"):
        await told(client, NOTES, throughput=Throughput(1000, shared=True))


async def test_a_container_that_shares_throughput_cannot_be_given_its_own(client: CosmosClient) -> None:
    await told(client, NOTES, throughput=Throughput(1000, shared=True))
    with pytest.raises(StoreUnusable, match="container 'notes' has no throughput of its own"):
        await told(client, NOTES, throughput=Throughput(1000, shared=False))


async def test_manual_throughput_is_left_to_a_person(client: CosmosClient) -> None:
    await client.create_database(DATABASE, offer_throughput=400)
    with pytest.raises(StoreUnusable, match="manual throughput"):
        await told(client, NOTES, throughput=Throughput(1000, shared=True))
    assert (await told(client, NOTES)) == ["container 'notes' is made, partitioned by /owner"]


async def test_without_a_choice_throughput_is_left_alone(client: CosmosClient) -> None:
    await client.create_database(DATABASE, offer_throughput=ThroughputProperties(auto_scale_max_throughput=5000))
    await told(client, *CONTAINERS)
    assert await maximum(client) == 5000


# ---------------------------------------------------------------------------------------------------- opening


async def test_a_missing_database_is_named(server: Emulator) -> None:
    assert await problems(server) == [f"database 'tests' does not exist; {MAKES}"]


async def test_all_that_is_wrong_is_named_at_once(server: Emulator, client: CosmosClient) -> None:
    await provision(client, DATABASE, [replace(NOTES, partition_key="other")])
    wrong = await problems(server)
    assert wrong == [
        "container 'notes': its partition key is /other, not /owner; it cannot be changed without losing its data",
        f"container 'tags' does not exist; {MAKES}",
    ]


async def test_a_missing_composite_index_is_named_before_a_query_fails_for_it(
    server: Emulator, client: CosmosClient
) -> None:
    await provision(client, DATABASE, [NOTES, replace(TAGS, indexes=())])
    assert f"container 'tags': the composite index on /n, /id is missing; {MAKES.replace('makes', 'mends')}" in (
        await problems(server)
    )


@pytest.mark.parametrize("key", ["c3dvcmRmaXNo", "no base64!", "AccountKey=swordfish!"])
async def test_a_wrong_key_is_told_and_not_shown(server: Emulator, key: str) -> None:
    with pytest.raises(StoreUnusable, match="COSMOS_KEY") as refused:
        await open_cosmos(server.url, key, DATABASE, CONTAINERS)
    assert key not in str(refused.value)


async def test_an_account_that_nobody_answers_for_is_named() -> None:
    with pytest.raises(Unavailable, match=r"the account at http://127.0.0.1:9/: no answer .*[Cc]onnect"):
        await open_cosmos("http://127.0.0.1:9/", "c3dvcmRmaXNo", DATABASE, CONTAINERS)


async def test_a_process_without_an_identity_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")  # asks nobody
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(StoreUnusable, match="no identity to show to Cosmos DB: give COSMOS_KEY"):
        await open_cosmos("https://127.0.0.1:9/", None, DATABASE, CONTAINERS)


async def test_a_forbidden_request_asks_for_the_firewall_and_the_roles(server: Emulator) -> None:
    server.faults.fail(403, kind="database", substatus=5300)
    assert await problems(server) == ["the account: Cosmos DB forbids it (403): see the account's firewall and roles"]
