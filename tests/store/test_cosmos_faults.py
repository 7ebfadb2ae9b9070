"""What goes wrong between the engine and Cosmos DB, and what becomes of it: no write twice, and no wrong answer."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from azure.cosmos.partition_key import PartitionKey

from store import (
    Conflict,
    Container,
    Create,
    Delete,
    Document,
    Etag,
    OutcomeUnknown,
    Query,
    Replace,
    Start,
    StoreUnusable,
    Throttled,
    TooLarge,
    Unavailable,
    Upsert,
    Write,
)
from store.cosmos import CosmosStore, client, container, errors
from tests.emulator import Emulator, emulator
from tests.projector.world import until
from tests.store.cosmos import DATABASE, opened, provisioned
from tests.store.notes import MEGABYTE, create, keep, note


@pytest.fixture
async def server() -> AsyncIterator[Emulator]:
    async with emulator(partitions=2) as server:
        await provisioned(server)
        yield server


@pytest.fixture
async def store(server: Emulator) -> AsyncIterator[CosmosStore]:
    async with opened(server) as store:
        yield store


@pytest.fixture
async def notes(store: CosmosStore) -> Container:
    return store.container("notes")


async def kept(notes: Container, id: str = "n1") -> Document:
    await keep(notes, "ada", id)
    document = await notes.read("ada", id)
    assert document
    return document


# ---------------------------------------------------------------------------------------------------- unclear outcomes


def writes_of(kind: str, etag: Etag) -> list[Write]:
    changed = note("ada", "n1", text="changed")
    match kind:
        case "create":
            return [create("ada", "n2")]
        case "replace":
            return [Replace("n1", changed, etag)]
        case "upsert":
            return [Upsert("n1", changed)]
        case "delete":
            return [Delete("n1", etag)]
        case _:
            return [create("ada", "n2"), Replace("n1", changed, etag)]


async def applied(notes: Container, kind: str) -> bool:
    """Whether the writes of that kind are to be seen."""
    first, second = await notes.read("ada", "n1"), await notes.read("ada", "n2")
    changed = first is not None and first.decode(dict).get("text") == "changed"
    return {"create": second is not None, "delete": first is None}.get(kind, changed)


KINDS = ["create", "replace", "upsert", "delete", "batch"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_write_whose_answer_is_lost_was_sent_once_and_nobody_claims_to_know(
    notes: Container, server: Emulator, kind: str
) -> None:
    etag = (await kept(notes)).etag
    server.faults.drop("after", kind="batch")
    sent = server.counts()["batch"]
    with pytest.raises(OutcomeUnknown):
        await notes.commit("ada", writes_of(kind, etag))
    assert server.counts()["batch"] == sent + 1
    assert await applied(notes, kind)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_write_that_is_lost_on_its_way_was_sent_once_and_nobody_claims_to_know(
    notes: Container, server: Emulator, kind: str
) -> None:
    etag = (await kept(notes)).etag
    server.faults.drop("before", kind="batch")
    sent = server.counts()["batch"]
    with pytest.raises(OutcomeUnknown):
        await notes.commit("ada", writes_of(kind, etag))
    assert server.counts()["batch"] == sent + 1
    assert not await applied(notes, kind)


async def test_a_write_that_nobody_answers_in_time_may_have_been_applied(
    server: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "READ_TIMEOUT_S", 0.1)
    async with opened(server) as store:
        notes = store.container("notes")
        server.faults.delay(1.0, kind="batch")
        with pytest.raises(OutcomeUnknown):
            await notes.commit("ada", [create("ada", "n1")])
        await until(lambda: notes.read("ada", "n1"))  # the server was only slow
        assert server.counts()["batch"] == 1


async def test_a_write_that_is_cancelled_may_have_been_applied(notes: Container, server: Emulator) -> None:
    server.faults.delay(0.2, kind="batch")
    write = asyncio.create_task(notes.commit("ada", [create("ada", "n1")]))
    await until(lambda: server.counts()["batch"])
    write.cancel()
    with pytest.raises(asyncio.CancelledError):
        await write
    await until(lambda: notes.read("ada", "n1"))


@pytest.mark.parametrize("status", [408, 500, 503])
async def test_an_error_that_says_nothing_about_the_write_leaves_its_outcome_unknown(
    notes: Container, server: Emulator, status: int
) -> None:
    server.faults.fail(status, 10, kind="batch")
    with pytest.raises(OutcomeUnknown):
        await notes.commit("ada", [create("ada", "n1")])


# ---------------------------------------------------------------------------------------------------- clear refusals


async def test_a_conflict_names_the_write_among_those_that_only_failed_with_it(notes: Container) -> None:
    etag = (await kept(notes)).etag
    await keep(notes, "ada", "n1")
    writes: list[Write] = [Create("n2", note("ada", "n2")), Replace("n1", note("ada", "n1"), etag)]
    with pytest.raises(Conflict) as conflict:
        await notes.commit("ada", writes)
    assert (conflict.value.index, conflict.value.reason) == (1, "changed")


async def test_a_guarded_upsert_of_what_is_not_there_is_missing(notes: Container) -> None:
    etag = (await kept(notes)).etag
    with pytest.raises(Conflict) as conflict:
        await notes.commit("ada", [Upsert("n2", note("ada", "n2"), etag)])
    assert conflict.value.reason == "missing"


async def test_what_is_too_large_for_a_batch_is_refused_whole(notes: Container) -> None:
    writes = [create("ada", f"n{number}", text="x" * MEGABYTE) for number in range(3)]
    with pytest.raises(TooLarge):
        await notes.commit("ada", writes)
    assert await notes.read("ada", "n0") is None


async def test_a_forbidden_write_was_not_applied(notes: Container, server: Emulator) -> None:
    server.faults.fail(403, kind="batch", substatus=5300)
    with pytest.raises(StoreUnusable, match="forbids it"):
        await notes.commit("ada", [create("ada", "n1")])


async def test_a_bad_request_was_not_applied(notes: Container, server: Emulator) -> None:
    server.faults.fail(400, kind="batch")
    with pytest.raises(Unavailable, match="answered 400"):
        await notes.commit("ada", [create("ada", "n1")])


async def test_a_container_that_is_gone_is_named(store: CosmosStore, server: Emulator) -> None:
    server.account.delete_container(DATABASE, "notes")
    notes = store.container("notes")
    for request in (notes.read("ada", "n1"), notes.commit("ada", [create("ada", "n1")]), notes.query(Query("ada"))):
        with pytest.raises(StoreUnusable, match=r"container 'notes': .*does not exist"):
            await request


# ---------------------------------------------------------------------------------------------------- patience


@pytest.mark.parametrize("status", [410, 429, 449])
async def test_a_busy_service_is_asked_again_for_a_while(notes: Container, server: Emulator, status: int) -> None:
    server.faults.fail(status, 3, kind="batch", retry_after_ms=1)
    assert await keep(notes, "ada", "n1")
    server.faults.fail(status, 3, kind="read", retry_after_ms=1)
    assert await notes.read("ada", "n1")


@pytest.mark.parametrize("status", [429, 449])
async def test_a_busy_operation_inside_a_batch_is_sent_again(notes: Container, server: Emulator, status: int) -> None:
    server.faults.fail_operation(status, 3, index=1)
    assert len(await keep(notes, "ada", "n1", "n2")) == 2


async def test_a_service_that_stays_busy_is_throttled(
    notes: Container, server: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "BUSY_DEADLINE_S", 0.05)
    server.faults.throttle(1000, kind="batch", retry_after_ms=1)
    with pytest.raises(Throttled):
        await keep(notes, "ada", "n1")


async def test_units_that_are_spent_for_a_while_lose_nothing(notes: Container, server: Emulator) -> None:
    server.faults.budget = 0.0
    write = asyncio.create_task(keep(notes, "ada", "n1"))
    await until(lambda: server.counts()["batch"])
    server.faults.clear()
    assert await write


async def test_a_read_that_is_cut_is_asked_again(notes: Container, server: Emulator) -> None:
    await keep(notes, "ada", "n1")
    server.faults.drop("before", kind="read")
    server.faults.drop("after", kind="query")
    assert await notes.read("ada", "n1")
    assert (await notes.query(Query("ada"))).documents


async def test_a_read_that_nobody_answers_ends(
    notes: Container, server: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "READ_DEADLINE_S", 0.05)
    server.faults.delay(0.5, kind="read")
    with pytest.raises(Unavailable, match=r"no answer from Cosmos DB \(in time\)"):
        await notes.read("ada", "n1")


# ---------------------------------------------------------------------------------------------------- sessions, cost


async def test_a_read_behind_a_commit_carries_its_session(notes: Container, server: Emulator) -> None:
    """The SDK does not note the session of a batch, so to its reads a replica that lags says that there is nothing."""
    await keep(notes, "ada", "n1")
    server.faults.lag()
    assert await notes.read("ada", "n1")


async def test_a_read_behind_a_feed_is_as_new_as_what_that_showed(notes: Container, server: Emulator) -> None:
    async with opened(server) as elsewhere:
        await keep(elsewhere.container("notes"), "ada", "n1")
    for scope in await notes.feed_ranges():
        await notes.changes(scope, Start.BEGINNING)
    server.faults.lag()
    assert await notes.read("ada", "n1")


async def test_a_request_of_a_session_needs_no_hash_of_its_partition_key(
    notes: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    await keep(notes, "ada", "n1")
    hashed: list[str] = []
    monkeypatch.setattr(
        PartitionKey, "_get_epk_range_for_partition_key", lambda self, pk_value: hashed.append(pk_value)
    )
    assert await notes.read("ada", "n1")
    await keep(notes, "ada", "n2")
    assert not hashed


async def test_replicas_that_stay_behind_do_not_make_a_document_missing(notes: Container, server: Emulator) -> None:
    await keep(notes, "ada", "n1")
    server.faults.stale_session(10)
    with pytest.raises(Unavailable, match="no replica is as far"):
        await notes.read("ada", "n1")


async def test_a_session_with_a_container_that_was_made_anew_is_given_up(notes: Container, server: Emulator) -> None:
    for number in range(9):
        await keep(notes, "ada", f"n{number}")
    async with opened(server) as dropping:
        await dropping.drop("notes")
    await provisioned(server)
    async with opened(server) as elsewhere:
        await keep(elsewhere.container("notes"), "ada", "new")
    with pytest.raises(Unavailable, match="no replica is as far"):
        await notes.read("ada", "new")
    assert await notes.read("ada", "new")


async def test_what_everything_costs_is_counted_refusals_too(
    store: CosmosStore, notes: Container, server: Emulator
) -> None:
    before, charged = server.counts(), server.charged
    units = sum(store.units.values())
    await keep(notes, "ada", "n1")
    with pytest.raises(Conflict):
        await notes.commit("ada", [create("ada", "n1")])
    await notes.read("ada", "n1")
    await notes.read("ada", "n2")
    await notes.query(Query("ada"))
    scope = (await notes.feed_ranges())[0]
    await notes.changes(scope, (await notes.changes(scope, Start.NOW)).cursor)
    spent = server.counts() - before
    kinds = {kind: store.charges["notes", kind] for kind in ("batch", "query", "feed")}
    assert kinds == {kind: spent[kind] for kind in kinds}
    assert sum(store.units.values()) - units == pytest.approx(server.charged - charged)


async def test_an_account_is_asked_for_once_and_its_properties_at_the_start_only(
    store: CosmosStore, notes: Container, server: Emulator
) -> None:
    before = server.counts()
    for number in range(5):
        await keep(notes, f"owner{number}", "n1")
        await notes.read(f"owner{number}", "n1")
        await notes.query(Query(f"owner{number}"))
        await notes.query(Query(None))
    for scope in await notes.feed_ranges():
        await notes.changes(scope, Start.BEGINNING)
    spent = server.counts() - before
    assert {kind: spent[kind] for kind in ("account", "database", "container", "pkranges", "plan")} == dict.fromkeys(
        ("account", "database", "container", "pkranges", "plan"), 0
    )


# ---------------------------------------------------------------------------------------------------- secrets


async def test_the_key_is_in_no_log_no_error_and_no_repr(server: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said = []
    async with opened(server) as store:
        notes = store.container("notes")
        await keep(notes, "ada", "n1")
        server.faults.drop("after", kind="batch")
        server.faults.fail(401, kind="query")
        for request in (notes.commit("ada", [create("ada", "n2")]), notes.query(Query("ada"))):
            with pytest.raises((OutcomeUnknown, StoreUnusable)) as failure:
                await request
            said += [repr(failure.value), str(failure.value), repr(failure.value.__cause__)]
        said += [repr(store), repr(notes), repr(store.charges), repr(vars(store))]
    said += [record.getMessage() for record in caplog.records]
    assert len(caplog.records) > 10
    assert [line for line in said if server.key in line or "sig%3d" in line.lower()] == []
