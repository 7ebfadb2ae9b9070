"""What every engine promises about documents and commits; queries and feeds have files of their own beside this."""

import asyncio

import msgspec
import pytest

from store import (
    MAX_WRITES,
    Conflict,
    Container,
    Create,
    Delete,
    Document,
    Eq,
    Partition,
    Query,
    Replace,
    Start,
    Store,
    TooLarge,
    Upsert,
    Write,
)
from tests.engines import Engine
from tests.store.notes import (
    CONTAINERS,
    HOSTILE,
    HOSTILE_BODIES,
    MEGABYTE,
    TAGS,
    content,
    create,
    follow,
    follow_all,
    ids,
    keep,
    note,
)


class Note(msgspec.Struct):
    id: str
    text: str


# ---------------------------------------------------------------------------------------------- single writes


async def test_a_created_document_is_read_as_it_was_written(notes: Container) -> None:
    body = note("ada", "n1", text="tea", amount=1.5, rank=2**53, gone=None, done=True, deep={"list": [1, {"a": []}]})
    await notes.commit("ada", [Create("n1", body)])
    assert content(await notes.read("ada", "n1")) == body


async def test_a_document_knows_its_partition_its_id_and_its_etag(notes: Container) -> None:
    (etag,) = await keep(notes, "ada", "n1")
    document = await notes.read("ada", "n1")
    assert document is not None
    assert (document.partition, document.id, document.etag) == ("ada", "n1", etag)


async def test_a_document_is_decoded_as_the_type_that_is_asked_for(notes: Container) -> None:
    await keep(notes, "ada", "n1", text="tea")
    document = await notes.read("ada", "n1")
    assert document is not None
    assert document.decode(Note) == Note("n1", "tea")
    assert document.decode(Note | None) == Note("n1", "tea")


async def test_a_document_of_another_type_is_a_validation_error(notes: Container) -> None:
    await keep(notes, "ada", "n1", text=7)
    document = await notes.read("ada", "n1")
    assert document is not None
    with pytest.raises(msgspec.ValidationError, match=r"text"):
        document.decode(Note)


def test_a_body_that_an_sdk_has_decoded_becomes_the_type_that_is_asked_for() -> None:
    assert Document("ada", "n1", "1", {"id": "n1", "text": "tea", "_ts": 1}).decode(Note) == Note("n1", "tea")


async def test_reading_what_was_never_stored_gives_none(notes: Container) -> None:
    await keep(notes, "ada", "n1")
    assert await notes.read("ada", "n2") is None


async def test_replace_stores_the_next_version(notes: Container) -> None:
    (etag,) = await keep(notes, "ada", "n1", text="tea", old=1)
    await notes.commit("ada", [Replace("n1", note("ada", "n1", text="coffee"), etag)])
    assert content(await notes.read("ada", "n1")) == note("ada", "n1", text="coffee")


@pytest.mark.parametrize("existing", [False, True], ids=["missing", "existing"])
async def test_a_blind_upsert_stores_whatever_was_there(notes: Container, existing: bool) -> None:
    if existing:
        await keep(notes, "ada", "n1", text="tea")
    await notes.commit("ada", [Upsert("n1", note("ada", "n1", text="coffee"))])
    assert content(await notes.read("ada", "n1")) == note("ada", "n1", text="coffee")


async def test_an_upsert_with_the_current_etag_stores_the_next_version(notes: Container) -> None:
    (etag,) = await keep(notes, "ada", "n1", text="tea")
    await notes.commit("ada", [Upsert("n1", note("ada", "n1", text="coffee"), etag)])
    assert content(await notes.read("ada", "n1"))["text"] == "coffee"


async def test_a_deleted_document_is_gone(notes: Container) -> None:
    (etag,) = await keep(notes, "ada", "n1")
    assert await notes.commit("ada", [Delete("n1", etag)]) == [None]
    assert await notes.read("ada", "n1") is None


async def test_a_deleted_id_can_be_created_again(notes: Container) -> None:
    (etag,) = await keep(notes, "ada", "n1", text="tea")
    await notes.commit("ada", [Delete("n1", etag)])
    await notes.commit("ada", [create("ada", "n1", text="coffee")])
    assert content(await notes.read("ada", "n1"))["text"] == "coffee"


@pytest.mark.parametrize("value", HOSTILE_BODIES, ids=lambda value: ascii(value[:20]))
async def test_a_hostile_value_comes_back_unharmed(notes: Container, value: str) -> None:
    await keep(notes, "ada", "n1", text=value, list=[value], map={value[:1000]: value})
    stored = content(await notes.read("ada", "n1"))
    assert (stored["text"], stored["list"], stored["map"]) == (value, [value], {value[:1000]: value})


NO_IDS = [":v2 ?1 @now $limit", " leading and trailing ", "line\nbreak\ttab\x7f", "a/b", "a\\b", "a#b", "", "x" * 1024]


@pytest.mark.parametrize("id", NO_IDS, ids=lambda id: ascii(id[:20]))
async def test_an_id_that_not_every_engine_could_keep_is_refused(notes: Container, id: str) -> None:
    with pytest.raises(ValueError, match="cannot be a document's id"):
        await keep(notes, "ada", id)
    assert await ids(notes, Query("ada")) == []


@pytest.mark.parametrize("value", [id for id in HOSTILE if id not in NO_IDS], ids=lambda value: ascii(value[:20]))
async def test_a_hostile_id_and_partition_name_one_document_only(notes: Container, value: str) -> None:
    await keep(notes, "ada", "n1")
    (etag,) = await keep(notes, value, value)
    assert content(await notes.read(value, value)) == note(value, value)
    assert await ids(notes, Query(value, (Eq("id", value),))) == [value]
    assert [document.id for document in (await follow(notes, Partition(value)))[0]] == [value]
    await notes.commit(value, [Delete(value, etag)])
    assert await notes.read(value, value) is None
    assert await ids(notes, Query(None)) == ["n1"]


@pytest.mark.parametrize(("partition", "id"), [("ada", "\ud800"), ("\ud800", "n1")])
async def test_text_that_is_not_unicode_is_refused_and_the_store_goes_on(
    notes: Container, partition: str, id: str
) -> None:
    with pytest.raises(ValueError, match="surrogates"):
        await notes.commit(partition, [Create(id, {})])
    await keep(notes, "ada", "n1")
    assert await notes.read("ada", "n1")


# ---------------------------------------------------------------------------------------------- conditions

STALE = [
    (create("ada", "present"), "exists"),
    (Replace("missing", note("ada", "missing"), "{other}"), "missing"),
    (Replace("present", note("ada", "present"), "{stale}"), "changed"),
    (Replace("present", note("ada", "present"), "{deleted}"), "changed"),
    (Upsert("missing", note("ada", "missing"), "{other}"), "missing"),
    (Upsert("present", note("ada", "present"), "{stale}"), "changed"),
    (Delete("missing", "{other}"), "missing"),
    (Delete("present", "{stale}"), "changed"),
]


def named(case: object) -> str:
    return f"{type(case).__name__}-{getattr(case, 'id', case)}"


async def refused(notes: Container, write: Write) -> Conflict:
    """The Conflict of a commit whose second write is `write`, with the etags that it names filled in."""
    (deleted,) = await keep(notes, "ada", "present")
    await notes.commit("ada", [Delete("present", deleted)])
    (stale,) = await keep(notes, "ada", "present", text="first")
    (other, _) = await keep(notes, "ada", "other", "present", text="second")
    if not isinstance(write, Create):
        etag = str(write.etag).format(other=other, stale=stale, deleted=deleted)
        write = Delete(write.id, etag) if isinstance(write, Delete) else type(write)(write.id, write.body, etag)
    with pytest.raises(Conflict) as error:
        await notes.commit(
            "ada",
            [create("ada", "before"), write, create("ada", "after"), Upsert("other", note("ada", "other", text="x"))],
        )
    return error.value


@pytest.mark.parametrize(("write", "reason"), STALE, ids=named)
async def test_a_condition_that_does_not_hold_is_a_conflict_that_says_which_and_why(
    notes: Container, write: Write, reason: str
) -> None:
    conflict = await refused(notes, write)
    assert (conflict.index, conflict.reason) == (1, reason)


@pytest.mark.parametrize(("write", "reason"), STALE, ids=named)
async def test_nothing_of_a_refused_commit_is_applied(notes: Container, write: Write, reason: str) -> None:
    await refused(notes, write)
    assert await ids(notes, Query("ada")) == ["other", "present"]
    assert {content(document)["text"] for document in await follow_all(notes)} == {"second"}


async def test_a_conflict_names_the_first_of_several_writes_that_cannot_be(notes: Container) -> None:
    await keep(notes, "ada", "n1", "n2")
    with pytest.raises(Conflict) as error:
        await notes.commit("ada", [create("ada", "n0"), create("ada", "n2"), create("ada", "n1")])
    assert error.value.index == 1


# ---------------------------------------------------------------------------------------------- etags


async def test_a_commit_answers_with_an_etag_per_write_and_none_for_a_delete(notes: Container) -> None:
    old, gone = await keep(notes, "ada", "old", "gone")
    writes: list[Write] = [create("ada", "new"), Delete("gone", gone), Replace("old", note("ada", "old"), old)]
    new_etag, nothing, old_etag = await notes.commit("ada", writes)
    documents = [await notes.read("ada", id) for id in ("new", "old")]
    assert [document and document.etag for document in documents] == [new_etag, old_etag]
    assert nothing is None


async def test_every_version_has_an_etag_of_its_own_even_when_the_body_is_the_same(notes: Container) -> None:
    etags = [(await keep(notes, "ada", "n1", text="same"))[0] for _ in range(5)]
    await notes.commit("ada", [Delete("n1", etags[-1])])
    etags += await keep(notes, "ada", "n1", text="same")
    assert len(set(etags)) == 6


async def test_a_commit_to_another_document_leaves_the_etag_alone(notes: Container) -> None:
    (etag,) = await keep(notes, "ada", "n1")
    await keep(notes, "ada", "n2")
    await notes.commit("ada", [Replace("n1", note("ada", "n1"), etag)])


# ---------------------------------------------------------------------------------------------- limits


async def test_a_commit_names_each_document_once(notes: Container) -> None:
    with pytest.raises(ValueError, match="once"):
        await notes.commit("ada", [create("ada", "n1"), Upsert("n1", note("ada", "n1"))])
    assert await notes.read("ada", "n1") is None


async def test_a_commit_of_a_hundred_writes_is_applied(notes: Container) -> None:
    assert len(await keep(notes, "ada", *map(str, range(MAX_WRITES)))) == 100
    assert len(await ids(notes, Query("ada"))) == 100


async def test_a_commit_of_a_hundred_and_one_writes_is_too_large(notes: Container) -> None:
    with pytest.raises(TooLarge):
        await keep(notes, "ada", *map(str, range(MAX_WRITES + 1)))
    assert await ids(notes, Query("ada")) == []


async def test_a_commit_just_below_two_megabytes_is_applied(notes: Container) -> None:
    await keep(notes, "ada", "n1", text="x" * (2 * MEGABYTE - 10_000))
    assert await notes.read("ada", "n1")


@pytest.mark.parametrize("documents", [1, 3])
async def test_a_commit_above_two_megabytes_is_too_large(notes: Container, documents: int) -> None:
    with pytest.raises(TooLarge):
        await keep(notes, "ada", *map(str, range(documents)), text="é" * (MEGABYTE // documents))
    assert await ids(notes, Query("ada")) == []


# ---------------------------------------------------------------------------------------------- scopes


async def test_the_same_id_in_two_partitions_is_two_documents(notes: Container) -> None:
    (etag,) = await keep(notes, "ada", "n1", text="hers")
    await keep(notes, "bob", "n1", text="his")
    await notes.commit("ada", [Delete("n1", etag)])
    assert await notes.read("ada", "n1") is None
    assert content(await notes.read("bob", "n1"))["text"] == "his"


async def test_the_same_key_in_two_containers_is_two_documents(store: Store) -> None:
    await keep(store.container("notes"), "ada", "n1")
    assert await store.container("tags").read("ada", "n1") is None
    await store.container("tags").commit("ada", [Create("n1", {"id": "n1", "topic": "ada"})])


async def test_a_container_that_the_store_was_not_opened_with_is_a_key_error(store: Store) -> None:
    with pytest.raises(KeyError):
        store.container("unknown")


async def test_an_open_store_answers_a_ping(store: Store) -> None:
    await store.ping()


async def test_closing_twice_is_closing_once(store: Store) -> None:
    await store.close()
    await store.close()


# ---------------------------------------------------------------------------------------------- expiry


async def test_a_document_is_there_until_its_ttl_has_passed(engine: Engine, notes: Container) -> None:
    await keep(notes, "ada", "n1", ttl=10)
    await engine.advance(5)
    assert await notes.read("ada", "n1")
    await engine.advance(6)
    assert await notes.read("ada", "n1") is None


async def test_an_expired_document_is_in_no_query_and_in_no_feed(engine: Engine, notes: Container) -> None:
    await keep(notes, "ada", "short", ttl=10)
    await keep(notes, "ada", "long")
    await engine.advance(11)
    assert await ids(notes, Query("ada")) == ["long"]
    assert [document.id for document in await follow_all(notes)] == ["long"]


async def test_an_expired_id_can_be_created_again(engine: Engine, notes: Container) -> None:
    await keep(notes, "ada", "n1", text="old", ttl=10)
    await engine.advance(11)
    await notes.commit("ada", [create("ada", "n1", text="new")])
    assert content(await notes.read("ada", "n1"))["text"] == "new"
    assert [content(document)["text"] for document in await follow_all(notes)] == ["new"]


@pytest.mark.parametrize("kind", [Replace, Delete])
async def test_an_expired_document_is_missing_to_a_write_that_expects_it(
    engine: Engine, notes: Container, kind: type[Replace] | type[Delete]
) -> None:
    (etag,) = await keep(notes, "ada", "n1", ttl=10)
    await engine.advance(11)
    write = Delete("n1", etag) if kind is Delete else Replace("n1", note("ada", "n1"), etag)
    with pytest.raises(Conflict) as error:
        await notes.commit("ada", [write])
    assert error.value.reason == "missing"


@pytest.mark.parametrize(("ttl", "stays"), [(None, True), (30, True), (10, False)])
async def test_the_next_version_brings_a_ttl_of_its_own(
    engine: Engine, notes: Container, ttl: int | None, stays: bool
) -> None:
    (etag,) = await keep(notes, "ada", "n1", ttl=20)
    await notes.commit("ada", [Replace("n1", note("ada", "n1"), etag, ttl)])
    await engine.advance(21)
    assert (await notes.read("ada", "n1") is not None) == stays


async def test_a_document_says_when_it_will_be_gone(engine: Engine, notes: Container) -> None:
    await keep(notes, "ada", "before", ttl=10)
    await engine.advance(4)
    await keep(notes, "ada", "after", ttl=10)
    await keep(notes, "ada", "stays")
    before, after, stays = [await notes.read("ada", id) for id in ("before", "after", "stays")]
    assert before
    assert after
    assert stays
    assert before.expires is not None
    assert after.expires is not None
    assert after.expires - before.expires == pytest.approx(4, abs=1.5)  # an engine may count whole seconds
    assert stays.expires is None
    assert {document.id: document.expires for document in await follow_all(notes)} == {
        document.id: document.expires for document in (before, after, stays)
    }


async def test_the_content_of_a_document_is_what_was_stored_whatever_an_engine_adds(notes: Container) -> None:
    body = note("ada", "n1", text="tea", nested={"ttl": 1, "_own": [1.5, None]})
    await notes.commit("ada", [Create("n1", body, ttl=100)])
    document = await notes.read("ada", "n1")
    assert document
    assert document.content() == body


# ---------------------------------------------------------------------------------------------- concurrency


async def test_of_many_concurrent_replaces_of_one_version_exactly_one_wins(notes: Container) -> None:
    (etag,) = await keep(notes, "ada", "n1")
    outcomes = await asyncio.gather(
        *(notes.commit("ada", [Replace("n1", note("ada", "n1", by=by), etag)]) for by in range(50)),
        return_exceptions=True,
    )
    (winner,) = (by for by, outcome in enumerate(outcomes) if isinstance(outcome, list))
    assert {outcome.reason for outcome in outcomes if isinstance(outcome, Conflict)} == {"changed"}
    assert content(await notes.read("ada", "n1"))["by"] == winner


async def test_of_two_handles_that_replace_one_version_exactly_one_wins(
    two_handles: tuple[Container, Container],
) -> None:
    one, other = two_handles
    for round in range(20):
        (etag,) = await keep(one, "ada", "n1", round=round)
        write = Replace("n1", note("ada", "n1"), etag)
        outcomes = await asyncio.gather(
            one.commit("ada", [write]), other.commit("ada", [write]), return_exceptions=True
        )
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict", "list"]


async def test_concurrent_commits_to_many_documents_are_all_there(engine: Engine, notes: Container) -> None:
    await asyncio.gather(*(keep(notes, f"owner{i % 7}", f"n{i}", number=i) for i in range(300)))
    numbers = [content(await notes.read(f"owner{i % 7}", f"n{i}"))["number"] for i in range(300)]
    assert numbers == list(range(300))
    assert len(await follow_all(notes)) == 300


async def test_what_one_handle_committed_the_other_reads(two_handles: tuple[Container, Container]) -> None:
    one, other = two_handles
    await keep(one, "ada", "n1", text="tea")
    assert content(await other.read("ada", "n1"))["text"] == "tea"
    assert await ids(other, Query("ada")) == ["n1"]


async def test_a_cancelled_commit_is_applied_whole_or_not_at_all(notes: Container) -> None:
    task = asyncio.create_task(keep(notes, "ada", "n1", "n2"))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await keep(notes, "ada", "n3")
    assert await ids(notes, Query("ada")) in (["n3"], ["n1", "n2", "n3"])


# ---------------------------------------------------------------------------------------------- counted


async def test_requests_are_counted_by_container_and_kind(engine: Engine) -> None:
    store = await engine.open(CONTAINERS)
    before = dict(store.charges)
    tags = store.container(TAGS.name)
    await tags.commit("tea", [Create("t1", {"id": "t1", "topic": "tea"})])
    await tags.read("tea", "t1")
    await tags.query(Query("tea"))
    await tags.changes(Partition("tea"), Start.BEGINNING)
    for kind in ("batch", "read", "query", "feed"):
        assert store.charges["tags", kind] > before.get(("tags", kind), 0), kind
    assert store.units.keys() <= store.charges.keys()
