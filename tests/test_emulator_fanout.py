"""Queries over all partitions at the emulator: what its gateway refuses, and the SDK's own fan-out by query plan."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import CosmosHttpResponseError

from tests.emulator import Emulator, emulator
from tests.emulator.auth import signature
from tests.emulator.testing import client_of, new_container

POLICY = {
    "includedPaths": [{"path": "/*"}],
    "excludedPaths": [],
    "compositeIndexes": [[{"path": "/third", "order": "ascending"}, {"path": "/n", "order": "descending"}]],
}


@pytest.fixture
async def server() -> AsyncIterator[Emulator]:
    async with emulator() as server:
        yield server


@pytest.fixture
async def client(server: Emulator) -> AsyncIterator[CosmosClient]:
    async with client_of(server) as client:
        yield client


@pytest.fixture
async def items(client: CosmosClient) -> ContainerProxy:
    items = await new_container(client, indexing_policy=POLICY)
    for n in range(30):
        await items.create_item({"id": f"{n:02}", "pk": f"k{n}", "n": n, "third": n % 3, "s": f"s{n % 7}"})
    return items


async def ask(items: ContainerProxy, query: str, **parameters: Any) -> list[Any]:
    given = [{"name": f"@{name}", "value": value} for name, value in parameters.items()]
    return [row async for row in items.query_items(query, parameters=given)]


async def test_a_plain_filter_is_served_by_the_gateway_partition_by_partition(
    server: Emulator, items: ContainerProxy
) -> None:
    server.requests.clear()
    assert sorted(await ask(items, "SELECT VALUE c.n FROM c WHERE c.n >= @n", n=25)) == [25, 26, 27, 28, 29]
    assert server.counts()["plan"] == 0
    assert server.counts()["query"] == 4


async def test_pages_over_all_partitions_continue(items: ContainerProxy) -> None:
    token, found = None, list[Any]()
    while True:
        pager: Any = items.query_items("SELECT VALUE c.n FROM c", max_item_count=4).by_page(token)
        page = [row async for row in await anext(pager)]
        assert len(page) <= 4
        found += page
        token = pager.continuation_token
        if token is None:
            break
    assert sorted(found) == list(range(30))


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT VALUE c.n FROM c WHERE c.n < 5 ORDER BY c.n", [0, 1, 2, 3, 4]),
        ("SELECT VALUE c.n FROM c WHERE c.n < 3 OR c.n = 9 ORDER BY c.n DESC", [9, 2, 1, 0]),
        ("SELECT c.id, c.n AS m FROM c WHERE c.n < 2 ORDER BY c.n", [{"id": "00", "m": 0}, {"id": "01", "m": 1}]),
        ("SELECT VALUE c.n FROM c WHERE c.n < 7 ORDER BY c.third, c.n DESC", [6, 3, 0, 4, 1, 5, 2]),
        ("SELECT TOP 3 VALUE c.n FROM c ORDER BY c.n DESC", [29, 28, 27]),
        ("SELECT VALUE c.n FROM c ORDER BY c.n OFFSET 3 LIMIT 4", [3, 4, 5, 6]),
        ("SELECT VALUE c.n FROM c ORDER BY c.n OFFSET @k LIMIT @k", [2, 3]),
        ("SELECT DISTINCT VALUE c.s FROM c ORDER BY c.s OFFSET 1 LIMIT 3", ["s1", "s2", "s3"]),
        ("SELECT VALUE COUNT(1) FROM c", [30]),
        ("SELECT VALUE COUNT(1) FROM c WHERE c.third = 1", [10]),
        ("SELECT VALUE SUM(c.n) FROM c", [435]),
        ("SELECT VALUE AVG(c.n) FROM c", [14.5]),
        ("SELECT VALUE MIN(c.n) FROM c", [0]),
        ("SELECT VALUE MAX(c.n) FROM c", [29]),
        ("SELECT VALUE MAX(c.n) FROM c WHERE c.pk = 'k7'", [7]),
    ],
)
async def test_the_client_merges_what_the_partitions_answer(
    server: Emulator, items: ContainerProxy, query: str, rows: list[Any]
) -> None:
    server.requests.clear()
    assert await ask(items, query, k=2) == rows
    assert server.counts()["plan"] == 1


async def test_distinct_and_limits_without_an_order(items: ContainerProxy) -> None:
    assert sorted(await ask(items, "SELECT DISTINCT VALUE c.s FROM c")) == [f"s{n}" for n in range(7)]
    assert len(await ask(items, "SELECT TOP 5 * FROM c")) == 5
    assert len(await ask(items, "SELECT c.id FROM c OFFSET 5 LIMIT 7")) == 7


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT c.third, COUNT(1) AS n FROM c GROUP BY c.third", "GroupBy"),
        ("SELECT COUNT(1) AS n FROM c", "VALUE"),
        ("SELECT * FROM c ORDER BY c.n, c.third", "composite index"),
    ],
)
async def test_what_the_fan_out_cannot_do_is_refused(items: ContainerProxy, query: str, reason: str) -> None:
    with pytest.raises(CosmosHttpResponseError, match=reason) as refused:
        await ask(items, query)
    assert refused.value.status_code == 400


async def test_the_fan_out_asks_each_partition_once(server: Emulator, items: ContainerProxy) -> None:
    await ask(items, "SELECT VALUE COUNT(1) FROM c")
    server.requests.clear()
    await ask(items, "SELECT VALUE COUNT(1) FROM c")
    assert server.counts() == {"query": 5, "plan": 1}


async def test_a_query_in_a_feed_range_asks_that_partition_only(server: Emulator, items: ContainerProxy) -> None:
    ranges = [one async for one in items.read_feed_ranges()]
    query = "SELECT VALUE c.n FROM c"
    found: list[list[Any]] = [[n async for n in items.query_items(query, feed_range=one)] for one in ranges]
    assert all(found)
    assert sorted(n for part in found for n in part) == list(range(30))


async def test_the_fan_out_survives_a_split_in_the_last_partition(server: Emulator, items: ContainerProxy) -> None:
    await ask(items, "SELECT VALUE COUNT(1) FROM c")
    server.split("db", "c", "3")
    assert await ask(items, "SELECT VALUE c.n FROM c ORDER BY c.n") == list(range(30))


async def test_trap_the_sdk_repeats_rows_after_a_split_in_an_earlier_partition(
    server: Emulator, items: ContainerProxy
) -> None:
    """azure-cosmos 4.17.1 rebuilds its merge after the 410, then adds the partitions behind the split once more."""
    await ask(items, "SELECT VALUE COUNT(1) FROM c")
    server.split("db", "c", "0")
    rows = await ask(items, "SELECT VALUE c.n FROM c ORDER BY c.n")
    assert sorted(set(rows)) == list(range(30))
    assert len(rows) > 30
    assert await ask(items, "SELECT VALUE c.n FROM c ORDER BY c.n") == list(range(30))


async def test_a_prefix_of_a_hierarchical_key_is_a_query_over_its_partitions(client: CosmosClient) -> None:
    items = await new_container(client, ["/tenant", "/user"])
    for n in range(12):
        await items.create_item({"id": str(n), "tenant": f"t{n % 2}", "user": f"u{n}"})
    query = "SELECT VALUE c.user FROM c"
    assert len([row async for row in items.query_items(query, partition_key=["t0"])]) == 6
    user: list[Any] = [row async for row in items.query_items(query, partition_key=["t1", "u3"])]
    assert user == ["u3"]


async def test_a_container_of_one_partition_is_no_exception() -> None:
    async with emulator(partitions=1) as server, client_of(server) as client:
        items = await new_container(client)
        await items.create_item({"id": "1", "pk": "a", "n": 1})
        assert await ask(items, "SELECT VALUE c.n FROM c ORDER BY c.n") == [1]
        assert server.counts()["plan"] == 1


async def test_without_the_header_a_query_over_partitions_is_400(server: Emulator, items: ContainerProxy) -> None:
    path, date = "dbs/db/colls/c", "tue, 24 nov 2026 08:00:00 gmt"

    def signed(feed: str) -> dict[str, str]:
        token = f"type=master&ver=1.0&sig={signature(server.key, 'post', (feed, path), date)}"
        return {"authorization": token, "x-ms-date": date, "x-ms-documentdb-isquery": "true"}

    async with ClientSession() as session:
        reply = await session.post(
            f"{server.url}{path}/docs", json={"query": "SELECT * FROM c"}, headers=signed("docs")
        )
        assert reply.status == 400
        assert "Cross partition query is required but disabled" in (await reply.json())["message"]
        one = {"query": "SELECT VALUE c.n FROM c WHERE c.n > 0 AND c.pk = 'k3'"}
        reply = await session.post(f"{server.url}{path}/docs", json=one, headers=signed("docs"))
        assert (await reply.json())["Documents"] == [3]
        conflicts = {"query": "SELECT * FROM c"}
        reply = await session.post(f"{server.url}{path}/conflicts", json=conflicts, headers=signed("conflicts"))
        assert reply.status == 400
