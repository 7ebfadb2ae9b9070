"""Items at the emulator, through the real SDK: conditions, strictness, expiry, unique keys, partial updates."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosBatchOperationError,
    CosmosHttpResponseError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from tests.emulator import Emulator, emulator
from tests.emulator.testing import client_of, new_container

ITEM = {"id": "1", "pk": "a", "n": 1}
STALE = '"00000000-0000-0000-0000-000000000000"'


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


async def test_a_created_item_carries_the_system_properties(items: ContainerProxy) -> None:
    created = await items.create_item(ITEM)
    assert created.items() >= ITEM.items()
    assert {"_rid", "_self", "_etag", "_ts", "_attachments"} < set(created)
    assert created == await items.read_item("1", "a")
    headers = created.get_response_headers()
    assert headers["etag"] == created["_etag"]
    assert headers["x-ms-session-token"].split(":")[0] == headers["x-ms-documentdb-partitionkeyrangeid"]
    assert float(headers["x-ms-request-charge"]) > 4.95


async def test_ids_are_unique_within_a_partition_key_only(items: ContainerProxy) -> None:
    await items.create_item(ITEM)
    await items.create_item({**ITEM, "pk": "b"})
    with pytest.raises(CosmosResourceExistsError):
        await items.create_item(ITEM)


async def test_an_item_is_found_under_its_partition_key_only(items: ContainerProxy) -> None:
    await items.create_item(ITEM)
    with pytest.raises(CosmosResourceNotFoundError) as missing:
        await items.read_item("1", "b")
    assert missing.value.sub_status in (None, 0)


async def test_replace_requires_the_etag_that_was_given(items: ContainerProxy) -> None:
    created = await items.create_item(ITEM)
    match = MatchConditions.IfNotModified
    replaced = await items.replace_item("1", {**ITEM, "n": 2}, etag=created["_etag"], match_condition=match)
    assert replaced["n"] == 2
    assert replaced["_etag"] != created["_etag"]
    assert replaced["_rid"] == created["_rid"]
    with pytest.raises(CosmosAccessConditionFailedError):
        await items.replace_item("1", {**ITEM, "n": 3}, etag=created["_etag"], match_condition=match)
    assert (await items.read_item("1", "a"))["n"] == 2


async def test_replace_of_a_missing_item_is_404(items: ContainerProxy) -> None:
    with pytest.raises(CosmosResourceNotFoundError):
        await items.replace_item("1", ITEM)


async def test_replace_with_another_id_renames_the_item(items: ContainerProxy) -> None:
    created = await items.create_item(ITEM)
    renamed = await items.replace_item("1", {**ITEM, "id": "2"})
    assert renamed["_rid"] == created["_rid"]
    with pytest.raises(CosmosResourceNotFoundError):
        await items.read_item("1", "a")


async def test_reading_what_is_cached_is_304_and_empty(items: ContainerProxy) -> None:
    created = await items.create_item(ITEM)
    read = await items.read_item("1", "a", etag=created["_etag"], match_condition=MatchConditions.IfModified)
    assert read == {}
    assert read.get_response_headers()["etag"] == created["_etag"]
    assert float(read.get_response_headers()["x-ms-request-charge"]) == 1.0


async def test_upsert_creates_then_replaces(items: ContainerProxy) -> None:
    first = await items.upsert_item(ITEM)
    second = await items.upsert_item({**ITEM, "n": 2})
    assert (first["n"], second["n"]) == (1, 2)
    with pytest.raises(CosmosAccessConditionFailedError):
        await items.upsert_item(ITEM, etag=first["_etag"], match_condition=MatchConditions.IfNotModified)
    with pytest.raises(CosmosAccessConditionFailedError):
        await items.upsert_item(ITEM, match_condition=MatchConditions.IfMissing)


async def test_trap_an_upsert_with_an_etag_creates_what_is_not_there(items: ContainerProxy) -> None:
    await items.upsert_item(ITEM, etag=STALE, match_condition=MatchConditions.IfNotModified)
    await items.read_item("1", "a")


async def test_delete_honours_the_etag(items: ContainerProxy) -> None:
    created = await items.create_item(ITEM)
    with pytest.raises(CosmosAccessConditionFailedError):
        await items.delete_item("1", "a", etag=STALE, match_condition=MatchConditions.IfNotModified)
    await items.delete_item("1", "a", etag=created["_etag"], match_condition=MatchConditions.IfNotModified)
    with pytest.raises(CosmosResourceNotFoundError):
        await items.delete_item("1", "a")


async def test_minimal_replies_carry_the_etag_without_the_item(items: ContainerProxy) -> None:
    created = await items.create_item(ITEM, no_response=True)
    assert created == {}
    assert created.get_response_headers()["etag"] == (await items.read_item("1", "a"))["_etag"]


@pytest.mark.parametrize("id", ["x" * 1024, ""])
async def test_ids_that_azure_refuses_are_refused(items: ContainerProxy, id: str) -> None:
    with pytest.raises(CosmosHttpResponseError) as refused:
        await items.create_item({"id": id, "pk": "a"})
    assert refused.value.status_code == 400


@pytest.mark.parametrize("id", ["a/b", "a\\b", "a?b", "a#b", "a\tb", "a\n", "a "])
async def test_ids_with_characters_that_azure_refuses_are_refused(items: ContainerProxy, id: str) -> None:
    with pytest.raises(CosmosBatchOperationError) as refused:  # the SDK itself checks the ids of single items
        await items.execute_item_batch([("create", ({"id": id, "pk": "a"},))], "a")
    assert refused.value.status_code == 400


async def test_an_id_may_hold_any_other_character(items: ContainerProxy) -> None:
    id = "größe %2B & = + : 'q' \"日本\" a b"
    await items.create_item({"id": id, "pk": "ü/ä"})
    assert (await items.read_item(id, "ü/ä"))["id"] == id


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_an_item_over_two_megabytes_is_413(items: ContainerProxy) -> None:
    with pytest.raises(CosmosHttpResponseError) as refused:
        await items.create_item({**ITEM, "text": "x" * 2 * 1024 * 1024})
    assert refused.value.status_code == 413


async def test_a_key_in_the_header_that_is_not_the_items_is_400_1001(items: ContainerProxy) -> None:
    await items.create_item(ITEM)
    with pytest.raises(CosmosHttpResponseError) as refused:
        await items.patch_item("1", "a", [{"op": "set", "path": "/pk", "value": "b"}])
    assert (refused.value.status_code, refused.value.sub_status) == (400, 1001)


async def test_numbers_are_doubles(items: ContainerProxy) -> None:
    await items.create_item({**ITEM, "whole": 1.0, "half": 0.5, "big": 2**60 + 1})
    read = await items.read_item("1", "a")
    assert repr(read["whole"]) == "1"
    assert read["half"] == 0.5
    assert read["big"] == float(2**60)


async def test_items_expire_by_the_servers_clock(server: Emulator, items: ContainerProxy) -> None:
    await items.create_item({**ITEM, "ttl": 60})
    await items.create_item({**ITEM, "id": "2"})
    server.advance(59)
    await items.read_item("1", "a")
    server.advance(2)
    with pytest.raises(CosmosResourceNotFoundError):
        await items.read_item("1", "a")
    left = [item["id"] async for item in items.query_items("SELECT * FROM c", partition_key="a")]
    assert left == ["2"]
    await items.create_item(ITEM)


async def test_a_container_without_ttl_ignores_that_of_its_items(server: Emulator, client: CosmosClient) -> None:
    items = await new_container(client)
    await items.create_item({**ITEM, "ttl": 1})
    server.advance(10)
    await items.read_item("1", "a")


async def test_the_containers_ttl_holds_unless_the_item_says_never(server: Emulator, client: CosmosClient) -> None:
    items = await new_container(client, default_ttl=10)
    await items.create_item(ITEM)
    await items.create_item({**ITEM, "id": "2", "ttl": -1})
    server.advance(11)
    with pytest.raises(CosmosResourceNotFoundError):
        await items.read_item("1", "a")
    await items.read_item("2", "a")


@pytest.mark.parametrize("ttl", [0, -2, "60", None, 1.5])
async def test_a_ttl_that_is_none_is_refused(items: ContainerProxy, ttl: Any) -> None:
    with pytest.raises(CosmosHttpResponseError) as refused:
        await items.create_item({**ITEM, "ttl": ttl})
    assert refused.value.status_code == 400


async def test_unique_keys_hold_within_a_partition(client: CosmosClient) -> None:
    items = await new_container(client, unique_key_policy={"uniqueKeys": [{"paths": ["/email"]}]})
    await items.create_item({**ITEM, "email": "x"})
    await items.upsert_item({**ITEM, "email": "x", "n": 2})
    await items.create_item({"id": "2", "pk": "b", "email": "x"})
    with pytest.raises(CosmosResourceExistsError):
        await items.create_item({"id": "2", "pk": "a", "email": "x"})


async def test_hierarchical_keys_are_given_in_full_for_an_item(client: CosmosClient) -> None:
    items = await new_container(client, ["/tenant", "/user"])
    await items.create_item({"id": "1", "tenant": "t", "user": "u"})
    assert (await items.read_item("1", ["t", "u"]))["id"] == "1"
    with pytest.raises(CosmosHttpResponseError) as refused:
        await items.read_item("1", ["t"])
    assert (refused.value.status_code, refused.value.sub_status) == (400, 1001)


async def test_all_items_of_a_partition_key_can_be_deleted(items: ContainerProxy) -> None:
    for id in "123":
        await items.create_item({"id": id, "pk": "a"})
    await items.create_item({"id": "1", "pk": "b"})
    await items.delete_all_items_by_partition_key("a")
    assert [item["pk"] async for item in items.read_all_items()] == ["b"]


# ---------------------------------------------------------------------------------------------------- patch


async def test_patch_operations_apply_in_order(items: ContainerProxy) -> None:
    await items.create_item({**ITEM, "list": [1, 2], "inner": {"x": 1}, "old": "o"})
    patched = await items.patch_item(
        "1",
        "a",
        [
            {"op": "incr", "path": "/n", "value": 4},
            {"op": "add", "path": "/list/0", "value": 0},
            {"op": "add", "path": "/list/-", "value": 3},
            {"op": "set", "path": "/inner/y", "value": 2},
            {"op": "replace", "path": "/inner/x", "value": 9},
            {"op": "move", "from": "/old", "path": "/new"},
            {"op": "remove", "path": "/list/1"},
        ],
    )
    assert patched["n"] == 5
    assert patched["list"] == [0, 2, 3]
    assert patched["inner"] == {"x": 9, "y": 2}
    assert patched["new"] == "o"
    assert "old" not in patched


async def test_a_patch_condition_that_fails_is_412(items: ContainerProxy) -> None:
    await items.create_item(ITEM)
    operations = [{"op": "incr", "path": "/n", "value": 1}]
    await items.patch_item("1", "a", operations, filter_predicate="FROM c WHERE c.n = 1")
    with pytest.raises(CosmosAccessConditionFailedError):
        await items.patch_item("1", "a", operations, filter_predicate="FROM c WHERE c.n = 1")


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "replace", "path": "/missing", "value": 1}],
        [{"op": "set", "path": "/missing/inner", "value": 1}],
        [{"op": "incr", "path": "/text", "value": 1}],
        [{"op": "set", "path": "/id", "value": "2"}],
        [{"op": "set", "path": f"/p{n}", "value": n} for n in range(11)],
        [{"op": "add", "path": "/list/9", "value": 1}],
    ],
)
async def test_a_patch_that_does_not_fit_changes_nothing(
    items: ContainerProxy, operations: list[dict[str, Any]]
) -> None:
    created = await items.create_item({**ITEM, "text": "t", "list": []})
    with pytest.raises(CosmosHttpResponseError) as refused:
        await items.patch_item("1", "a", operations)
    assert refused.value.status_code == 400
    assert await items.read_item("1", "a") == created


# ---------------------------------------------------------------------------------------------------- access


async def test_a_wrong_key_is_401(server: Emulator, items: ContainerProxy) -> None:
    server.key = "YWJj" * 16
    with pytest.raises(CosmosHttpResponseError) as refused:
        await items.read_item("1", "a")
    assert refused.value.status_code == 401


async def test_a_session_that_saw_more_than_there_is_gets_404_1002(items: ContainerProxy) -> None:
    created = await items.create_item(ITEM)
    partition = created.get_response_headers()["x-ms-documentdb-partitionkeyrangeid"]
    with pytest.raises(CosmosHttpResponseError) as refused:
        await items.read_item("1", "a", session_token=f"{partition}:0#99#1=-1")
    assert (refused.value.status_code, refused.value.sub_status) == (404, 1002)


async def test_the_client_sends_the_token_of_its_last_write(server: Emulator, items: ContainerProxy) -> None:
    created = await items.create_item(ITEM)
    seen: list[dict[str, str]] = []
    await items.read_item("1", "a", raw_request_hook=lambda request: seen.append(dict(request.http_request.headers)))
    assert seen[0]["x-ms-session-token"] == created.get_response_headers()["x-ms-session-token"]


async def test_trap_the_sdk_mixes_the_sessions_of_containers_that_it_writes_without_payloads(server: Emulator) -> None:
    async with client_of(server, no_response_on_write=True) as client:
        first = await new_container(client)
        second = await client.get_database_client("db").create_container("d", PartitionKey("/pk"))
        for _ in range(3):
            await first.upsert_item(ITEM)
        await second.create_item(ITEM)
        with pytest.raises(CosmosHttpResponseError) as refused:
            await second.read_item("1", "a")
        assert refused.value.sub_status == 1002


async def test_a_recreated_container_is_noticed_by_its_rid(client: CosmosClient, items: ContainerProxy) -> None:
    await items.create_item(ITEM)
    database = client.get_database_client("db")
    await database.delete_container("c")
    with pytest.raises(CosmosHttpResponseError) as missing:
        await items.create_item(ITEM)
    assert (missing.value.status_code, missing.value.sub_status) == (404, 1003)
    await new_container(client)
    await items.create_item(ITEM)
