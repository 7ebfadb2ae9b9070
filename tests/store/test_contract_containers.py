"""What every engine promises about making and dropping containers, and about counting what is in them."""

import asyncio
from dataclasses import replace

import pytest

from store import Container, Eq, Partition, Query, Range, Start, Store
from tests.engines import Engine
from tests.store.notes import CONTAINERS, NOTES, create, follow, follow_all, ids, keep

NEW = replace(NOTES, name="notes_2")


# ---------------------------------------------------------------------------------------------------- make, drop


async def test_a_container_that_is_made_works_like_the_others(store: Store) -> None:
    made = await store.make(NEW)
    assert store.container("notes_2") is made
    await keep(made, "ada", "n1", rank=1)
    await keep(made, "bob", "n2", rank=2)
    assert await ids(made, Query(None, (Eq("rank", 2),))) == ["n2"]
    assert sorted(document.id for document in await follow_all(made)) == ["n1", "n2"]


async def test_a_container_is_made_once_and_keeps_what_is_in_it(store: Store) -> None:
    made = await store.make(NEW)
    await keep(made, "ada", "n1")
    assert await store.make(NEW) is made
    assert await made.read("ada", "n1")


async def test_making_a_container_that_the_store_was_opened_with_gives_it(store: Store, notes: Container) -> None:
    await keep(notes, "ada", "n1")
    assert await (await store.make(NOTES)).read("ada", "n1")


async def test_a_container_may_be_made_by_several_at_once(shared_engine: Engine) -> None:
    stores = [await shared_engine.open(CONTAINERS) for _ in range(3)]
    made = await asyncio.gather(*(store.make(NEW) for store in stores))
    await keep(made[0], "ada", "n1")
    assert all([await container.read("ada", "n1") for container in made])


async def test_a_dropped_container_is_gone_and_the_others_are_not(store: Store, notes: Container) -> None:
    made = await store.make(NEW)
    await keep(made, "ada", "n1")
    await keep(notes, "ada", "n1")
    await store.drop("notes_2")
    with pytest.raises(KeyError):
        store.container("notes_2")
    assert await notes.read("ada", "n1")
    await store.drop("notes_2")


async def test_a_container_that_is_made_again_is_empty(store: Store) -> None:
    await keep(await store.make(NEW), "ada", "n1")
    await store.drop("notes_2")
    again = await store.make(NEW)
    assert await again.read("ada", "n1") is None
    assert await follow_all(again) == []
    assert await keep(again, "ada", "n2")


async def test_commits_go_on_while_containers_come_and_go(store: Store, notes: Container) -> None:
    async def write(owner: str) -> None:
        for number in range(10):
            await keep(notes, owner, f"n{number}")

    async def change() -> None:
        for _ in range(3):
            await keep(await store.make(NEW), "ada", "n1")
            await store.drop("notes_2")

    await asyncio.gather(change(), *(write(f"owner{number}") for number in range(5)))
    assert await notes.count() == 50


# ---------------------------------------------------------------------------------------------------- counting


async def test_documents_are_counted_over_all_partitions(notes: Container) -> None:
    assert await notes.count() == 0
    for number in range(20):
        await keep(notes, f"owner{number}", "n1", rank=number)
    assert await notes.count() == 20
    assert await notes.count((Range("rank", low=5, high=8),)) == 3
    assert await notes.count((Range("rank", low=5), Eq("owner", "owner7"))) == 1


async def test_what_has_expired_is_not_counted(engine: Engine, notes: Container) -> None:
    await keep(notes, "ada", "n1", ttl=1)
    await keep(notes, "ada", "n2")
    await engine.advance(1.5)
    assert await notes.count() == 1


async def test_the_backlog_is_what_the_feed_has_not_delivered(notes: Container) -> None:
    for number in range(20):
        await keep(notes, f"owner{number}", "n1")
    for scope in await notes.feed_ranges():
        whole, cursor = await follow(notes, scope)
        assert await notes.backlog(scope, Start.BEGINNING) == len(whole)
        assert await notes.backlog(scope, Start.NOW) == 0
        assert await notes.backlog(scope, cursor) == 0
        page = await notes.changes(scope, Start.BEGINNING, 1)
        assert await notes.backlog(scope, page.cursor) == len(whole) - 1
        await keep(notes, whole[0].partition, "n1")
        assert await notes.backlog(scope, cursor) == 1


# ---------------------------------------------------------------------------------------------------- ranges


async def test_a_range_that_was_not_split_is_its_own_only_part(notes: Container) -> None:
    for scope in await notes.feed_ranges():
        assert await notes.parts_of(scope) == [scope]


async def test_every_partition_lies_in_one_range(notes: Container) -> None:
    await notes.commit("ada", [create("ada", "n1")])
    found = [scope for scope in await notes.feed_ranges() if (await follow(notes, scope))[0]]
    assert len(found) == 1
    assert len((await follow(notes, Partition("ada")))[0]) == 1
