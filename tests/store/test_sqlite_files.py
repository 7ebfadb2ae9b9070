"""The file of a SQLite store: how it is made, opened again, and what is said when it cannot be."""

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from store import ContainerSpec, Partition, Query, StoreUnusable, Unavailable, open_store
from store.sqlite import open_sqlite, opening
from tests.store.files import ask, made
from tests.store.notes import CONTAINERS, follow, follow_all, ids, keep


def contents(folder: Path) -> dict[str, bytes]:
    """The files in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def cut(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])


def spoil_second_half(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + b"\xff" * (len(whole) - len(whole) // 2))


async def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    await made(tmp_path / "not" / "yet" / "store.db")
    assert (tmp_path / "not" / "yet" / "store.db").is_file()


async def test_a_store_that_is_opened_again_has_its_documents_and_its_cursors(path: Path) -> None:
    first = await open_store(f"sqlite:///{path}", CONTAINERS)
    await keep(first.container("notes"), "ada", "n1")
    _, cursor = await follow(first.container("notes"), Partition("ada"))
    await keep(first.container("notes"), "ada", "n2")
    await first.close()
    again = await open_store(f"sqlite:///{path}", CONTAINERS)
    documents, _ = await follow(again.container("notes"), Partition("ada"), cursor)
    assert [document.id for document in documents] == ["n2"]
    assert await ids(again.container("notes"), Query("ada")) == ["n1", "n2"]
    await again.close()


async def test_a_relative_path_is_one_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await (await open_store("sqlite:///data/store.db", CONTAINERS)).close()
    assert (tmp_path / "data" / "store.db").is_file()


async def test_a_store_in_memory_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = await open_store("sqlite:///:memory:", CONTAINERS)
    await keep(store.container("notes"), "ada", "n1")
    await store.close()
    assert contents(tmp_path) == {}


async def test_a_closed_store_leaves_one_file(path: Path) -> None:
    await made(path)
    assert list(contents(path.parent)) == ["store.db"]


@pytest.mark.parametrize("url", ["", "sqlite", "sqlite:///", "sqlite://store.db", "postgres://host/db", "store.db"])
async def test_a_url_that_is_none_is_refused_with_a_sentence_that_shows_how(url: str) -> None:
    with pytest.raises(StoreUnusable, match=re.escape(f"{url!r} is not a store: write sqlite:///")):
        await open_store(url, CONTAINERS)


def a_regular_file_as_folder(path: Path) -> Path:
    path.write_text("I am a file")
    return path / "store.db"


def a_folder(path: Path) -> Path:
    path.mkdir()
    return path


def a_text_file(path: Path) -> Path:
    path.write_text("Dear diary, today I was opened as a database.\n" * 100)
    return path


def a_foreign_database(path: Path) -> Path:
    ask(path, "CREATE TABLE c_notes (partition TEXT)")
    return path


def a_foreign_database_with_an_application_id(path: Path) -> Path:
    ask(path, "PRAGMA application_id = 42")
    return path


def a_folder_that_nobody_can_write(path: Path) -> Path:
    return Path("/proc/nowhere/store.db")


def an_impossible_name(path: Path) -> Path:
    return path.with_name("sto\x00re.db")


def a_name_that_is_too_long(path: Path) -> Path:
    return path.with_name("x" * 300)


def a_device(path: Path) -> Path:
    return Path("/dev/full")


UNUSABLE = [
    (a_regular_file_as_folder, "cannot be made"),
    (a_folder, "cannot be opened: is it a folder"),
    (a_text_file, "is not a SQLite database; nothing in it was changed"),
    (a_foreign_database, "another program; nothing in it was changed"),
    (a_foreign_database_with_an_application_id, "another program"),
    (a_folder_that_nobody_can_write, "cannot be made"),
    (an_impossible_name, "null"),
    (a_name_that_is_too_long, "cannot be opened"),
    (a_device, "cannot be used"),
]


@pytest.mark.parametrize(("make", "sentence"), UNUSABLE, ids=lambda case: getattr(case, "__name__", "says"))
async def test_what_cannot_be_a_store_is_refused_with_a_sentence_that_names_it(
    path: Path, make: Callable[[Path], Path], sentence: str
) -> None:
    place = make(path)
    with pytest.raises(StoreUnusable, match=re.escape(sentence)) as error:
        await open_sqlite(str(place), CONTAINERS)
    assert repr(str(place)) in str(error.value) or repr(str(place.parent)) in str(error.value)


@pytest.mark.parametrize("make", [a_text_file, a_foreign_database, a_foreign_database_with_an_application_id])
async def test_a_file_of_somebody_else_is_left_as_it_was(path: Path, make: Callable[[Path], Path]) -> None:
    before = contents(make(path).parent)
    with pytest.raises(StoreUnusable):
        await open_sqlite(str(path), CONTAINERS)
    assert contents(path.parent) == before


async def test_an_empty_file_becomes_a_store(path: Path) -> None:
    ask(path, "SELECT 1")
    assert contents(path.parent) == {"store.db": b""}
    await made(path)


async def test_a_store_of_a_later_format_is_refused_and_left_as_it_was(path: Path) -> None:
    await made(path)
    ask(path, f"PRAGMA user_version = {opening.FORMAT + 1}")
    before = contents(path.parent)
    with pytest.raises(StoreUnusable, match=f"format {opening.FORMAT + 1}, this program knows format {opening.FORMAT}"):
        await open_sqlite(str(path), CONTAINERS)
    assert contents(path.parent) == before


@pytest.mark.parametrize("length", [50, 1000, 5000])
async def test_a_truncated_store_is_refused_as_damaged(path: Path, length: int) -> None:
    await made(path)
    cut(path, length)
    with pytest.raises(StoreUnusable, match=f"{re.escape(repr(str(path)))} is (damaged|not a SQLite database)"):
        await open_sqlite(str(path), CONTAINERS)


async def test_damage_that_is_found_later_makes_the_store_unavailable(path: Path) -> None:
    await made(path, documents=200)
    spoil_second_half(path)  # the schema, which opening reads, is in the first
    store = await open_sqlite(str(path), CONTAINERS)
    with pytest.raises(Unavailable, match="malformed"):
        await store.container("notes").query(Query(None, limit=1000))
    await store.close()


async def test_a_store_that_somebody_else_has_locked_is_refused_as_locked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "BUSY_MS", 20)
    await made(path)
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnusable, match=f"{re.escape(repr(str(path)))} is locked by another program"):
        await open_sqlite(str(path), CONTAINERS)
    lock.close()


async def test_a_new_file_that_somebody_else_has_locked_is_refused_as_locked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "BUSY_MS", 20)
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnusable, match="is locked by another program"):
        await open_sqlite(str(path), CONTAINERS)
    lock.close()
    await made(path)


@pytest.mark.parametrize("name", ["", "Orders", "a-b", 'a"b', "1a", "a b", "é"])
async def test_a_container_of_a_name_that_is_none_is_a_value_error(path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a container"):
        await open_sqlite(str(path), [ContainerSpec(name, "owner")])


async def test_the_number_of_feed_ranges_of_a_file_stays(path: Path) -> None:
    await made(path, ranges=7)
    store = await open_sqlite(str(path), CONTAINERS, ranges=2)
    assert len(await store.container("notes").feed_ranges()) == 7
    assert len(await follow_all(store.container("notes"))) == 10
    await store.close()


async def test_a_container_can_be_added_to_a_store_later(path: Path) -> None:
    await made(path)
    store = await open_sqlite(str(path), [*CONTAINERS, ContainerSpec("later", "owner")])
    await keep(store.container("later"), "ada", "n1")
    assert len(await ids(store.container("notes"), Query("ada"))) == 10
    await store.close()


async def test_both_connections_wait_for_the_disk_before_they_acknowledge(path: Path) -> None:
    store = await open_sqlite(str(path), CONTAINERS)
    for connection in (store._db, store._writer._db):
        assert connection.execute("PRAGMA synchronous").fetchall() == [(2,)]
        assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
    await store.close()
