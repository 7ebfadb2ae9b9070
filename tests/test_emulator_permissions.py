"""Users, permissions and resource tokens at the emulator, through the real SDK."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient, DatabaseProxy, UserProxy
from azure.cosmos.exceptions import CosmosHttpResponseError, CosmosResourceExistsError, CosmosResourceNotFoundError

from tests.emulator import Emulator, emulator
from tests.emulator.testing import client_of, new_container

READ = {"id": "p", "permissionMode": "Read", "resource": "dbs/db/colls/c"}


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
    items = await new_container(client)
    for key in ("a", "b"):
        await items.create_item({"id": "1", "pk": key})
    return items


@pytest.fixture
def database(client: CosmosClient, items: ContainerProxy) -> DatabaseProxy:
    return client.get_database_client("db")


@pytest.fixture
async def user(database: DatabaseProxy) -> UserProxy:
    return await database.create_user({"id": "u"})


async def restricted(server: Emulator, user: UserProxy, permission: dict[str, Any], **options: Any) -> CosmosClient:
    """A client that has nothing but the token of a new permission."""
    granted = await user.create_permission(permission, **options)
    return CosmosClient(server.url, {permission["resource"]: granted.properties["_token"]})


async def status_of(call: Any) -> int:
    with pytest.raises(CosmosHttpResponseError) as refused:
        await call
    return int(refused.value.status_code or 0)


async def test_users_are_created_listed_renamed_and_deleted(database: DatabaseProxy) -> None:
    await database.create_user({"id": "one"})
    with pytest.raises(CosmosResourceExistsError):
        await database.create_user({"id": "one"})
    await database.upsert_user({"id": "two"})
    await database.upsert_user({"id": "two"})
    await database.replace_user("one", {"id": "three"})
    assert [one["id"] async for one in database.list_users()] == ["two", "three"]
    found = database.query_users("SELECT * FROM u WHERE u.id = @id", parameters=[{"name": "@id", "value": "two"}])
    assert [one["id"] async for one in found] == ["two"]
    await database.delete_user("two")
    with pytest.raises(CosmosResourceNotFoundError):
        await database.get_user_client("two").read()


async def test_permissions_carry_a_token_whenever_they_are_read(user: UserProxy) -> None:
    await user.create_permission(READ)
    with pytest.raises(CosmosResourceExistsError):
        await user.create_permission(READ)
    assert (await user.get_permission("p")).properties["_token"].startswith("type=resource&")
    assert [one["_token"][:14] async for one in user.list_permissions()] == ["type=resource&"]
    assert [one["id"] async for one in user.query_permissions("SELECT * FROM p")] == ["p"]
    replaced = await user.replace_permission("p", {**READ, "id": "q", "permissionMode": "All"})
    assert replaced.permission_mode == "All"
    await user.delete_permission("q")
    with pytest.raises(CosmosResourceNotFoundError):
        await user.get_permission("q")


@pytest.mark.parametrize("change", [{"permissionMode": "Some"}, {"resource": None}, {"id": None}])
async def test_a_permission_that_grants_nothing_is_refused(user: UserProxy, change: dict[str, Any]) -> None:
    assert await status_of(user.create_permission(READ | change)) == 400


async def test_a_new_user_of_the_same_name_has_no_permissions(database: DatabaseProxy, user: UserProxy) -> None:
    await user.create_permission(READ)
    await database.delete_user("u")
    again = await database.create_user({"id": "u"})
    assert [one async for one in again.list_permissions()] == []


async def test_read_on_a_container_reads_its_items_and_writes_none(server: Emulator, user: UserProxy) -> None:
    async with await restricted(server, user, READ) as client:
        items = client.get_database_client("db").get_container_client("c")
        assert (await items.read_item("1", "a"))["id"] == "1"
        assert len([one async for one in items.query_items("SELECT * FROM c WHERE c.id = '1'")]) == 2
        assert await status_of(items.create_item({"id": "2", "pk": "a"})) == 403
        assert await status_of(items.delete_item("1", "a")) == 403


async def test_all_on_a_container_does_not_reach_the_container_itself(server: Emulator, user: UserProxy) -> None:
    async with await restricted(server, user, READ | {"permissionMode": "All"}) as client:
        database = client.get_database_client("db")
        await database.get_container_client("c").create_item({"id": "2", "pk": "a"})
        assert await status_of(database.delete_container("c")) == 403
        assert await status_of(database.create_container("d", PartitionKey("/pk"))) in (401, 403)


async def test_a_permission_may_be_for_one_partition_key(server: Emulator, user: UserProxy) -> None:
    permission = READ | {"permissionMode": "All", "resourcePartitionKey": ["a"]}
    async with await restricted(server, user, permission) as client:
        items = client.get_database_client("db").get_container_client("c")
        await items.upsert_item({"id": "1", "pk": "a", "n": 1})
        assert await status_of(items.upsert_item({"id": "1", "pk": "b", "n": 1})) == 403


async def test_a_permission_may_be_for_one_item(server: Emulator, user: UserProxy) -> None:
    permission = {"id": "p", "permissionMode": "All", "resource": "dbs/db/colls/c/docs/1"}
    async with await restricted(server, user, permission) as client:
        items = client.get_database_client("db").get_container_client("c")
        assert (await items.read_item("1", "a"))["id"] == "1"
        await items.delete_item("1", "a")
        assert await status_of(items.read_item("2", "a")) in (401, 403)


async def test_a_token_expires(server: Emulator, user: UserProxy) -> None:
    async with await restricted(server, user, READ, resource_token_expiry_seconds=20) as client:
        items = client.get_database_client("db").get_container_client("c")
        await items.read_item("1", "a")
        server.advance(20)
        assert await status_of(items.read_item("1", "a")) == 403


async def test_a_token_that_was_changed_is_401(server: Emulator, user: UserProxy) -> None:
    token = (await user.create_permission(READ)).properties["_token"]
    forged = token.replace("sig=", "sig=A")
    async with client_of(server) as client:
        client.client_connection.master_key = None
        client.client_connection.resource_tokens = {READ["resource"]: forged}
        items = client.get_database_client("db").get_container_client("c")
        assert await status_of(items.read_item("1", "a")) == 401
