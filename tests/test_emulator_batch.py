"""Transactional batches at the emulator, through the real SDK: all or nothing, and the limits."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError

from tests.emulator import Emulator, emulator
from tests.emulator.testing import client_of, new_container


@pytest.fixture
async def server() -> AsyncIterator[Emulator]:
    async with emulator() as server:
        yield server


@pytest.fixture
async def items(server: Emulator) -> AsyncIterator[ContainerProxy]:
    async with client_of(server) as client:
        yield await new_container(client, default_ttl=-1)


def create(id: str, **more: Any) -> tuple[str, tuple[dict[str, Any]]]:
    return "create", ({"id": id, "pk": "a", **more},)


async def failure(items: ContainerProxy, operations: list[Any]) -> CosmosBatchOperationError:
    with pytest.raises(CosmosBatchOperationError) as failed:
        await items.execute_item_batch(operations, "a")
    return failed.value


async def ids(items: ContainerProxy) -> list[str]:
    return [item["id"] async for item in items.query_items("SELECT * FROM c", partition_key="a")]


async def test_a_batch_applies_all_its_operations_and_later_ones_see_earlier_ones(items: ContainerProxy) -> None:
    old = await items.create_item({"id": "old", "pk": "a"})
    await items.create_item({"id": "gone", "pk": "a"})
    results = await items.execute_item_batch(
        [
            create("1", n=1),
            ("upsert", ({"id": "1", "pk": "a", "n": 2},)),
            ("patch", ("1", [{"op": "incr", "path": "/n", "value": 3}])),
            ("read", ("1",)),
            ("replace", ("old", {"id": "old", "pk": "a", "n": 7}), {"if_match_etag": old["_etag"]}),
            ("delete", ("gone",)),
        ],
        "a",
    )
    assert [result["statusCode"] for result in results] == [201, 200, 200, 200, 200, 204]
    assert results[3]["resourceBody"]["n"] == 5
    assert results[4]["eTag"] == (await items.read_item("old", "a"))["_etag"]
    assert await ids(items) == ["old", "1"]


async def test_a_batch_is_one_lsn_and_costs_the_sum_of_its_operations(items: ContainerProxy) -> None:
    before = await items.create_item({"id": "0", "pk": "a"})
    results = await items.execute_item_batch([create("1"), create("2"), create("3")], "a")
    headers = results.get_response_headers()
    assert int(headers["lsn"]) == int(before.get_response_headers()["lsn"]) + 1
    charges = [result["requestCharge"] for result in results]
    assert float(headers["x-ms-request-charge"]) == pytest.approx(sum(charges))


async def test_a_failed_operation_undoes_the_batch(items: ContainerProxy) -> None:
    await items.create_item({"id": "taken", "pk": "a"})
    failed = await failure(items, [create("1"), create("taken"), create("2")])
    assert (failed.status_code, failed.error_index) == (409, 1)
    assert [result["statusCode"] for result in failed.operation_responses] == [424, 409, 424]
    assert await ids(items) == ["taken"]


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        (("replace", ("1", {"id": "1", "pk": "a"}), {"if_match_etag": '"other"'}), 412),
        (("upsert", ({"id": "1", "pk": "a"},), {"if_match_etag": '"other"'}), 412),
        (("delete", ("1",), {"if_match_etag": '"other"'}), 412),
        (("delete", ("missing",)), 404),
        (("replace", ("missing", {"id": "missing", "pk": "a"})), 404),
        (("read", ("missing",)), 404),
        (("create", ({"id": "2", "pk": "b"},)), 400),
        (("create", ({"pk": "a"},)), 400),
        (
            ("patch", ("1", [{"op": "incr", "path": "/n", "value": 1}]), {"filter_predicate": "FROM c WHERE c.n = 1"}),
            412,
        ),
    ],
)
async def test_each_failure_has_its_status(items: ContainerProxy, operation: Any, status: int) -> None:
    await items.create_item({"id": "1", "pk": "a", "n": 0})
    failed = await failure(items, [create("new"), operation])
    assert (failed.status_code, failed.error_index) == (status, 1)
    assert await ids(items) == ["1"]


async def test_a_hundred_operations_are_the_limit(items: ContainerProxy) -> None:
    await items.execute_item_batch([create(str(n)) for n in range(100)], "a")
    with pytest.raises(CosmosHttpResponseError, match="more operations than what is supported") as refused:
        await items.execute_item_batch([create(f"b{n}") for n in range(101)], "a")
    assert refused.value.status_code == 400
    assert len(await ids(items)) == 100


async def test_an_empty_batch_is_refused(items: ContainerProxy) -> None:
    with pytest.raises(CosmosHttpResponseError, match="no operations") as refused:
        await items.execute_item_batch([], "a")
    assert refused.value.status_code == 400


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_two_megabytes_are_the_limit(items: ContainerProxy) -> None:
    with pytest.raises(CosmosHttpResponseError) as refused:
        await items.execute_item_batch([create(str(n), text="x" * 700_000) for n in range(3)], "a")
    assert refused.value.status_code == 413
    assert await ids(items) == []


async def test_a_minimal_batch_still_names_the_etags(items: ContainerProxy) -> None:
    (result,) = await items.execute_item_batch([create("1")], "a", no_response=True)
    assert "resourceBody" not in result
    assert result["eTag"] == (await items.read_item("1", "a"))["_etag"]


async def test_an_expired_item_may_be_created_again(server: Emulator, items: ContainerProxy) -> None:
    await items.execute_item_batch([create("1", ttl=5)], "a")
    server.advance(6)
    await items.execute_item_batch([create("1")], "a")
    assert await ids(items) == ["1"]
