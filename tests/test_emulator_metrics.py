"""What queries at the emulator tell about their work: query metrics and index metrics."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from azure.cosmos.aio import ContainerProxy

from tests.emulator import emulator
from tests.emulator.testing import client_of, new_container

POLICY = {
    "includedPaths": [{"path": "/*"}],
    "excludedPaths": [{"path": "/text/?"}],
    "compositeIndexes": [[{"path": "/n"}, {"path": "/at", "order": "descending"}]],
}


@pytest.fixture
async def items() -> AsyncIterator[ContainerProxy]:
    async with emulator() as server, client_of(server) as client:
        items = await new_container(client, indexing_policy=POLICY)
        for n in range(4):
            await items.create_item({"id": str(n), "pk": "a", "n": n})
        yield items


async def headers_of(items: ContainerProxy, query: str, **options: Any) -> Any:
    found: list[Any] = []
    pager = items.query_items(query, response_hook=lambda headers, _: found.append(headers), **options)
    [row async for row in pager]
    return found[-1]


async def test_query_metrics_count_what_was_loaded_and_returned(items: ContainerProxy) -> None:
    query = "SELECT * FROM c WHERE c.n < 2"
    headers = await headers_of(items, query, partition_key="a", populate_query_metrics=True)
    metrics = dict(pair.split("=") for pair in headers["x-ms-documentdb-query-metrics"].split(";"))
    assert (metrics["retrievedDocumentCount"], metrics["outputDocumentCount"]) == ("4", "2")
    assert int(metrics["retrievedDocumentSize"]) > int(metrics["outputDocumentSize"]) > 0
    assert float(metrics["indexUtilizationRatio"]) == 0.5


@pytest.mark.parametrize(
    ("query", "utilized", "potential"),
    [
        ("SELECT * FROM c", ["/pk/?"], []),
        ("SELECT * FROM c WHERE c.n = 1", ["/pk/?", "/n/?"], []),
        ("SELECT * FROM c WHERE c.text = 'x'", ["/pk/?"], ["/text/?"]),
        ("SELECT * FROM c WHERE STARTSWITH(c.a.b, 'x') OR c.n IN (1, 2)", ["/pk/?", "/a/b/?", "/n/?"], []),
        ("SELECT * FROM c ORDER BY c.n", ["/pk/?", "/n/?"], []),
    ],
)
async def test_index_metrics_name_the_indexes(
    items: ContainerProxy, query: str, utilized: list[str], potential: list[str]
) -> None:
    headers = await headers_of(items, query, partition_key="a", populate_index_metrics=True)
    found = headers["x-ms-cosmos-index-utilization"]
    assert [index["IndexSpec"] for index in found["UtilizedSingleIndexes"]] == utilized
    assert [index["IndexSpec"] for index in found["PotentialSingleIndexes"]] == potential


async def test_index_metrics_name_composite_indexes(items: ContainerProxy) -> None:
    used = await headers_of(
        items, "SELECT * FROM c ORDER BY c.n, c.at DESC", partition_key="a", populate_index_metrics=True
    )
    assert used["x-ms-cosmos-index-utilization"]["UtilizedCompositeIndexes"][0]["IndexSpecs"] == ["/n ASC", "/at DESC"]
    missed = await headers_of(
        items, "SELECT * FROM c WHERE c.n = 1 AND c.x > 2", partition_key="a", populate_index_metrics=True
    )
    found = missed["x-ms-cosmos-index-utilization"]
    assert found["PotentialCompositeIndexes"][0]["IndexSpecs"] == ["/n ASC", "/x ASC"]
    assert found["UtilizedSingleIndexes"][1]["FilterExpression"] == "(ROOT.n = 1)"
