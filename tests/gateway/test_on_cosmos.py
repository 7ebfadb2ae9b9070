"""What only the Cosmos DB engine has to show: provisioning, unclear outcomes, patience, splits, and its cost."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from pydantic import SecretStr

from gateway.settings import Settings
from gateway.wiring import Gateway, running_gateway
from gateway.wiring import provision as provision_gateway
from store import (
    Conflict,
    Container,
    Create,
    Document,
    Eq,
    FeedRange,
    OutcomeUnknown,
    Query,
    Replace,
    StoreUnusable,
    Throttled,
    Write,
)
from store.cosmos import connect, engine, open_cosmos, provision
from tests.emulator import Emulator, emulator
from tests.schema.api import Api
from tests.store.notes import CONTAINERS, NOTES, create, follow, keep, note

DATABASE = "tests"


@pytest.fixture
async def server() -> AsyncIterator[Emulator]:
    async with emulator(partitions=2) as server:
        yield server


@pytest.fixture
async def notes(server: Emulator) -> AsyncIterator[Container]:
    async with connect(server.url, server.key) as client:
        await provision(client, DATABASE, CONTAINERS)
    store = await open_cosmos(server.url, server.key, DATABASE, CONTAINERS)
    yield store.container("notes")
    await store.close()


# ------------------------------------------------------------------------------------------------ provisioning


async def test_provisioning_makes_what_is_missing_and_then_has_nothing_to_do(server: Emulator) -> None:
    async with connect(server.url, server.key) as client:
        planned = await provision(client, DATABASE, CONTAINERS, dry_run=True)
        done = await provision(client, DATABASE, CONTAINERS, autoscale_max=1000)
        again = await provision(client, DATABASE, CONTAINERS)
    assert planned == done
    assert ([step.changes for step in done], [step.changes for step in again]) == ([True] * 3, [False] * 3)


async def test_provisioning_brings_indexes_up_to_date_and_names_them(server: Emulator) -> None:
    async with connect(server.url, server.key) as client:
        await provision(client, DATABASE, [replace(NOTES, indexes=())])
        _, step = await provision(client, DATABASE, [NOTES])
        assert step.changes
        assert "the composite index on /rank, /id is missing" in step.told
        _, step = await provision(client, DATABASE, [NOTES])
        assert not step.changes


async def test_provisioning_refuses_another_partition_key(server: Emulator) -> None:
    async with connect(server.url, server.key) as client:
        await provision(client, DATABASE, [replace(NOTES, partition_key="other")])
        with pytest.raises(StoreUnusable, match="its partition key is /other, not /owner"):
            await provision(client, DATABASE, [NOTES])


async def test_a_store_that_is_not_provisioned_says_so(server: Emulator) -> None:
    with pytest.raises(StoreUnusable, match="gateway provision"):
        await open_cosmos(server.url, server.key, DATABASE, CONTAINERS)


@pytest.mark.parametrize("key", ["c3dvcmRmaXNo", "no base64!"])
async def test_a_wrong_key_is_told_and_not_shown(server: Emulator, key: str) -> None:
    with pytest.raises(StoreUnusable, match="COSMOS_KEY") as refused:
        await open_cosmos(server.url, key, DATABASE, CONTAINERS)
    assert key not in str(refused.value)


# ------------------------------------------------------------------------------------------------ what goes wrong


async def test_a_batch_whose_answer_is_lost_is_sent_once_and_its_outcome_unknown(
    notes: Container, server: Emulator
) -> None:
    server.faults.drop("after", kind="batch")
    sent = server.counts()["batch"]
    with pytest.raises(OutcomeUnknown):
        await notes.commit("ada", [create("ada", "n1")])
    assert server.counts()["batch"] == sent + 1
    assert await notes.read("ada", "n1")


async def test_a_busy_service_is_asked_again_for_a_while(notes: Container, server: Emulator) -> None:
    server.faults.throttle(20, kind="batch", retry_after_ms=1)
    server.faults.fail_operation(449)
    assert await keep(notes, "ada", "n1")


async def test_a_service_that_stays_busy_is_throttled(
    notes: Container, server: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_DEADLINE_S", 0.05)
    server.faults.throttle(1000, kind="batch", retry_after_ms=1)
    with pytest.raises(Throttled):
        await keep(notes, "ada", "n1")


async def test_a_conflict_names_the_write_among_those_that_only_failed_with_it(notes: Container) -> None:
    (etag,) = await keep(notes, "ada", "n1")
    await keep(notes, "ada", "n1")
    writes: list[Write] = [Create("n2", note("ada", "n2")), Replace("n1", note("ada", "n1"), etag)]
    with pytest.raises(Conflict) as conflict:
        await notes.commit("ada", writes)
    assert (conflict.value.index, conflict.value.reason) == (1, "changed")


async def test_a_split_loses_no_change(notes: Container, server: Emulator) -> None:
    for number in range(20):
        await keep(notes, f"owner{number}", "before")
    ranges = await notes.feed_ranges()
    server.split(DATABASE, "notes", "0")
    for number in range(20):
        await keep(notes, f"owner{number}", "after")
    found = [document for scope in ranges for document in await _all(notes, scope)]
    assert len(found) == len({(document.partition, document.id) for document in found}) == 40
    assert len(await notes.feed_ranges()) == len(ranges) + 1


async def _all(notes: Container, scope: FeedRange) -> list[Document]:
    return (await follow(notes, scope))[0]


# ------------------------------------------------------------------------------------------------ all of the product


@pytest.fixture
async def settings(server: Emulator) -> Settings:
    settings = Settings(store_url=server.url, cosmos_key=SecretStr(server.key))
    assert all(step.changes for step in await provision_gateway(settings, dry_run=False))
    return settings


async def test_commands_on_known_orders_are_one_request_each(server: Emulator, settings: Settings) -> None:
    async with running_gateway(settings.model_copy(update={"projector": False})) as gateway:
        before = server.counts()
        await Api(gateway).submitted()
        spent = server.counts() - before
        assert (spent["read"], spent["query"], spent["container"]) == (0, 0, 0)
        assert spent["batch"] == await commands_of(gateway)


async def commands_of(gateway: Gateway) -> int:
    commands = gateway.store.container("orders")
    return len((await commands.query(Query("ada", (Eq("kind", "command"),)))).documents)


async def test_a_query_with_a_commands_token_sees_it_projected(settings: Settings) -> None:
    async with running_gateway(settings) as gateway:
        api = Api(gateway)
        payload = await api.submitted()
        status = await api.ask(
            """query($id: ID!, $after: [ConsistencyToken!]!) {
              order(id: $id, consistency: {after: $after, waitMs: 10000, onTimeout: ERROR}) { status } }""",
            {"id": payload["order"]["id"], "after": [payload["consistencyToken"]]},
        )
        assert status == {"order": {"status": "SUBMITTED"}}
