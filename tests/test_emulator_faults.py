"""Misbehaviour on demand, and what the real SDK makes of it (the traps that our engine has to live with)."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosBatchOperationError,
    CosmosHttpResponseError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from tests.emulator import Emulator, emulator
from tests.emulator.testing import client_of, new_container

ITEM = {"id": "1", "pk": "a", "n": 1}
ONCE: dict[str, Any] = {"retry_connect": 0, "retry_read": 0}


@pytest.fixture
async def server() -> AsyncIterator[Emulator]:
    async with emulator() as server:
        yield server


@pytest.fixture
async def items(server: Emulator) -> AsyncIterator[ContainerProxy]:
    async with client_of(server) as client:
        items = await new_container(client)
        await items.create_item({"id": "0", "pk": "a"})
        server.requests.clear()
        yield items


async def test_the_sdk_waits_out_a_throttled_request(server: Emulator, items: ContainerProxy) -> None:
    server.faults.throttle(2, kind="create", retry_after_ms=1)
    await items.create_item(ITEM)
    assert server.counts()["create"] == 3


async def test_a_spent_budget_throttles_everything(server: Emulator, items: ContainerProxy) -> None:
    server.faults.budget = 5.0
    await items.create_item(ITEM)
    with pytest.raises(CosmosHttpResponseError) as throttled:
        await items.read_item("1", "a")
    assert (throttled.value.status_code, throttled.value.sub_status) == (429, 3200)
    server.faults.clear()
    await items.read_item("1", "a")


@pytest.mark.parametrize(("status", "substatus"), [(449, 0), (408, 0), (410, 1002), (410, 1007), (413, 0)])
async def test_a_write_fails_with_the_status_asked_for_and_changes_nothing(
    server: Emulator, items: ContainerProxy, status: int, substatus: int
) -> None:
    server.faults.fail(status, kind="create", substatus=substatus)
    with pytest.raises(CosmosHttpResponseError) as failed:
        await items.create_item(ITEM)
    assert (failed.value.status_code, failed.value.sub_status or 0) == (status, substatus)
    with pytest.raises(CosmosResourceNotFoundError):
        await items.read_item("1", "a")


async def test_a_fault_can_be_meant_for_one_container(server: Emulator, items: ContainerProxy) -> None:
    server.faults.fail(449, container="other")
    await items.create_item(ITEM)


@pytest.mark.parametrize("status", [429, 449])
async def test_an_operation_of_a_batch_fails_inside_a_207(server: Emulator, items: ContainerProxy, status: int) -> None:
    server.faults.fail_operation(status, index=1, retry_after_ms=3)
    operations = [("create", (ITEM,)), ("create", ({"id": "2", "pk": "a"},))]
    with pytest.raises(CosmosBatchOperationError) as failed:
        await items.execute_item_batch(operations, "a")
    assert (failed.value.status_code, failed.value.error_index) == (status, 1)
    assert [one["statusCode"] for one in failed.value.operation_responses] == [424, status]
    assert server.counts()["batch"] == 1
    await items.execute_item_batch(operations, "a")


async def test_the_sdk_sends_a_write_again_whose_answer_was_lost(server: Emulator, items: ContainerProxy) -> None:
    server.faults.drop("after", kind="create")
    with pytest.raises(CosmosResourceExistsError):
        await items.create_item(ITEM)
    assert server.counts()["create"] == 2
    assert (await items.read_item("1", "a"))["n"] == 1


async def test_without_its_retries_the_outcome_is_unknown_though_applied(
    server: Emulator, items: ContainerProxy
) -> None:
    server.faults.drop("after", kind="batch")
    with pytest.raises(ServiceRequestError):
        await items.execute_item_batch([("create", (ITEM,))], "a", **ONCE)
    assert server.counts()["batch"] == 1
    assert (await items.read_item("1", "a"))["n"] == 1


async def test_a_connection_dropped_before_applies_nothing(server: Emulator, items: ContainerProxy) -> None:
    server.faults.drop("before", kind="create")
    with pytest.raises(ServiceRequestError):
        await items.create_item(ITEM, **ONCE)
    with pytest.raises(CosmosResourceNotFoundError):
        await items.read_item("1", "a")


async def test_an_answer_can_be_late(server: Emulator, items: ContainerProxy) -> None:
    server.faults.delay(0.05, kind="read")
    start = time.monotonic()
    await items.read_item("0", "a")
    assert time.monotonic() - start >= 0.05


async def test_every_answer_can_take_its_time(server: Emulator, items: ContainerProxy) -> None:
    server.latency = 0.05
    start = time.monotonic()
    answer = await items.read_item("0", "a")
    assert time.monotonic() - start >= 0.05
    assert answer.get_response_headers()["content-location"] == f"{server.url}dbs/db/colls/c/docs/0/"


async def test_a_stale_replica_is_404_1002_and_tried_again(server: Emulator, items: ContainerProxy) -> None:
    server.faults.stale_session(kind="read")
    assert (await items.read_item("0", "a"))["id"] == "0"
    assert server.counts()["read"] == 2


async def test_a_replica_that_lags_hides_what_it_has_not_seen_from_sessions_that_have_not_either(
    server: Emulator, items: ContainerProxy
) -> None:
    batch = await items.execute_item_batch([("create", ({"id": "new", "pk": "a"},))], "a")
    session = batch.get_response_headers()["x-ms-session-token"]
    server.faults.lag(2)
    assert (await items.read_item("0", "a"))["id"] == "0"
    with pytest.raises(CosmosResourceNotFoundError) as missing:
        await items.read_item("new", "a")
    assert missing.value.sub_status != 1002
    server.faults.lag()
    assert (await items.read_item("new", "a", session_token=session))["id"] == "new"


async def test_a_page_of_the_feed_comes_twice(server: Emulator, items: ContainerProxy) -> None:
    async def poll(**scope: Any) -> tuple[list[str], str]:
        last: list[Any] = []
        feed = items.query_items_change_feed(response_hook=lambda headers, _: last.append(headers), **scope)
        return [document["id"] async for document in feed], last[-1]["etag"]

    first, token = await poll(partition_key="a", start_time="Beginning")
    await items.create_item(ITEM)
    server.faults.duplicate_feed()
    again, token = await poll(continuation=token)
    assert (first, again) == (["0"], ["0", "1"])
    assert (await poll(continuation=token))[0] == []


async def test_an_old_range_is_gone_after_a_split(server: Emulator, items: ContainerProxy) -> None:
    ranges = [one async for one in items.read_feed_ranges()]
    for id in ("0", "1", "2", "3"):
        server.split("db", "c", id)
    server.requests.clear()
    found: list[Any] = []
    for one in ranges:
        found += [id async for id in items.query_items("SELECT VALUE c.id FROM c", feed_range=one)]
    assert found == ["0"]
    assert server.counts()["pkranges"] > 0
