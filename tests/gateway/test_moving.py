"""Documents moved from one store to another by a file: what arrives is what was there, and works."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.transfer import TransferFailed, incoming, outgoing, patience
from gateway.transfer.part import Seen
from store import Changes, Container, Create, OutcomeUnknown, TooLarge, Unavailable, Upsert
from tests.engines import Engine
from tests.gateway.moving import (
    PAIRS,
    Beside,
    documents,
    export,
    forged,
    import_,
    is_complete,
    kept,
    lines,
    litter,
    order_line,
    shop,
    world_on,
)
from tests.projector.scripts import Step, play, scripts
from tests.projector.world import World, item, order_id
from tests.store.notes import content
from tests.write_model.desk import Apply, BadDays, Etags, Fault, busy, dropped, lost, well
from write_model import orders
from write_model.handler import Aggregates

SOLD = order_id("customer-1", "sold")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "orders.jsonl"


@pytest.fixture
async def target() -> AsyncIterator[World]:
    """Where a world is moved to, if it does not matter on which engine."""
    async with world_on("memory") as world:
        yield world


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks a busy store again does not pause."""
    monkeypatch.setattr(patience, "PAUSE_S", 0)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """An export reads few documents at a time, and saves how far it is after each page."""
    monkeypatch.setattr(outgoing, "PAGE", 3)
    monkeypatch.setattr("gateway.transfer.part.SAVE_S", -1.0)


# ---------------------------------------------------------------------------------------------------- round trips


@pytest.mark.parametrize(("there", "here"), PAIRS)
async def test_what_was_moved_is_projected_replayed_and_goes_on_as_where_it_came_from(
    there: str, here: str, file: Path
) -> None:
    async with world_on(there) as source, world_on(here) as target:
        await shop(source)
        await source.drain()
        trailer = await export(source, file)
        assert (trailer.documents, trailer.kinds) == (33, {"command": 24, "order": 9})
        assert await import_(target, file) == incoming.Imported(trailer, known=0)
        assert await kept(target) == await kept(source)
        await target.drain()
        assert await target.views() == await source.views()
        for world in (source, target):
            again = await world.give(orders.submit, SOLD, command_id="x")
            assert (again.replayed, again.state.version, again.state.status) == (True, 2, "SUBMITTED")
            shipped = await world.give(orders.ship, SOLD)
            assert (shipped.replayed, shipped.state.version) == (False, 4)


@pytest.mark.parametrize(("there", "here"), PAIRS)
def test_whatever_was_done_it_is_projected_the_same_after_a_round_trip(there: str, here: str) -> None:
    async def holds(script: list[Step]) -> None:
        with TemporaryDirectory() as folder:
            async with world_on(there) as source, world_on(here) as target, world_on(there) as back:
                for number, step in enumerate(script):
                    await play(source, number, step)
                await source.drain()
                await export(source, Path(folder, "first"))
                await import_(target, Path(folder, "first"))
                await target.drain()
                await export(target, Path(folder, "second"))
                await import_(back, Path(folder, "second"))
                assert documents(Path(folder, "first")) == documents(Path(folder, "second"))
                assert await target.views() == await source.views()
                assert await kept(back) == await kept(source)

    def check(script: list[Step]) -> None:
        asyncio.run(holds(script))

    settings(deadline=None, max_examples=5)(given(scripts())(check))()


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
NAMES = TEXT.filter(lambda name: not name.startswith("_") and name not in ("ttl", "id", "customerId"))
IDS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\?#"), min_size=1).filter(
    lambda id: id == id.rstrip() and len(id.encode()) < 256
)
ODD = st.dictionaries(st.tuples(TEXT, IDS), st.dictionaries(NAMES, VALUES, max_size=4), max_size=8)


@pytest.mark.parametrize(("there", "here"), PAIRS)
def test_documents_of_any_shape_survive_a_round_trip(there: str, here: str) -> None:
    async def holds(bodies: dict[tuple[str, str], dict[str, Any]]) -> None:
        with TemporaryDirectory() as folder:
            async with world_on(there) as source, world_on(here) as target:
                for (partition, id), body in bodies.items():
                    whole = {**body, "id": id, "customerId": partition}
                    await source.aggregates.container.commit(partition, [Create(id, whole)])
                await export(source, Path(folder, "file"))
                assert documents(Path(folder, "file")) == bodies
                await import_(target, Path(folder, "file"))
                assert await kept(target) == await kept(source)

    def check(bodies: dict[tuple[str, str], dict[str, Any]]) -> None:
        asyncio.run(holds(bodies))

    settings(deadline=None, max_examples=8)(given(ODD)(check))()


async def test_an_empty_store_is_an_empty_file_that_can_be_imported(engine: Engine, world: World, file: Path) -> None:
    assert (await export(world, file)).documents == 0
    assert len(lines(file)) == 2
    assert (await import_(world, file)).trailer.kinds == {}


# ---------------------------------------------------------------------------------------------------- exporting


async def test_a_document_that_changes_meanwhile_is_there_once_as_it_is_at_the_end(
    world: World, file: Path, small_pages: None
) -> None:
    await shop(world)

    async def change(page: int, _: Changes) -> None:
        if page <= 5:
            await world.give(orders.create, order_id("customer-9", page), items=())
            await world.give(orders.add_item, order_id("customer-1", "begun"), item=item("cup"))

    await export(Beside(world.aggregates.container, change), file)
    found = documents(file)
    assert found["customer-1", order_id("customer-1", "begun")]["version"] == 1 + 5
    again = file.with_name("again")
    await export(world, again)
    assert documents(again) == found
    assert lines(again)[-1]["kinds"] == lines(file)[-1]["kinds"] == {"command": 24 + 10, "order": 9 + 5}
    assert [path.name for path in sorted(file.parent.iterdir())] == ["again", "orders.jsonl"]


async def test_a_page_that_comes_twice_is_there_once(world: World, file: Path, target: World) -> None:
    await shop(world)
    earlier: list[Changes] = []

    def repeat(_: int, page: Changes) -> Changes:
        earlier.append(page)
        return Changes(page.cursor, [*page.documents, *page.documents])

    await export(Beside(world.aggregates.container, repeat), file)
    assert len(documents(file)) == 33
    assert (await import_(target, file)).trailer.documents == 33


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("saved", [True, False])
async def test_an_export_interrupted_at_any_page_continues_without_duplicates_or_loss(
    world: World, file: Path, small_pages: None, saved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not saved:
        monkeypatch.setattr("gateway.transfer.part.SAVE_S", 3600.0)
    await shop(world)
    expected = file.with_name("expected")
    await export(world, expected)
    pages = 0
    while not is_complete(file):
        pages += 1

        def interrupt(page: int, _: Changes, limit: int = pages) -> None:
            if page >= limit:
                raise Interrupted

        with suppress(Interrupted):
            await export(Beside(world.aggregates.container, interrupt), file)
        if not is_complete(file) and pages % 3 == 0:
            litter(file)
    assert pages > 3
    assert sorted(map(str, lines(file)[:-1])) == sorted(map(str, lines(expected)[:-1]))


async def test_an_interrupted_export_continues_where_it_was(world: World, file: Path, small_pages: None) -> None:
    await shop(world)
    whole = Beside(world.aggregates.container, lambda *_: None)
    await export(whole, file.with_name("whole"))

    def interrupt(page: int, _: Changes) -> None:
        if page == whole.pages - 5:
            raise Interrupted

    with suppress(Interrupted):
        await export(Beside(world.aggregates.container, interrupt), file)
    rest = Beside(world.aggregates.container, lambda *_: None)
    await export(rest, file)
    assert rest.pages < whole.pages
    assert documents(file) == documents(file.with_name("whole"))


async def test_a_store_that_is_away_for_a_while_is_asked_again(world: World, file: Path, impatient: None) -> None:
    await shop(world)

    def away(page: int, _: Changes) -> None:
        if page % 2:
            raise Unavailable("away")

    await export(Beside(world.aggregates.container, away), file)
    assert len(documents(file)) == 33


async def test_a_store_that_stays_away_is_told_and_the_export_continues_later(
    world: World, file: Path, impatient: None
) -> None:
    def away(page: int, _: Changes) -> None:
        raise Unavailable("away")

    with pytest.raises(Unavailable):
        await export(Beside(world.aggregates.container, away), file)
    await export(world, file)
    assert documents(file) == {}


def test_what_was_seen_is_never_forgotten() -> None:
    seen = Seen()
    keys = [(f"p{number % 7}", f"id{number}") for number in range(2000)]
    assert sum(seen.add(key) for key in keys) < 3
    assert all(seen.add(key) for key in keys)


# ---------------------------------------------------------------------------------------------------- importing


async def test_commands_come_before_orders_and_those_of_one_order_one_after_another(
    world: World, target: World, file: Path
) -> None:
    await shop(world)
    await export(world, file)
    recorded = BadDays(target.aggregates.container)
    await import_(recorded, file)
    commits = [request[1:] for request in recorded.requests if request[0] == "commit"]
    flags = [[id.startswith("cmd:") for id in ids] for ids in commits]
    assert all(len(set(batch)) == 1 for batch in flags)
    assert [batch[0] for batch in flags] == sorted((batch[0] for batch in flags), reverse=True)
    assert max(map(len, commits)) == 3
    for ids in commits:
        told = [documents(file).get(("customer-0", id), {}).get("orderId", id) for id in ids]
        assert len(set(told)) == len(told)


async def test_an_import_interrupted_at_any_commit_leaves_no_order_without_its_commands_and_continues(
    engine: Engine, world: World, file: Path
) -> None:
    async with world_on("memory") as source:
        await shop(source, customers=1)
        await export(source, file)
        expected = await kept(source)
    commits = 0
    while True:
        commits += 1

        async def stop(apply: Apply) -> Etags:
            raise Interrupted

        container = BadDays(world.aggregates.container, [well] * (commits - 1) + [stop])
        try:
            await import_(container, file)
        except Interrupted:
            there = {id for _, _, id in await kept(world)}
            for _, _, id in await kept(world):
                if id.startswith("order:"):
                    its = {key[2] for key, body in expected.items() if body.get("orderId") == id}
                    assert its <= there
            if "cmd:z" in there:  # sent again while the import stands still: answered, or not known, but never done
                sold = order_id("customer-0", "sold")
                again = await world.give(orders.create, sold, command_id="z", items=(item("tea", 2),))
                assert again.replayed
            continue
        break
    assert commits > 1
    assert await kept(world) == expected


async def test_an_import_that_is_repeated_changes_nothing(engine: Engine, world: World, file: Path) -> None:
    await shop(world)
    await export(world, file)
    before = {document.id: document.etag for document in await world.feed()}
    assert (await import_(world, file)).known == 33
    assert {document.id: document.etag for document in await world.feed()} == before


async def test_a_document_that_is_there_and_differs_is_named_and_left_as_it_is(world: World, file: Path) -> None:
    await shop(world)
    await export(world, file)
    await world.give(orders.ship, SOLD)
    with pytest.raises(TransferFailed) as failed:
        await import_(world, file)
    assert str(failed.value) == (
        f"document {SOLD!r} of partition 'customer-1' is there already, and differs from the file; it was left as it is"
    )
    order = await world.order(SOLD)
    assert order
    assert order.version == 4


async def test_documents_of_others_are_left_alone(world: World, target: World, file: Path) -> None:
    await shop(world, customers=1)
    await export(world, file)
    await target.give(orders.create, order_id("someone", "else"), items=())
    await import_(target, file)
    assert len(await kept(target)) == 11 + 2


@pytest.mark.parametrize("fault", [lost, dropped, busy])
async def test_commits_that_go_wrong_are_made_again(
    world: World, target: World, file: Path, fault: Fault, impatient: None
) -> None:
    await shop(world)
    await export(world, file)
    await import_(BadDays(target.aggregates.container, [fault, well, fault] * 20), file)
    assert await kept(target) == await kept(world)


async def test_a_store_that_fails_for_good_is_told_and_the_import_continues_later(
    world: World, target: World, file: Path, impatient: None
) -> None:
    await shop(world)
    await export(world, file)
    with pytest.raises(OutcomeUnknown):
        await import_(BadDays(target.aggregates.container, [well] * 2 + [dropped] * 1000), file)
    await import_(target, file)
    assert await kept(target) == await kept(world)


async def test_a_commit_holds_at_most_a_hundred_documents_and_a_megabyte(target: World, file: Path) -> None:
    small = [order_line(number) for number in range(250)]
    large = [order_line(number, partition="bob", body={"kind": "order", "x": "x" * 400_000}) for number in range(7)]
    recorded = BadDays(target.aggregates.container)
    await import_(recorded, forged(file, *small, *large))
    assert sorted(len(request) - 1 for request in recorded.requests if request[0] == "commit") == [
        1, 2, 2, 2, 50, 100, 100
    ]  # fmt: skip


class Narrow(BadDays):
    """Takes few documents in a commit, and none that is long."""

    async def commit(self, partition: str, writes: Any) -> Etags:
        if len(writes) > 3 or any(len(write.body.get("x", "")) > 100 for write in writes):
            raise TooLarge("too much")
        return await super().commit(partition, writes)


async def test_a_batch_that_turns_out_too_large_is_divided(target: World, file: Path) -> None:
    container = Narrow(target.aggregates.container)
    given = forged(file, *(order_line(number) for number in range(20)))
    assert (await import_(container, given)).known == 0
    assert len(await kept(target)) == 20
    assert (await import_(container, given)).known == 20


async def test_a_document_that_is_too_large_for_the_store_is_named(target: World, file: Path) -> None:
    container = Narrow(target.aggregates.container)
    body = {"kind": "order", "x": "x" * 101}
    with pytest.raises(TransferFailed, match="document 'order:ada:2' of partition 'ada' is too large for this store"):
        await import_(container, forged(file, order_line(1), order_line(2, body=body), order_line(3)))


async def test_what_is_not_there_at_the_end_is_told(target: World, file: Path) -> None:
    twice = forged(file, order_line(1), order_line(1))
    with pytest.raises(TransferFailed, match="the store holds 1 documents of kind 'order', the file 2"):
        await import_(target, twice)


# ---------------------------------------------------------------------------------------------------- expiry


async def test_what_expires_has_left_what_it_had_left_but_a_day_at_least(
    engine: Engine, world: World, target: World, file: Path
) -> None:
    container: Container = world.aggregates.container
    for id, ttl in (("short", 50), ("long", 1_000_000), ("stays", None)):
        await container.commit("ada", [Upsert(id, {"id": id, "customerId": "ada", "kind": "order"}, ttl=ttl)])
    expiry = {document.id: document.expires for document in await world.feed()}
    assert expiry["short"]
    await export(world, file, clock=lambda: expiry["short"] - 20.5)
    assert {line["id"]: line.get("ttl") for line in lines(file)[1:-1]} == {
        "short": 21,
        "long": pytest.approx(1_000_000 - 29, abs=2),
        "stays": None,
    }
    await import_(target, file)
    now = 1_800_000_000.0
    left = {document.id: document.expires and document.expires - now for document in await target.feed()}
    assert left == {"short": 86_400, "long": pytest.approx(1_000_000 - 29, abs=2), "stays": None}


async def test_commands_that_are_kept_for_a_while_are_replayed_where_they_were_moved_to(
    world: World, target: World, file: Path
) -> None:
    world.aggregates = Aggregates(orders.MODEL, world.aggregates.container, retention=1_000_000)
    await shop(world, customers=1)
    await export(world, file)
    assert {line["body"]["kind"] for line in lines(file)[1:-1] if "ttl" in line} == {"command"}
    await import_(target, file)
    sold = order_id("customer-0", "sold")
    assert (await target.give(orders.record_payment, sold, command_id="u")).replayed
    assert content(await target.aggregates.container.read("customer-0", "cmd:u"))["kind"] == "command"


async def test_what_has_expired_is_not_exported(engine: Engine, world: World, file: Path) -> None:
    await world.aggregates.container.commit("ada", [Create("short", {"kind": "order"}, ttl=10)])
    await engine.advance(11)
    assert (await export(world, file)).documents == 0
