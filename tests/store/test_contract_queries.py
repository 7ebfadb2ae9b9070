"""What every engine promises about queries: conditions, order and keyset paging."""

from itertools import product
from typing import Any

import pytest

from store import (
    Condition,
    Container,
    Contains,
    Eq,
    In,
    Order,
    Prefix,
    Query,
    Range,
    Scalar,
    Store,
    Upsert,
)
from tests.store.notes import HOSTILE_BODIES, content, ids, keep, note

PEOPLE: dict[str, dict[str, object]] = {
    "a": {"rank": 1, "name": "anna", "tags": ["x", "y"], "address": {"city": {"name": "Bern"}}},
    "b": {"rank": 2, "name": "an%a", "tags": [], "address": {"city": {"name": "Berlin"}}},
    "c": {"rank": 3, "name": "an_a", "tags": ["xx", 1], "address": {"city": {}}},
    "d": {"rank": 4, "name": "änna", "tags": "x", "address": "Bern"},
    "e": {"rank": 1.5, "name": "Anna", "tags": [["x"], 2.5]},
    "f": {"name": "", "tags": {"x": "x"}},
    "g": {"rank": "2", "name": None},
    "h": {"rank": None, "name": 7},
}

CONDITIONS: list[tuple[tuple[Condition, ...], str]] = [
    ((), "abcdefgh"),
    ((Eq("name", "anna"),), "a"),
    ((Eq("name", ""),), "f"),
    ((Eq("rank", 2),), "b"),
    ((Eq("rank", "2"),), "g"),
    ((Eq("rank", 1.5),), "e"),
    ((Eq("rank", 1.0),), "a"),
    ((Eq("nowhere", 1),), ""),
    ((Eq("address.city.name", "Bern"),), "a"),
    ((Eq("id", "b"),), "b"),
    ((Eq("owner", "ada"),), "abcdefgh"),
    ((In("name", ("anna", "Anna", "nobody")),), "ae"),
    ((In("rank", (1, 3, "2")),), "acg"),
    ((In("id", ("b", "h", "b")),), "bh"),
    ((In("name", ()),), ""),
    ((Range("rank", 1, 3),), "abe"),
    ((Range("rank", low=2),), "bcd"),
    ((Range("rank", 1.5, 2),), "e"),
    ((Range("rank", 2, 2),), ""),
    ((Range("name", "an", "ao"),), "abc"),
    ((Range("id", "c", "e"),), "cd"),
    ((Range("id", high="c"),), "ab"),
    ((Range("rank", high="3"),), "g"),
    ((Range("rank", high=2),), "ae"),
    ((Range("nowhere", low=0),), ""),
    ((Range("id"),), "abcdefgh"),
    ((Contains("tags", "x"),), "a"),
    ((Contains("tags", 1),), "c"),
    ((Contains("tags", 2.5),), "e"),
    ((Contains("nowhere", "x"),), ""),
    ((Prefix("name", "an"),), "abc"),
    ((Prefix("name", "an%"),), "b"),
    ((Prefix("name", "an_"),), "c"),
    ((Prefix("name", "ä"),), "d"),
    ((Prefix("name", "anna bell"),), ""),
    ((Prefix("name", ""),), "abcdef"),
    ((Prefix("address.city.name", "Ber"),), "ab"),
    ((Prefix("id", "g"),), "g"),
    ((Prefix("name", "7"),), ""),
    ((Prefix("name", "an"), Range("rank", 2, 9), Contains("tags", "xx")), "c"),
]


@pytest.fixture
async def people(notes: Container) -> Container:
    await notes.commit("ada", [Upsert(id, note("ada", id, **fields)) for id, fields in PEOPLE.items()])
    return notes


@pytest.mark.parametrize(("where", "expected"), CONDITIONS, ids=lambda case: repr(case)[:70])
async def test_a_query_finds_exactly_the_documents_that_meet_all_conditions(
    people: Container, where: tuple[Condition, ...], expected: str
) -> None:
    assert await ids(people, Query("ada", where)) == list(expected)


@pytest.mark.parametrize(
    "value", [value for value in HOSTILE_BODIES if "\x00" not in value], ids=lambda v: ascii(v[:20])
)
async def test_a_hostile_value_is_found_as_the_value_that_it_is(notes: Container, value: str) -> None:
    await keep(notes, "ada", "hostile", text=value, tags=[value], rank=1)
    await keep(notes, "ada", "harmless", text="tea", tags=["tea"], rank=0)
    conditions: tuple[Condition, ...] = (Eq("text", value), In("text", (value, value)), Contains("tags", value))
    for condition in conditions:
        assert await ids(notes, Query("ada", (condition,))) == ["hostile"]
    assert "hostile" in await ids(notes, Query("ada", (Prefix("text", value), Range("text", low=value))))
    assert await ids(notes, Query("ada", order_by=(Order("text"),), after=(value, "hostile"), limit=1)) in (
        [],
        ["harmless"],
    )


@pytest.mark.parametrize("path", ["", "a b", "a'b", "a.", ".a", "a..b", "a)--", 'a"', "a[0]", "ä", "$.a", "a\n"])
async def test_what_is_not_a_path_is_a_value_error(notes: Container, path: str) -> None:
    conditions: list[Condition] = [Eq(path, 1), In(path, (1,)), Range(path, 1), Contains(path, 1), Prefix(path, "1")]
    for query in [Query("ada", (c,)) for c in conditions] + [Query("ada", order_by=(Order(path),))]:
        with pytest.raises(ValueError, match="path"):
            await notes.query(query)


async def test_a_query_sees_only_its_partition(notes: Container) -> None:
    await keep(notes, "ada", "n1")
    await keep(notes, "bob", "n2")
    assert await ids(notes, Query("bob")) == ["n2"]


async def test_a_query_without_a_partition_asks_all(notes: Container) -> None:
    for number, owner in enumerate(["ada", "bob", "eve"]):
        await keep(notes, owner, f"n{number}", rank=-number)
    assert await ids(notes, Query(None)) == ["n0", "n1", "n2"]
    assert await ids(notes, Query(None, (Range("rank", high=0),), (Order("rank"),))) == ["n2", "n1"]


async def test_a_query_returns_the_document_as_it_is_stored(notes: Container) -> None:
    (etag,) = await keep(notes, "ada", "n1", text="tea")
    (document,) = (await notes.query(Query("ada"))).documents
    assert (document.partition, document.id, document.etag) == ("ada", "n1", etag)
    assert content(document) == note("ada", "n1", text="tea")


# ---------------------------------------------------------------------------------------------- order and paging

DIRECTIONS = (False, True)
ORDERS = [
    (),
    *((Order(path, d),) for path, d in product(("rank", "id", "at.hour"), DIRECTIONS)),
    *((Order("group", one), Order("rank", two)) for one, two in product(DIRECTIONS, DIRECTIONS)),
]


def name(order_by: object) -> str:
    assert isinstance(order_by, tuple)
    return ",".join(f"{order.path}-{'desc' if order.descending else 'asc'}" for order in order_by) or "unordered"


def value(document: dict[str, Any], path: str) -> Any:
    found: Any = document
    for step in path.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found


def sort(documents: list[dict[str, object]], order_by: tuple[Order, ...]) -> list[str]:
    """The ids as the port promises them, by stable sorts from the least important key to the first."""
    found = [d for d in documents if all(value(d, order.path) is not None for order in order_by)]
    found.sort(key=lambda d: str(d["id"]), reverse=bool(order_by) and order_by[-1].descending)
    for order in reversed(order_by):
        found.sort(key=lambda d: value(d, order.path), reverse=order.descending)
    return [str(document["id"]) for document in found]


def some(owner: str, prefix: str) -> list[dict[str, object]]:
    """24 notes with many equal values, and one or the other value missing or null in four more."""
    whole = [
        note(owner, f"{prefix}{i * 7 % 24:02}", group="güa"[i % 3], rank=i % 4 - 1.5, at={"hour": i % 5})
        for i in range(24)
    ]
    lacking: list[dict[str, Any]] = [
        {"rank": 1},
        {"group": "a"},
        {"rank": None, "group": "a", "at": {}},
        {"at": {"hour": None}},
    ]
    return whole + [note(owner, f"{prefix}x{i}", **fields) for i, fields in enumerate(lacking)]


async def store_all(notes: Container, documents: list[dict[str, object]]) -> None:
    for owner in {str(document["owner"]) for document in documents}:
        mine = [document for document in documents if document["owner"] == owner]
        await notes.commit(owner, [Upsert(str(document["id"]), document) for document in mine])


@pytest.mark.parametrize("partition", ["ada", None])
@pytest.mark.parametrize("order_by", ORDERS, ids=name)
async def test_results_come_in_order_with_the_id_deciding_between_equals(
    notes: Container, order_by: tuple[Order, ...], partition: str | None
) -> None:
    documents = some("ada", "m") + some("bob", "k")
    await store_all(notes, documents)
    asked = [document for document in documents if partition in (None, document["owner"])]
    assert await ids(notes, Query(partition, order_by=order_by)) == sort(asked, order_by)


@pytest.mark.parametrize("partition", ["ada", None])
@pytest.mark.parametrize("order_by", ORDERS, ids=name)
async def test_paging_misses_and_repeats_nothing_while_documents_are_inserted(
    notes: Container, order_by: tuple[Order, ...], partition: str | None
) -> None:
    documents = some("ada", "m")
    await store_all(notes, documents)
    found: list[str] = []
    after: tuple[Scalar, ...] | None = None
    more, inserted = True, 0
    while more:
        page = await notes.query(Query(partition, order_by=order_by, limit=5, after=after))
        found += [document.id for document in page.documents]
        last, more = content(page.documents[-1]), page.more
        after = (*(value(last, order.path) for order in order_by), str(last["id"]))
        # One document in front of everything read so far, and one close behind it.
        for id, like in ((f"a{inserted}", 0), (f"z{inserted}", -1)):
            if inserted < 6:
                await store_all(notes, [{**content(page.documents[like]), "id": id}])
        inserted += 1
    assert len(set(found)) == len(found)
    assert [id for id in found if id.startswith("m")] == sort(documents, order_by)


@pytest.mark.parametrize(("limit", "more"), [(1, True), (4, True), (5, False), (6, False)])
async def test_more_says_whether_documents_follow_the_page(notes: Container, limit: int, more: bool) -> None:
    await keep(notes, "ada", *"abcde")
    page = await notes.query(Query("ada", limit=limit))
    assert ([document.id for document in page.documents], page.more) == (list("abcde"[:limit]), more)


@pytest.mark.parametrize("order_by", ORDERS, ids=name)
async def test_behind_the_last_document_there_is_an_empty_page(notes: Container, order_by: tuple[Order, ...]) -> None:
    documents = [note("ada", id, group="g", rank=1, at={"hour": 1}) for id in "abc"]
    await store_all(notes, documents)
    last = documents["abc".index(sort(documents, order_by)[-1])]
    after = (*(value(last, order.path) for order in order_by), str(last["id"]))
    page = await notes.query(Query("ada", order_by=order_by, after=after))
    assert (page.documents, page.more) == ([], False)


async def test_conditions_and_the_cursor_hold_together(notes: Container) -> None:
    await store_all(notes, [note("ada", f"{i:02}", kind="task" if i % 2 else "talk", rank=i) for i in range(20)])
    query = Query("ada", (Eq("kind", "task"), Range("rank", high=16)), (Order("rank", True),), 3, (11, "11"))
    page = await notes.query(query)
    assert ([document.id for document in page.documents], page.more) == (["09", "07", "05"], True)


@pytest.mark.parametrize(
    "arguments",
    [
        {"order_by": tuple(Order(path) for path in "abc")},
        {"limit": 0},
        {"limit": 1001},
        {"after": ()},
        {"order_by": (Order("rank"),), "after": ("n1",)},
        {"order_by": (Order("rank"),), "after": (1, 2, "n1")},
    ],
    ids=str,
)
def test_a_query_that_no_engine_could_answer_cannot_be_built(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"order|page|after"):
        Query("ada", **arguments)


async def test_a_page_holds_up_to_a_thousand_documents(notes: Container) -> None:
    for part in range(11):
        await keep(notes, "ada", *(f"{part:02}-{i:02}" for i in range(95)))
    page = await notes.query(Query("ada", limit=1000))
    assert (len(page.documents), page.more) == (1000, True)
    assert page.documents == sorted(page.documents, key=lambda document: document.id)


async def test_conditions_on_paths_that_are_not_indexed_are_answered_all_the_same(store: Store) -> None:
    tags = store.container("tags")
    await tags.commit(
        "t", [Upsert(id, {"id": id, "topic": "t", "n": ord(id) % 3, "m": ord(id) % 3}) for id in "abcdef"]
    )
    assert await ids(tags, Query("t", (In("m", (0, 1)),), (Order("n", True),))) == list("dafc")
