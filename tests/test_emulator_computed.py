"""Computed properties at the emulator: what a definition must be, and what queries can do with them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import CosmosHttpResponseError

from tests.emulator import emulator
from tests.emulator.testing import client_of, new_container

COMPUTED = [
    {"name": "cp_lower", "query": "SELECT VALUE LOWER(c.name) FROM c"},
    {"name": "cp_size", "query": "SELECT VALUE LENGTH(c.name) FROM c"},
]
POLICY = {
    "includedPaths": [{"path": "/*"}, {"path": "/cp_size/?"}],
    "compositeIndexes": [[{"path": "/cp_size"}, {"path": "/cp_lower", "order": "descending"}]],
}


@pytest.fixture
async def client() -> AsyncIterator[CosmosClient]:
    async with emulator() as server, client_of(server) as client:
        yield client


@pytest.fixture
async def items(client: CosmosClient) -> ContainerProxy:
    items = await new_container(client, computed_properties=COMPUTED, indexing_policy=POLICY)
    for id, name in (("1", "Ann"), ("2", "aNN"), ("3", "Berta")):
        await items.create_item({"id": id, "pk": id, "name": name})
    await items.create_item({"id": "4", "pk": "4"})
    return items


async def result(items: ContainerProxy, query: str, **options: Any) -> list[Any]:
    return [row async for row in items.query_items(query, **options)]


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT VALUE c.id FROM c WHERE c.cp_lower = 'ann'", ["1", "2"]),
        ("SELECT VALUE c.cp_size FROM c", [3, 3, 5]),
        ("SELECT c.id, c.cp_lower AS l FROM c WHERE c.id = '3'", [{"id": "3", "l": "berta"}]),
        ("SELECT VALUE COUNT(1) FROM c WHERE IS_DEFINED(c.cp_lower)", [3]),
        ("SELECT VALUE SUM(c.cp_size) FROM c", [11]),
        ("SELECT DISTINCT VALUE c.cp_lower FROM c", ["ann", "berta"]),
        (
            "SELECT VALUE c.cp_lower FROM c WHERE c.cp_size > 0 ORDER BY c.cp_size DESC, c.cp_lower",
            ["berta", "ann", "ann"],
        ),
    ],
)
async def test_queries_name_them_like_any_property(items: ContainerProxy, query: str, rows: list[Any]) -> None:
    found = await result(items, query)
    assert found == rows if "ORDER" in query else sorted(found, key=str) == sorted(rows, key=str)


async def test_groups_can_be_made_of_them(items: ContainerProxy) -> None:
    for id, name in (("5", "ANN"), ("6", "Bob"), ("7", "bob")):
        await items.create_item({"id": id, "pk": "1", "name": name})
    query = "SELECT c.cp_lower AS name, COUNT(1) AS n FROM c GROUP BY c.cp_lower"
    assert await result(items, query, partition_key="1") == [{"name": "ann", "n": 2}, {"name": "bob", "n": 2}]


async def test_they_are_not_part_of_an_item(items: ContainerProxy) -> None:
    assert "cp_lower" not in await items.read_item("1", "1")
    assert not any("cp_lower" in item for item in await result(items, "SELECT * FROM c"))


async def test_wildcards_of_the_indexing_policy_do_not_cover_them(items: ContainerProxy) -> None:
    query = "SELECT VALUE c.cp_size FROM c WHERE IS_DEFINED(c.name) ORDER BY c.{}"
    assert await result(items, query.format("cp_size")) == [3, 3, 5]
    with pytest.raises(CosmosHttpResponseError, match="excluded"):
        await result(items, query.format("cp_lower"))


async def test_they_are_replaced_with_the_container(client: CosmosClient, items: ContainerProxy) -> None:
    database, key = client.get_database_client("db"), (await items.read())["partitionKey"]
    upper = [{"name": "cp_upper", "query": "SELECT VALUE UPPER(c.name) FROM c"}]
    await database.replace_container("c", key, computed_properties=upper)
    assert (await items.read())["computedProperties"] == upper
    query = "SELECT VALUE c.id FROM c WHERE c.cp_upper = 'ANN' OR c.cp_lower = 'berta'"
    assert sorted(await result(items, query)) == ["1", "2"]


@pytest.mark.parametrize(
    "definitions",
    [
        {"name": "a", "query": "SELECT VALUE c.x FROM c"},
        [{"name": "a"}],
        [{"name": "_ts", "query": "SELECT VALUE c.x FROM c"}],
        [{"name": "a", "query": "SELECT c.x FROM c"}],
        [{"name": "a", "query": "SELECT VALUE c.x FROM c WHERE c.y = 1"}],
        [{"name": "a", "query": "SELECT VALUE t FROM c JOIN t IN c.tags"}],
        [{"name": "a", "query": "SELECT VALUE COUNT(c.x) FROM c"}],
        [{"name": "a", "query": "SELECT VALUE GetCurrentTimestamp() FROM c"}],
        [{"name": "a", "query": "SELECT VALUE EXISTS(SELECT VALUE t FROM t IN c.tags) FROM c"}],
        [{"name": "a", "query": "SELECT VALUE"}],
        [{"name": "a", "query": "SELECT VALUE c.x FROM c"}] * 2,
        [{"name": f"n{n}", "query": "SELECT VALUE c.x FROM c"} for n in range(21)],
        [{"name": "a", "query": "SELECT VALUE c.x FROM c"}, {"name": "b", "query": "SELECT VALUE c.a FROM c"}],
    ],
)
async def test_a_definition_that_azure_refuses_is_refused(client: CosmosClient, definitions: Any) -> None:
    with pytest.raises(CosmosHttpResponseError) as refused:
        await new_container(client, computed_properties=definitions)
    assert refused.value.status_code == 400
