"""Stored procedures, triggers and functions as resources at the emulator, and the refusal to run them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosHttpResponseError, CosmosResourceExistsError, CosmosResourceNotFoundError

from tests.emulator import emulator
from tests.emulator.testing import client_of, new_container

BODY = "function () { }"
TRIGGER = {"id": "1", "body": BODY, "triggerType": "Pre", "triggerOperation": "All"}


@pytest.fixture
async def items() -> AsyncIterator[ContainerProxy]:
    async with emulator() as server, client_of(server) as client:
        yield await new_container(client)


@pytest.mark.parametrize(
    ("sort", "plural", "definition"),
    [
        ("stored_procedure", "stored_procedures", {"id": "1", "body": BODY}),
        ("trigger", "triggers", TRIGGER),
        ("user_defined_function", "user_defined_functions", {"id": "1", "body": BODY}),
    ],
)
async def test_scripts_are_created_listed_replaced_and_deleted(
    items: ContainerProxy, sort: str, plural: str, definition: dict[str, Any]
) -> None:
    def of(verb: str, name: str = sort) -> Any:
        return getattr(items.scripts, f"{verb}_{name}")

    created = await of("create")(definition)
    assert definition.items() <= created.items()
    with pytest.raises(CosmosResourceExistsError):
        await of("create")(definition)
    replaced = await of("replace")("1", {**definition, "id": "2"})
    assert replaced["_rid"] == created["_rid"]
    assert replaced["_etag"] != created["_etag"]
    assert (await of("get")("2"))["body"] == BODY
    assert [one["id"] async for one in of("list", plural)()] == ["2"]
    assert [one async for one in of("query", plural)("SELECT VALUE s.id FROM s")] == ["2"]
    await of("delete")("2")
    with pytest.raises(CosmosResourceNotFoundError):
        await of("get")("2")


async def test_a_script_without_a_body_is_refused(items: ContainerProxy) -> None:
    with pytest.raises(CosmosHttpResponseError, match="body"):
        await items.scripts.create_stored_procedure({"id": "1"})
    with pytest.raises(CosmosHttpResponseError, match="triggerType"):
        await items.scripts.create_trigger(TRIGGER | {"triggerType": "Instead"})


async def test_scripts_are_kept_but_not_run(items: ContainerProxy) -> None:
    await items.scripts.create_stored_procedure({"id": "1", "body": BODY})
    await items.scripts.create_trigger(TRIGGER)
    with pytest.raises(CosmosHttpResponseError, match="does not run them"):
        await items.scripts.execute_stored_procedure("1", partition_key="a")
    with pytest.raises(CosmosHttpResponseError, match="does not run them"):
        await items.create_item({"id": "1", "pk": "a"}, pre_trigger_include="1")
    assert [one async for one in items.read_all_items()] == []
