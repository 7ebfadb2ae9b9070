"""What only the SQLite engine does: indexes and plans, grouped commits, locks, a full disk, cursors of a file."""

import asyncio
import re
import resource
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from store import (
    Conflict,
    Container,
    ContainerSpec,
    Contains,
    Create,
    CursorInvalid,
    Eq,
    FeedRange,
    Index,
    Order,
    OutcomeUnknown,
    Partition,
    Query,
    Range,
    Start,
    Store,
    Throttled,
    Unavailable,
)
from store.sqlite import SQLiteStore, open_sqlite, opening, sql
from store.sqlite.engine import POLL_S
from store.sqlite.queries import Queries
from tests.store.files import ask, made
from tests.store.notes import CONTAINERS, HANGS_AFTER, NOTES, TAGS, content, create, follow, follow_all, ids, keep, note


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SQLiteStore]:
    store = await open_sqlite(str(path), CONTAINERS)
    yield store
    await store.close()


# ---------------------------------------------------------------------------------------------- indexes


def query_indexes(path: Path) -> list[str]:
    """The definitions of the indexes that serve queries."""
    rows = ask(path, "SELECT sql FROM sqlite_master WHERE type = 'index' AND name GLOB 'query_*' ORDER BY sql")
    return [re.sub(r'^CREATE INDEX ("[^"]*"|\S+) ON ', "", str(definition)) for (definition,) in rows]


RANK = "json_extract(body, '$.rank')"


@pytest.mark.parametrize(
    ("index", "definition"),
    [
        (Index(("rank",)), f"c_notes (partition, {RANK}, id)"),
        (Index(("rank",), across=True), f"c_notes ({RANK}, id)"),
        (
            Index(("rank",), ("type", "task")),
            f"c_notes (partition, {RANK}, id) WHERE json_extract(body, '$.type') = 'task'",
        ),
        (Index(("a.b",)), "c_notes (partition, json_extract(body, '$.a.b'), id)"),
    ],
    ids=repr,
)
async def test_indexes_are_after_opening_what_the_specification_says(path: Path, index: Index, definition: str) -> None:
    before = (Index(("rank",), ("kind", "task")), Index(("a_b",)), Index(("gone",)))
    await made(path, (ContainerSpec("notes", "owner", before),))
    await made(path, (ContainerSpec("notes", "owner", (index,)),))
    assert query_indexes(path) == [definition]


async def test_indexes_that_differ_in_punctuation_only_are_all_made(path: Path) -> None:
    mine = (Index(("a.b",)), Index(("a_b",)), Index(("a", "b")), Index(("b",), ("kind", "a")))
    await made(path, (ContainerSpec("notes", "owner", mine), ContainerSpec("notes_a", "owner", (Index(("b",)),))))
    assert len(query_indexes(path)) == 5


async def test_opening_with_fewer_containers_leaves_the_others_alone(path: Path) -> None:
    await made(path, (NOTES, ContainerSpec("others", "owner", (Index(("rank",)),))))
    before = query_indexes(path)
    await made(path, (NOTES,))
    assert query_indexes(path) == before


@pytest.mark.parametrize("value", ["", "it's", "a b", "1", "é"])
async def test_an_index_on_what_cannot_discriminate_is_a_value_error(path: Path, value: str) -> None:
    with pytest.raises(ValueError, match="cannot discriminate"):
        await open_sqlite(str(path), [ContainerSpec("notes", "owner", (Index(("rank",), ("kind", value)),))])


def plan(store: SQLiteStore, statement: str, values: Sequence[object]) -> str:
    return "; ".join(row[3] for row in store._db.execute(f"EXPLAIN QUERY PLAN {statement}", values))


RANKED = (Order("rank"),)
PLANS = [
    (Query("ada", order_by=RANKED), r"query_notes: rank \(partition=\?\)"),
    (Query("ada", order_by=(Order("rank", True),)), r"query_notes: rank \(partition=\?\)"),
    (Query("ada", (Eq("rank", 1),)), r"\(partition=\? AND <expr>=\?\)"),
    (Query("ada", (Range("rank", 1, 3),), RANKED), r"\(partition=\? AND <expr>>\? AND <expr><\?\)"),
    (Query("ada", order_by=RANKED, after=(5, "n5")), r"\(partition=\? AND <expr>>\?\)"),
    (Query("ada", order_by=(Order("rank", True),), after=(5, "n5")), r"\(partition=\? AND <expr><\?\)"),
    (Query("ada", order_by=(Order("group"), Order("rank")), after=("g", 5, "n5")), r"\(partition=\? AND <expr>>\?\)"),
    (Query("ada", (Eq("group", "g"),), RANKED, after=(5, "n5")), r"\(partition=\? AND <expr>=\? AND <expr>>\?\)"),
    (Query(None, order_by=RANKED, after=(5, "n5")), r"\(<expr>>\?\)"),
    (Query("ada", (Eq("kind", "task"),), RANKED, after=(5, "n5")), r"kind=task: rank \(partition=\? AND <expr>>\?\)"),
    (Query("ada"), r"sqlite_autoindex_c_notes_1 \(partition=\?\)"),
    (Query("ada", after=("n5",)), r"sqlite_autoindex_c_notes_1 \(partition=\? AND id>\?\)"),
]


@pytest.mark.parametrize(("query", "expected"), PLANS, ids=lambda case: case if isinstance(case, str) else "query")
async def test_a_query_reads_its_index_in_order_from_where_the_page_begins(
    store: SQLiteStore, query: Query, expected: str
) -> None:
    statement, values = Queries(NOTES).page(query, now=0.0)
    found = plan(store, statement, values)
    assert re.fullmatch(rf"SEARCH c_notes USING INDEX .*{expected}.*", found), found
    assert "TEMP B-TREE" not in found


@pytest.mark.parametrize(("column", "index"), [("range", "feed_notes"), ("partition", "partition_feed_notes")])
async def test_a_feed_reads_its_index_from_the_cursor_on(store: SQLiteStore, column: str, index: str) -> None:
    found = plan(store, sql.select_changes("notes", column), (1, 0, 0.0, 1))
    searches = re.findall(rf"SEARCH c_notes USING INDEX {index} \({column}=\? AND lsn>\?", found)
    assert len(searches) == 2
    assert "SCAN c_notes" not in found


@pytest.mark.parametrize("statement", [sql.read, sql.find, sql.replace, sql.delete])
async def test_a_document_is_found_by_its_key(store: SQLiteStore, statement: Callable[[str], str]) -> None:
    text = statement("notes")
    found = plan(store, text, [1] * text.count("?"))
    assert found.startswith("SEARCH c_notes USING INDEX sqlite_autoindex_c_notes_1 (partition=? AND id=?)")


# ---------------------------------------------------------------------------------------------- committing


async def commits_behind_a_lock(path: Path, commits: Callable[[], list[Awaitable[object]]]) -> list[object]:
    """The outcomes of `commits`, all of which were queued while somebody else held the write lock."""
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    tasks = [asyncio.ensure_future(commit) for commit in commits()]
    await asyncio.sleep(0)  # each task runs once, up to its place in the queue
    lock.execute("ROLLBACK")
    lock.close()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_commits_that_wait_share_a_transaction(store: SQLiteStore, notes: Container, path: Path) -> None:
    statements: list[str] = []
    store._writer._db.set_trace_callback(statements.append)
    outcomes = await commits_behind_a_lock(path, lambda: [keep(notes, f"o{i}", f"n{i}") for i in range(200)])
    store._writer._db.set_trace_callback(None)
    assert all(isinstance(outcome, list) for outcome in outcomes)
    # The first may have found the queue short; the rest was there when its turn came.
    assert statements.count("COMMIT") <= 2


async def test_a_refused_commit_leaves_those_that_share_its_transaction_alone(notes: Container, path: Path) -> None:
    await keep(notes, "ada", "n5")
    outcomes = await commits_behind_a_lock(
        path, lambda: [notes.commit("ada", [create("ada", "x"), create("ada", f"n{i}")][i != 5 :]) for i in range(10)]
    )
    assert [i for i, outcome in enumerate(outcomes) if isinstance(outcome, Conflict)] == [5]
    assert await ids(notes, Query("ada")) == [f"n{i}" for i in range(10)]


async def test_commits_that_share_a_transaction_see_each_other(notes: Container, path: Path) -> None:
    outcomes = await commits_behind_a_lock(
        path, lambda: [notes.commit("ada", [create("ada", "n1")]) for _ in range(10)]
    )
    assert sum(isinstance(outcome, list) for outcome in outcomes) == 1


async def test_commits_that_share_a_transaction_are_versions_and_places_in_the_feed_of_their_own(
    notes: Container, path: Path
) -> None:
    order = [f"n{i * 7 % 20:02}" for i in range(20)]
    outcomes = await commits_behind_a_lock(path, lambda: [keep(notes, "ada", id, "last") for id in order])
    assert len({str(outcome) for outcome in outcomes}) == 20
    first = await notes.changes(Partition("ada"), Start.BEGINNING, limit=1)
    assert [document.id for document in first.documents] == order[:1]
    documents, _ = await follow(notes, Partition("ada"), limit=3)
    assert [document.id for document in documents if document.id != "last"] == order


async def test_closing_finishes_the_commits_that_wait(path: Path) -> None:
    store = await open_sqlite(str(path), CONTAINERS)
    commits = [asyncio.create_task(keep(store.container("notes"), "ada", f"n{i:02}")) for i in range(50)]
    await asyncio.sleep(0)
    await store.close()
    assert all(await asyncio.gather(*commits))
    assert ask(path, "SELECT count(*) FROM c_notes") == [(50,)]


async def test_what_has_expired_is_removed_from_the_file_by_a_later_commit(path: Path) -> None:
    now = 1000.0
    store = await open_sqlite(str(path), CONTAINERS, clock=lambda: now)
    await keep(store.container("notes"), "ada", "short", ttl=10)
    await keep(store.container("notes"), "ada", "long", ttl=1000)
    now += 100
    await keep(store.container("tags"), "ada", "other")
    await store.close()
    assert ask(path, "SELECT id FROM c_notes") == [("long",)]


# ---------------------------------------------------------------------------------------------- when it cannot


async def test_a_write_lock_that_is_held_for_too_long_is_a_throttle(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "BUSY_MS", 20)
    store = await open_sqlite(str(path), CONTAINERS)
    notes = store.container("notes")
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    with pytest.raises(Throttled) as error:
        await keep(notes, "ada", "n1")
    assert error.value.retry_after > 0
    assert isinstance(error.value.__cause__, sqlite3.OperationalError)
    assert await notes.read("ada", "n1") is None
    lock.close()
    await keep(notes, "ada", "n2")
    assert await ids(notes, Query("ada")) == ["n2"]
    await store.close()


async def test_the_loop_goes_on_while_another_process_holds_the_write_lock(notes: Container, path: Path) -> None:
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    commit = asyncio.create_task(keep(notes, "ada", "n1"))
    started = asyncio.get_running_loop().time()
    await asyncio.sleep(0.02)
    assert asyncio.get_running_loop().time() - started < opening.BUSY_MS / 1000 / 2
    assert not commit.done()
    lock.close()
    assert await commit
    assert await ids(notes, Query("ada")) == ["n1"]


async def test_who_is_throttled_may_wait_as_long_the_next_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "BUSY_MS", 500)
    store = await open_sqlite(str(path), CONTAINERS)
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    with pytest.raises(Throttled):
        await keep(store.container("notes"), "ada", "n1")
    commit = asyncio.create_task(keep(store.container("notes"), "ada", "n1"))
    await asyncio.sleep(0.05)
    lock.close()
    assert await commit
    await store.close()


async def test_a_commit_to_a_container_that_another_process_dropped_leaves_others_alone(path: Path) -> None:
    store, other = await open_sqlite(str(path), CONTAINERS), await open_sqlite(str(path), CONTAINERS)
    await other.drop("notes")
    lost, kept = await asyncio.gather(
        keep(store.container("notes"), "ada", "n1"), keep(store.container("tags"), "ada", "t1"), return_exceptions=True
    )
    assert isinstance(lost, Unavailable)
    assert isinstance(kept, list)
    await other.close()
    await store.close()


async def test_readers_do_not_wait_for_a_writer(notes: Container, path: Path) -> None:
    await keep(notes, "ada", "n1")
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    lock.execute("DELETE FROM c_notes")
    assert await notes.read("ada", "n1")
    assert len((await notes.changes(Partition("ada"), Start.BEGINNING)).documents) == 1
    lock.close()


async def test_a_full_disk_applies_nothing_and_the_store_goes_on_when_there_is_room(
    store: SQLiteStore, notes: Container
) -> None:
    await keep(notes, "ada", "n1")
    writer = store._writer._db
    ((pages,),) = writer.execute("PRAGMA page_count").fetchall()
    writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Unavailable, match="full"):
        await notes.commit("ada", [create("ada", "n2"), create("ada", "n3", text="x" * 500_000)])
    assert await ids(notes, Query("ada")) == ["n1"]
    assert len(await follow_all(notes)) == 1
    writer.execute("PRAGMA max_page_count = 1000000")
    await keep(notes, "ada", "n2")
    assert await ids(notes, Query("ada")) == ["n1", "n2"]


@contextmanager
def files_that_grow_no_further(size: int) -> Iterator[None]:
    """No file of this process grows beyond `size` bytes: what a full disk is to a write."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


async def test_a_log_that_cannot_grow_leaves_the_outcome_unknown_and_nothing_half_applied(
    notes: Container, path: Path
) -> None:
    await keep(notes, "ada", "n1")
    with files_that_grow_no_further(2**17), pytest.raises(OutcomeUnknown):
        await notes.commit("ada", [create("ada", "n2"), create("ada", "n3", text="x" * 500_000)])
    assert await ids(notes, Query("ada")) == ["n1"]
    await keep(notes, "ada", "n4")
    assert await ids(notes, Query("ada")) == ["n1", "n4"]
    assert ask(path, "PRAGMA integrity_check") == [("ok",)]


CALLS: list[Callable[[Store], Awaitable[object]]] = [
    lambda store: store.ping(),
    lambda store: store.container("notes").read("ada", "n1"),
    lambda store: store.container("notes").query(Query("ada", (Contains("tags", 1),))),
    lambda store: store.container("notes").changes(Partition("ada"), Start.BEGINNING),
    lambda store: store.container("notes").commit("ada", [Create("n1", note("ada", "n1"))]),
    lambda store: store.container("notes").wait_for_changes(1, 2 * HANGS_AFTER),
]


@pytest.mark.parametrize("place", [":memory:", "file"])
@pytest.mark.parametrize("call", CALLS, ids=["ping", "read", "query", "changes", "commit", "wait"])
async def test_a_closed_store_is_unavailable(
    path: Path, place: str, call: Callable[[Store], Awaitable[object]]
) -> None:
    store = await open_sqlite(place if place == ":memory:" else str(path), CONTAINERS)
    await store.close()
    with pytest.raises(Unavailable):
        async with asyncio.timeout(HANGS_AFTER):
            await call(store)


# ---------------------------------------------------------------------------------------------- cursors


async def test_a_page_that_is_not_full_is_known_to_be_the_last(notes: Container) -> None:
    await keep(notes, "ada", "n1", "n2")
    known = [(await notes.changes(Partition("ada"), Start.BEGINNING, limit)).known_last for limit in (1, 2, 3)]
    assert known == [False, False, True]


async def test_a_cursor_of_another_store_is_invalid(notes: Container, tmp_path: Path) -> None:
    other = await open_sqlite(str(tmp_path / "other.db"), CONTAINERS)
    cursor = (await other.container("notes").changes(Partition("ada"), Start.NOW)).cursor
    await other.close()
    with pytest.raises(CursorInvalid):
        await notes.changes(Partition("ada"), cursor)


@pytest.mark.parametrize("number", ["99", str(2**63), "9" * 5000], ids=["ahead", "above 64 bits", "endless"])
async def test_a_cursor_ahead_of_the_store_is_invalid(notes: Container, number: str) -> None:
    await keep(notes, "ada", "n1")
    cursor = (await notes.changes(Partition("ada"), Start.NOW)).cursor
    with pytest.raises(CursorInvalid):
        await notes.changes(Partition("ada"), cursor.rpartition(".")[0] + "." + number)


async def other_ranges(container: Container, partition: str) -> tuple[FeedRange, FeedRange]:
    """The range of a partition, and another one."""
    ranges = await container.feed_ranges()
    its = container.range_of(partition, ranges)
    return its, next(range_ for range_ in ranges if range_ != its)


async def test_a_commit_wakes_those_who_wait_for_its_range_and_nobody_else(notes: Container) -> None:
    its, other = await other_ranges(notes, "ada")
    seen, before = await notes.wait_for_changes(0, 0, its), await notes.wait_for_changes(0, 0, other)
    waiting = asyncio.create_task(notes.wait_for_changes(seen, 2 * HANGS_AFTER, its))
    await asyncio.sleep(0)
    await keep(notes, "ada", "n1")
    async with asyncio.timeout(HANGS_AFTER):
        assert await waiting != seen
    assert await notes.wait_for_changes(before, 4 * POLL_S, other) == before


async def test_a_commit_of_another_process_wakes_all_ranges_of_its_container_and_no_other(
    store: SQLiteStore, path: Path
) -> None:
    notes, tags = store.container(NOTES.name), store.container(TAGS.name)
    for range_ in await notes.feed_ranges():
        seen, before = await notes.wait_for_changes(0, 0, range_), await tags.wait_for_changes(0, 0, range_)
        abroad = await open_sqlite(str(path), CONTAINERS)
        await keep(abroad.container(NOTES.name), "ada", "n1")
        async with asyncio.timeout(HANGS_AFTER):
            assert await notes.wait_for_changes(seen, 2 * HANGS_AFTER, range_) != seen
        assert await tags.wait_for_changes(before, 4 * POLL_S, range_) == before
        await abroad.close()


async def test_a_commit_of_another_process_just_before_one_of_this_wakes_those_it_concerns(
    store: SQLiteStore, notes: Container, path: Path
) -> None:
    its, other = await other_ranges(notes, "ada")
    partition = next(f"p{number}" for number in range(100) if notes.range_of(f"p{number}", [its, other]) == other)
    abroad = await open_sqlite(str(path), CONTAINERS)
    for number in range(20):
        seen = await notes.wait_for_changes(0, 0, other)
        await keep(abroad.container(NOTES.name), partition, f"n{number}")
        await keep(notes, "ada", f"n{number}")
        async with asyncio.timeout(HANGS_AFTER):
            assert await notes.wait_for_changes(seen, 2 * HANGS_AFTER, other) != seen
    await abroad.close()


async def test_a_commit_that_fails_halfway_is_undone_and_those_that_share_its_transaction_are_not(
    notes: Container,
) -> None:
    await keep(notes, "ada", "taken")
    failing = [Create("new", note("ada", "new")), Create("taken", note("ada", "taken", text="again"))]
    outcomes = await asyncio.gather(
        keep(notes, "ada", "before"), notes.commit("ada", failing), keep(notes, "ada", "after"), return_exceptions=True
    )
    assert isinstance(outcomes[1], Conflict)
    assert (outcomes[1].index, outcomes[1].reason) == (1, "exists")
    assert await ids(notes, Query("ada")) == ["after", "before", "taken"]
    assert content(await notes.read("ada", "taken")) == note("ada", "taken")
    etags = [etag for outcome in outcomes if isinstance(outcome, list) for etag in outcome]
    documents = [await notes.read("ada", id) for id in ("before", "after")]
    assert [document and document.etag for document in documents] == etags
