"""The feed and the fan-out on Cosmos DB while partitions split and merge, and when a container is made anew."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

from store import Container, CursorInvalid, Document, FeedRange, Order, Partition, Query, Start
from store.cosmos import CosmosStore, connect, provision
from tests.emulator import Emulator, emulator
from tests.store.cosmos import DATABASE, opened, provisioned
from tests.store.notes import CONTAINERS, follow, follow_all, ids, keep

OWNERS = [f"owner{number}" for number in range(40)]


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


async def keep_all(notes: Container, id: str) -> None:
    """A note of that id for every owner."""
    for number, owner in enumerate(OWNERS):
        await keep(notes, owner, id, rank=number)


async def follow_each(
    notes: Container, cursors: dict[FeedRange, str] | Iterable[FeedRange]
) -> tuple[dict[FeedRange, str], list[Document]]:
    """What the followers of some ranges see, in small pages, and where they stand then."""
    known = cursors if isinstance(cursors, dict) else {}
    found, now = [], {}
    for scope in cursors:
        documents, now[scope] = await follow(notes, scope, known.get(scope, Start.BEGINNING), limit=3)
        found += documents
    return now, found


def keys(documents: Iterable[Document]) -> list[tuple[str, str]]:
    return sorted((document.partition, document.id) for document in documents)


def all_of(*ids: str) -> list[tuple[str, str]]:
    return sorted((owner, id) for owner in OWNERS for id in ids)


async def refresh(notes: Container) -> list[FeedRange]:
    """The ranges as they are now; a read of each owner has the engine hear of what has split or merged."""
    for owner in OWNERS:
        await notes.read(owner, "-")
    return await notes.feed_ranges()


# ---------------------------------------------------------------------------------------------------- splits, merges


async def test_a_split_loses_no_change_and_repeats_none(notes: Container, server: Emulator) -> None:
    await keep_all(notes, "before")
    cursors, found = await follow_each(notes, await notes.feed_ranges())
    assert keys(found) == all_of("before")
    for split in ("0", "1", "2"):
        server.split(DATABASE, "notes", split)
        await keep_all(notes, f"after {split}")
        cursors, found = await follow_each(notes, cursors)
        assert keys(found) == all_of(f"after {split}")
    assert len(await refresh(notes)) == 5


async def test_a_split_in_the_middle_of_a_feed_loses_no_change(notes: Container, server: Emulator) -> None:
    await keep_all(notes, "before")
    scope = (await notes.feed_ranges())[0]
    first = await notes.changes(scope, Start.BEGINNING, 3)
    server.split(DATABASE, "notes", "0")
    rest, _ = await follow(notes, scope, first.cursor, limit=3)
    whole, _ = await follow(notes, scope)
    assert keys([*first.documents, *rest]) == keys(whole)


async def test_a_merge_loses_no_change_and_each_follower_sees_its_own(notes: Container, server: Emulator) -> None:
    await keep_all(notes, "before")
    cursors, _ = await follow_each(notes, await notes.feed_ranges())
    server.merge(DATABASE, "notes", "0", "1")
    await keep_all(notes, "after")
    cursors, found = await follow_each(notes, cursors)
    assert keys(found) == all_of("after")
    _, found = await follow_each(notes, cursors)
    assert found == []
    assert len(await refresh(notes)) == 1


async def test_a_range_that_is_narrower_than_its_partition_does_not_widen(notes: Container, server: Emulator) -> None:
    """After the merge each range is half a partition; after the split the SDK goes on with both halves whole."""
    await keep_all(notes, "before")
    ranges = await notes.feed_ranges()
    cursors, found = await follow_each(notes, ranges)
    halves = {scope: {document.partition for document in (await follow(notes, scope))[0]} for scope in ranges}
    merged = server.merge(DATABASE, "notes", "0", "1")
    cursors, _ = await follow_each(notes, cursors)
    quarter = server.split(DATABASE, "notes", merged.id)[0]
    server.split(DATABASE, "notes", quarter.id)
    await keep_all(notes, "after")
    for scope, cursor in cursors.items():
        found, _ = await follow(notes, scope, cursor, limit=3)
        assert {document.partition for document in found} == halves[scope]
    _, found = await follow_each(notes, cursors)
    assert keys(found) == all_of("after")


async def test_followers_of_the_halves_continue_from_the_cursor_of_the_whole(
    notes: Container, server: Emulator
) -> None:
    await keep_all(notes, "before")
    whole = (await notes.feed_ranges())[0]
    before, cursor = await follow(notes, whole)
    server.split(DATABASE, "notes", "0")
    await keep_all(notes, "after")
    halves = [scope for scope in await refresh(notes) if scope.id.split("-")[0] < whole.id.split("-")[1]]
    assert len(halves) == 2
    found = [document for half in halves for document in (await follow(notes, half, cursor, limit=3))[0]]
    mine = {document.partition for document in before}
    assert keys(found) == sorted((owner, "after") for owner in mine)


async def test_a_range_has_parts_once_it_is_split_and_they_lie_in_it(notes: Container, server: Emulator) -> None:
    first, second = await notes.feed_ranges()
    server.split(DATABASE, "notes", "0")
    await refresh(notes)
    left, right = await notes.parts_of(first)
    assert (left.id.split("-")[0], right.id.split("-")[1]) == tuple(first.id.split("-"))
    assert left.id.split("-")[1] == right.id.split("-")[0]
    assert await notes.parts_of(second) == [second]
    assert await notes.parts_of(left) == [left]


async def test_a_partitions_own_feed_goes_on_over_a_split_and_a_merge(notes: Container, server: Emulator) -> None:
    await keep(notes, "ada", "n1")
    _, cursor = await follow(notes, Partition("ada"))
    children = server.split(DATABASE, "notes", "0")
    await keep(notes, "ada", "n2")
    found, cursor = await follow(notes, Partition("ada"), cursor)
    assert keys(found) == [("ada", "n2")]
    server.merge(DATABASE, "notes", children[0].id, children[1].id)
    await keep(notes, "ada", "n3")
    found, _ = await follow(notes, Partition("ada"), cursor)
    assert keys(found) == [("ada", "n3")]


async def test_a_feed_that_delivers_twice_says_so_with_the_same_versions(notes: Container, server: Emulator) -> None:
    await keep_all(notes, "n1")
    scope = (await notes.feed_ranges())[0]
    once, _ = await follow(notes, scope)
    server.faults.duplicate_feed(2)
    twice, _ = await follow(notes, scope, limit=3)
    assert len(twice) >= len(once)
    assert {(note.partition, note.id, note.etag) for note in twice} == {
        (note.partition, note.id, note.etag) for note in once
    }


async def test_a_reader_and_a_writer_go_on_over_a_split(notes: Container, server: Emulator) -> None:
    await keep_all(notes, "n1")
    server.split(DATABASE, "notes", "0")
    server.split(DATABASE, "notes", "1")
    await keep_all(notes, "n1")
    assert [await ids(notes, Query(owner)) for owner in OWNERS] == [["n1"]] * len(OWNERS)


async def test_a_documents_etag_in_the_feed_is_its_own_not_the_feeds(notes: Container) -> None:
    await keep(notes, "ada", "n1")
    (document,) = (await follow(notes, Partition("ada")))[0]
    read = await notes.read("ada", "n1")
    assert read
    assert document.etag == read.etag


# ---------------------------------------------------------------------------------------------------- beginnings


async def test_now_is_a_place_to_come_back_to_before_anything_was_written(notes: Container) -> None:
    cursors = {scope: (await notes.changes(scope, Start.NOW)).cursor for scope in await notes.feed_ranges()}
    await keep_all(notes, "n1")
    assert keys((await follow_each(notes, cursors))[1]) == all_of("n1")


async def test_a_container_that_was_made_anew_asks_for_an_operator(notes: Container, server: Emulator) -> None:
    await keep_all(notes, "n1")
    cursors, _ = await follow_each(notes, await notes.feed_ranges())
    server.account.delete_container(DATABASE, "notes")
    async with connect(server.url, server.key) as client:
        await provision(client, DATABASE, CONTAINERS)
    async with opened(server) as store:
        for scope, cursor in cursors.items():
            with pytest.raises(CursorInvalid, match=r"deleted and made anew.*built anew from the beginning"):
                await store.container("notes").changes(scope, cursor)


async def test_a_container_that_is_made_anew_under_a_running_process_asks_for_an_operator_too(
    notes: Container, server: Emulator
) -> None:
    await keep_all(notes, "n1")
    cursors, _ = await follow_each(notes, await notes.feed_ranges())
    server.account.delete_container(DATABASE, "notes")
    async with connect(server.url, server.key) as client:
        await provision(client, DATABASE, CONTAINERS)
    await keep_all(notes, "n2")
    for scope, cursor in cursors.items():
        with pytest.raises(CursorInvalid):
            await notes.changes(scope, cursor)


# ---------------------------------------------------------------------------------------------------- fan-out


@pytest.mark.parametrize("descending", [False, True])
async def test_a_question_to_all_partitions_is_asked_once_each_and_merged(
    notes: Container, server: Emulator, descending: bool
) -> None:
    await keep_all(notes, "n1")
    before = server.counts()
    page = await notes.query(Query(None, order_by=(Order("rank", descending),), limit=7))
    spent = server.counts() - before
    expected = list(reversed(OWNERS)) if descending else OWNERS
    assert ([document.partition for document in page.documents], page.more) == (expected[:7], True)
    assert (spent["query"], spent["plan"]) == (2, 0)


async def test_no_row_is_repeated_or_missing_when_a_partition_splits_under_the_question(
    notes: Container, server: Emulator
) -> None:
    await keep_all(notes, "n1")
    await notes.query(Query(None))
    server.split(DATABASE, "notes", "0")
    server.split(DATABASE, "notes", "1")
    page = await notes.query(Query(None, order_by=(Order("rank"),), limit=1000))
    assert [document.partition for document in page.documents] == OWNERS


async def test_paging_through_all_partitions_goes_on_over_splits(notes: Container, server: Emulator) -> None:
    await keep_all(notes, "n1")
    found: list[str] = []
    after: tuple[int, str] | None = None
    for splitting in ("0", "1", "2", None, None, None, None, None):
        page = await notes.query(Query(None, order_by=(Order("rank"),), limit=5, after=after))
        found += [document.partition for document in page.documents]
        after = (page.documents[-1].decode(dict)["rank"], page.documents[-1].id)
        if splitting:
            server.split(DATABASE, "notes", splitting)
    assert found == OWNERS


async def test_many_tasks_share_one_client(notes: Container, server: Emulator) -> None:
    await asyncio.gather(*(keep(notes, owner, "n1") for owner in OWNERS * 5))
    assert keys(await follow_all(notes)) == all_of("n1")
