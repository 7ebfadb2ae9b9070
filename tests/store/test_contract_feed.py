"""What every engine promises about the change feed and about waking those who follow it."""

import asyncio

import pytest

from store import Container, CursorInvalid, Delete, Etag, Partition, Start, Store
from tests.engines import Engine
from tests.store.notes import HANGS_AFTER, content, create, follow, follow_all, keep, note

OWNERS = [f"owner{number}" for number in range(40)]


async def names(container: Container, owner: str, after: str | Start = Start.BEGINNING) -> list[str]:
    return [document.id for document in (await follow(container, Partition(owner), after))[0]]


# ---------------------------------------------------------------------------------------------- where to begin


async def test_from_the_beginning_every_document_is_seen(notes: Container) -> None:
    await keep(notes, "ada", "n1")
    await keep(notes, "ada", "n2")
    assert await names(notes, "ada") == ["n1", "n2"]


async def test_from_now_only_later_commits_are_seen(notes: Container) -> None:
    await keep(notes, "ada", "n1")
    now = await notes.changes(Partition("ada"), Start.NOW)
    assert now.documents == []
    await keep(notes, "ada", "n2")
    assert await names(notes, "ada", now.cursor) == ["n2"]


async def test_from_now_each_range_sees_only_later_commits(notes: Container) -> None:
    for owner in OWNERS:
        await keep(notes, owner, "before")
    cursors = {scope: (await notes.changes(scope, Start.NOW)).cursor for scope in await notes.feed_ranges()}
    for owner in OWNERS:
        await keep(notes, owner, "after")
    found = [document for scope, cursor in cursors.items() for document in (await follow(notes, scope, cursor))[0]]
    assert {document.id for document in found} == {"after"}
    assert len(found) == len(OWNERS)


async def test_a_cursor_continues_behind_its_page(notes: Container) -> None:
    await keep(notes, "ada", "n1")
    _, cursor = await follow(notes, Partition("ada"))
    await keep(notes, "ada", "n2")
    assert await names(notes, "ada", cursor) == ["n2"]


async def test_a_cursor_can_be_used_again(notes: Container) -> None:
    cursor = (await notes.changes(Partition("ada"), Start.BEGINNING)).cursor
    await keep(notes, "ada", "n1")
    assert await names(notes, "ada", cursor) == await names(notes, "ada", cursor) == ["n1"]


async def test_a_page_without_documents_says_that_nothing_newer_was_there(notes: Container) -> None:
    await keep(notes, "ada", "n1")
    first = await notes.changes(Partition("ada"), Start.BEGINNING)
    empty = await notes.changes(Partition("ada"), first.cursor)
    assert (len(first.documents), empty.documents, empty.is_last) == (1, [], True)


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 100])
async def test_what_follows_on_a_page_that_is_the_last_is_empty(notes: Container, limit: int) -> None:
    await keep(notes, "ada", "n1")
    await notes.commit("ada", [create("ada", "n2"), create("ada", "n3")])
    await keep(notes, "ada", "gone", ttl=1)
    await keep(notes, "ada", "n4")
    cursor: str | Start = Start.BEGINNING
    seen, is_last = list[str](), False
    while not is_last:
        page = await notes.changes(Partition("ada"), cursor, limit)
        seen += [document.id for document in page.documents]
        cursor, is_last = page.cursor, page.is_last
    assert [id for id in seen if id != "gone"] == ["n1", "n2", "n3", "n4"]
    assert (await notes.changes(Partition("ada"), cursor, limit)).documents == []


async def test_a_cursor_outlives_the_handle_that_gave_it(two_handles: tuple[Container, Container]) -> None:
    one, other = two_handles
    await keep(one, "ada", "n1")
    _, cursor = await follow(one, Partition("ada"))
    await keep(one, "ada", "n2")
    assert await names(other, "ada", cursor) == ["n2"]


GARBAGE = ["", "garbage", "0", "'; DROP TABLE c_notes; --", "é.ü.1", "..", "{", "\x00"]


@pytest.mark.parametrize("cursor", GARBAGE, ids=ascii)
async def test_a_cursor_that_never_was_one_is_invalid(notes: Container, cursor: str) -> None:
    for scope in (Partition("ada"), (await notes.feed_ranges())[0]):
        with pytest.raises(CursorInvalid):
            await notes.changes(scope, cursor)


@pytest.mark.parametrize("change", [lambda cursor: cursor + "x", lambda cursor: cursor[1:]], ids=["longer", "cut"])
async def test_a_mutilated_cursor_is_invalid(notes: Container, change: object) -> None:
    await keep(notes, "ada", "n1")
    _, cursor = await follow(notes, Partition("ada"))
    with pytest.raises(CursorInvalid):
        await notes.changes(Partition("ada"), change(cursor))  # type: ignore[operator]


async def test_a_cursor_of_another_container_is_invalid(store: Store) -> None:
    cursor = (await store.container("tags").changes(Partition("ada"), Start.NOW)).cursor
    with pytest.raises(CursorInvalid):
        await store.container("notes").changes(Partition("ada"), cursor)


# ---------------------------------------------------------------------------------------------- what comes


async def test_a_feed_has_the_document_as_it_is_stored(notes: Container) -> None:
    (etag,) = await keep(notes, "ada", "n1", text="tea")
    (document,) = await follow_all(notes)
    assert (document.partition, document.id, document.etag) == ("ada", "n1", etag)
    assert content(document) == note("ada", "n1", text="tea")


async def test_of_several_versions_only_the_latest_comes_and_where_it_was_committed(notes: Container) -> None:
    await keep(notes, "ada", "n1", version=1)
    await keep(notes, "ada", "n2")
    await keep(notes, "ada", "n1", version=2)
    documents, _ = await follow(notes, Partition("ada"))
    assert [document.id for document in documents] == ["n2", "n1"]
    assert content(documents[-1])["version"] == 2


async def test_a_deleted_document_is_not_in_the_feed(notes: Container) -> None:
    (etag, _) = await keep(notes, "ada", "n1", "n2")
    _, cursor = await follow(notes, Partition("ada"))
    await notes.commit("ada", [Delete("n1", etag)])
    assert await names(notes, "ada") == ["n2"]
    assert await names(notes, "ada", cursor) == []


async def test_a_refused_commit_is_not_in_the_feed(notes: Container) -> None:
    await keep(notes, "ada", "n1")
    await asyncio.gather(
        notes.commit("ada", [create("ada", "n0"), create("ada", "n1")]),
        keep(notes, "ada", "n2"),
        return_exceptions=True,
    )
    assert await names(notes, "ada") == ["n1", "n2"]


@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_commits_come_in_the_order_in_which_they_were_made(notes: Container, limit: int) -> None:
    order = [f"n{number * 7 % 20:02}" for number in range(20)]
    for id in order:
        await keep(notes, "ada", id)
    documents, _ = await follow(notes, Partition("ada"), limit=limit)
    assert [document.id for document in documents] == order


async def test_in_its_range_a_partition_keeps_the_order_of_its_commits(notes: Container) -> None:
    for number in range(120):
        await keep(notes, OWNERS[number % 3], f"n{number * 7 % 120:03}", number=number)
    for owner in OWNERS[:3]:
        numbers = [content(document)["number"] for document in await follow_all(notes) if document.partition == owner]
        assert len(numbers) == 40
        assert numbers == sorted(numbers)


@pytest.mark.parametrize("limit", [1, 2, 4, 5])
async def test_a_page_never_cuts_one_commit_in_two(notes: Container, limit: int) -> None:
    for commit in range(5):
        await keep(notes, "ada", *(f"n{commit}{i}" for i in range(3)), commit=commit)
    (scope,) = [s for s in await notes.feed_ranges() if (await notes.changes(s, Start.BEGINNING)).documents]
    for asked in (Partition("ada"), scope):
        after: str | Start = Start.BEGINNING
        while (page := await notes.changes(asked, after, limit)).documents:
            commits = [content(document)["commit"] for document in page.documents]
            assert all(commits.count(commit) == 3 for commit in commits)
            assert len(commits) < limit + 3
            after = page.cursor


async def test_a_page_holds_about_as_many_documents_as_asked_for(notes: Container) -> None:
    for number in range(10):
        await keep(notes, "ada", f"n{number}")
    assert len((await notes.changes(Partition("ada"), Start.BEGINNING, limit=4)).documents) == 4


async def test_expired_documents_do_not_hide_those_behind_them(engine: Engine, notes: Container) -> None:
    for number in range(5):
        await keep(notes, "ada", f"short{number}", ttl=10)
    await keep(notes, "ada", "long")
    await engine.advance(11)
    page = await notes.changes(Partition("ada"), Start.BEGINNING, limit=1)
    assert [document.id for document in page.documents] == ["long"]


# ---------------------------------------------------------------------------------------------- scopes


async def test_the_ranges_together_hold_every_partition_exactly_once(notes: Container) -> None:
    for owner in OWNERS:
        await keep(notes, owner, "n1", "n2")
    ranges = await notes.feed_ranges()
    found = [{document.partition for document in (await follow(notes, scope))[0]} for scope in ranges]
    assert sorted(owner for owners in found for owner in owners) == sorted(OWNERS)
    assert sorted((document.partition, document.id) for document in await follow_all(notes)) == sorted(
        (owner, id) for owner in OWNERS for id in ("n1", "n2")
    )


async def test_the_ranges_stay_what_they_are(notes: Container, two_handles: tuple[Container, Container]) -> None:
    assert await notes.feed_ranges() == await notes.feed_ranges()
    assert await two_handles[0].feed_ranges() == await two_handles[1].feed_ranges()


async def test_the_scope_of_one_partition_sees_no_other(notes: Container) -> None:
    await keep(notes, "ada", "n1")
    await keep(notes, "bob", "n2")
    assert await names(notes, "bob") == ["n2"]
    assert await names(notes, "eve") == []


async def test_a_follower_beside_many_writers_ends_with_every_latest_version(notes: Container) -> None:
    cursors: dict[object, str | Start] = dict.fromkeys(await notes.feed_ranges(), Start.BEGINNING)
    seen: dict[tuple[str, str], Etag] = {}

    async def write(owner: str) -> None:
        for number in range(15):
            await keep(notes, owner, f"n{number % 4}", number=number)

    async def look() -> None:
        for scope in await notes.feed_ranges():
            documents, cursors[scope] = await follow(notes, scope, cursors[scope], limit=3)
            seen.update({(document.partition, document.id): document.etag for document in documents})

    writers = asyncio.gather(*map(write, OWNERS[:8]))
    while not writers.done():
        await look()
        await asyncio.sleep(0)
    await writers
    await look()
    assert seen == {(document.partition, document.id): document.etag for document in await follow_all(notes)}
    assert len(seen) == 8 * 4


# ---------------------------------------------------------------------------------------------- waking


async def quiet(container: Container) -> int:
    """The number once the wake-ups of earlier commits are over; an engine that cannot tell may always wake."""
    seen = await container.wait_for_changes(0, 0)
    for _ in range(5):
        if (number := await container.wait_for_changes(seen, 0.06)) == seen:
            break
        seen = number
    return await container.wait_for_changes(0, 0)


async def woken(container: Container, seen: int) -> int:
    async with asyncio.timeout(HANGS_AFTER):
        return await container.wait_for_changes(seen, 2 * HANGS_AFTER)


async def test_zero_asks_for_the_number_as_it_is(notes: Container) -> None:
    seen = await quiet(notes)
    assert await notes.wait_for_changes(0, 0) == seen


async def test_waiting_ends_when_the_time_has_passed(notes: Container) -> None:
    await keep(notes, "ada", "n1")
    seen = await quiet(notes)
    async with asyncio.timeout(HANGS_AFTER):
        assert await notes.wait_for_changes(seen, 0.01) >= seen


async def test_a_commit_wakes_all_who_wait(notes: Container) -> None:
    seen = await quiet(notes)
    waiting = [asyncio.create_task(woken(notes, seen)) for _ in range(3)]
    await asyncio.sleep(0)
    await keep(notes, "ada", "n1")
    assert seen not in await asyncio.gather(*waiting)


async def test_a_commit_between_taking_the_number_and_waiting_is_not_lost(notes: Container) -> None:
    seen = await quiet(notes)
    await keep(notes, "ada", "n1")
    assert await woken(notes, seen) != seen


async def test_a_commit_through_another_handle_wakes(two_handles: tuple[Container, Container]) -> None:
    one, other = two_handles
    seen = await quiet(other)
    waiting = asyncio.create_task(woken(other, seen))
    await asyncio.sleep(0)
    await keep(one, "ada", "n1")
    assert await waiting != seen
    assert await names(other, "ada") == ["n1"]


async def test_a_commit_through_another_handle_before_waiting_is_not_lost(
    two_handles: tuple[Container, Container],
) -> None:
    one, other = two_handles
    seen = await quiet(other)
    await keep(one, "ada", "n1")
    assert await woken(other, seen) != seen


async def test_a_commit_through_another_handle_is_told_to_one_that_has_no_time_to_wait(
    two_handles: tuple[Container, Container],
) -> None:
    one, other = two_handles
    seen = await quiet(other)
    await keep(one, "ada", "n1")
    assert await other.wait_for_changes(seen, 0) != seen


async def test_a_follower_that_only_waits_and_reads_misses_nothing(two_handles: tuple[Container, Container]) -> None:
    one, other = two_handles
    found: list[str] = []

    async def listen() -> None:
        cursor: str | Start = Start.BEGINNING
        seen = 0
        while len(found) < 60:
            seen = await woken(other, seen)
            documents, cursor = await follow(other, Partition("ada"), cursor)
            found.extend(document.id for document in documents)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(listen())
        for number in range(60):
            await keep(one if number % 2 else other, "ada", f"n{number:02}")
    assert found == [f"n{number:02}" for number in range(60)]


async def test_a_cancelled_waiter_leaves_the_others_waiting(notes: Container) -> None:
    seen = await quiet(notes)
    gone, waiting = (asyncio.create_task(woken(notes, seen)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    await keep(notes, "ada", "n1")
    assert await waiting != seen


async def test_a_partition_lies_in_one_range_and_a_cursor_of_that_continues_in_it(notes: Container) -> None:
    ranges = await notes.feed_ranges()
    for owner in OWNERS[:8]:
        await keep(notes, owner, "before")
    cursors = {range_: (await notes.changes(range_, Start.NOW)).cursor for range_ in ranges}
    for owner in OWNERS[:8]:
        await keep(notes, owner, "after")
        await keep(notes, owner, "later")
    for owner in OWNERS[:8]:
        range_ = notes.range_of(owner, ranges)
        found, _ = await follow(notes, range_)
        assert owner in {document.partition for document in found}
        assert await names(notes, owner, cursors[range_]) == ["after", "later"]
        page = await notes.changes(Partition(owner), cursors[range_], limit=1)
        assert await names(notes, owner, page.cursor) == ["after", "later"][len(page.documents) :]
