"""The change feed at the emulator, through the real SDK: order, pages, starts, scopes, splits and merges."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import CosmosHttpResponseError

from tests.emulator import Emulator, emulator
from tests.emulator.testing import client_of, new_container

Docs = list[dict[str, Any]]


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
    return await new_container(client, default_ttl=-1)


async def drain(items: ContainerProxy, **scope: Any) -> tuple[list[Docs], str]:
    """The pages up to the end of the feed, and the token behind it."""
    last: list[Any] = []
    feed = items.query_items_change_feed(response_hook=lambda headers, _: last.append(headers), **scope)
    pages = [[document async for document in page] async for page in feed.by_page()]
    return pages, last[-1]["etag"]


def flat(pages: list[Docs]) -> list[str]:
    return [document["id"] for page in pages for document in page]


async def create(items: ContainerProxy, *ids: str, key: str = "a") -> None:
    for id in ids:
        await items.create_item({"id": id, "pk": key})


async def test_each_item_appears_once_at_its_latest_change(items: ContainerProxy) -> None:
    await create(items, "1", "2", "3")
    await items.upsert_item({"id": "1", "pk": "a", "n": 2})
    await items.delete_item("2", "a")
    pages, _ = await drain(items, partition_key="a", start_time="Beginning")
    assert flat(pages) == ["3", "1"]
    lsns = [document["_lsn"] for page in pages for document in page]
    assert lsns == sorted(lsns)


async def test_the_lsn_is_in_the_feed_only(items: ContainerProxy) -> None:
    await create(items, "1")
    assert "_lsn" not in await items.read_item("1", "a")


async def test_the_feed_continues_behind_its_last_page(items: ContainerProxy) -> None:
    await create(items, "1", "2")
    _, token = await drain(items, partition_key="a", start_time="Beginning")
    assert (await drain(items, continuation=token))[0] == []
    await create(items, "3")
    pages, token = await drain(items, continuation=token)
    assert flat(pages) == ["3"]
    assert (await drain(items, continuation=token))[0] == []


async def test_now_shows_what_comes_later(items: ContainerProxy) -> None:
    await create(items, "1")
    pages, token = await drain(items, partition_key="a", start_time="Now")
    assert pages == []
    await create(items, "2")
    assert flat((await drain(items, continuation=token))[0]) == ["2"]


async def test_a_start_time_leaves_out_what_is_older(server: Emulator, items: ContainerProxy) -> None:
    await create(items, "1")
    server.advance(100)
    await create(items, "2")
    since = datetime.fromtimestamp(server.now() - 50, UTC)
    assert flat((await drain(items, partition_key="a", start_time=since))[0]) == ["2"]


async def test_pages_have_the_size_asked_for_but_never_cut_a_transaction(items: ContainerProxy) -> None:
    await create(items, "1")
    await items.execute_item_batch([("create", ({"id": id, "pk": "a"},)) for id in "234"], "a")
    await create(items, "5", "6")
    pages, _ = await drain(items, partition_key="a", start_time="Beginning", max_item_count=2)
    assert [flat([page]) for page in pages] == [["1", "2", "3", "4"], ["5", "6"]]


async def test_a_partition_key_sees_its_own_changes_only(items: ContainerProxy) -> None:
    await create(items, "1", key="a")
    await create(items, "2", key="b")
    assert flat((await drain(items, partition_key="b", start_time="Beginning"))[0]) == ["2"]


async def test_the_feed_ranges_together_are_the_container(items: ContainerProxy) -> None:
    for n in range(40):
        await create(items, str(n), key=f"k{n}")
    ranges = [one async for one in items.read_feed_ranges()]
    assert len(ranges) == 4
    parts = [flat((await drain(items, feed_range=one, start_time="Beginning"))[0]) for one in ranges]
    assert all(parts)
    assert sorted((id for part in parts for id in part), key=int) == [str(n) for n in range(40)]


async def test_a_part_of_a_range_sees_its_own_keys_only(items: ContainerProxy) -> None:
    for n in range(20):
        await create(items, str(n), key=f"k{n}")
    point = await items.feed_range_from_partition_key("k7")
    assert flat((await drain(items, feed_range=point, start_time="Beginning"))[0]) == ["7"]


async def test_expired_items_are_not_in_the_feed(server: Emulator, items: ContainerProxy) -> None:
    await items.create_item({"id": "1", "pk": "a", "ttl": 5})
    server.advance(6)
    assert (await drain(items, partition_key="a", start_time="Beginning"))[0] == []


async def test_the_full_fidelity_feed_needs_an_account_that_this_is_not(items: ContainerProxy) -> None:
    with pytest.raises(CosmosHttpResponseError) as refused:
        await drain(items, mode="AllVersionsAndDeletes")
    assert refused.value.status_code == 400


# ---------------------------------------------------------------------------------------------------- split, merge


async def test_nothing_is_lost_or_repeated_over_a_split(server: Emulator, items: ContainerProxy) -> None:
    for n in range(40):
        await create(items, f"old{n}", key=f"k{n}")
    first, *_ = [one async for one in items.read_feed_ranges()]
    pages, token = await drain(items, feed_range=first, start_time="Beginning")
    left, right = server.split("db", "c", "0")
    assert left.parents == right.parents == ["0"]
    assert left.changes
    assert right.changes
    for n in range(40):
        await create(items, f"new{n}", key=f"k{n}")
    continued, _ = await drain(items, continuation=token)
    assert sorted(flat(continued)) == sorted(f"new{id[3:]}" for id in flat(pages))


async def test_nothing_is_lost_or_repeated_over_a_merge(server: Emulator, items: ContainerProxy) -> None:
    for n in range(40):
        await create(items, f"old{n}", key=f"k{n}")
    first, *_ = [one async for one in items.read_feed_ranges()]
    pages, token = await drain(items, feed_range=first, start_time="Beginning")
    child = server.merge("db", "c", "0", "1")
    assert child.parents == ["0", "1"]
    for n in range(40):
        await create(items, f"new{n}", key=f"k{n}")
    continued, _ = await drain(items, continuation=token)
    assert sorted(flat(continued)) == sorted(f"new{id[3:]}" for id in flat(pages))


async def test_items_stay_readable_over_a_split(server: Emulator, items: ContainerProxy) -> None:
    await create(items, "1")
    for id in ("0", "1", "2", "3"):
        server.split("db", "c", id)
    assert (await items.read_item("1", "a"))["id"] == "1"
    assert len([one async for one in items.read_feed_ranges(force_refresh=True)]) == 8


async def test_a_recreated_container_makes_old_tokens_invalid(client: CosmosClient, items: ContainerProxy) -> None:
    _, token = await drain(items, partition_key="a", start_time="Beginning")
    await client.get_database_client("db").delete_container("c")
    again = await new_container(client)
    with pytest.raises(ValueError, match="rid"):
        await drain(again, continuation=token)
