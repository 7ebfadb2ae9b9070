"""Dead letters: one for each parked key, complete and in order, whatever comes between; retried, discarded."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest

from projector.apply import Failure, key_of
from projector.dead_letters import DEAD_LETTERS, DeadLetter, DeadLetters
from projector.orders import CUSTOMER_ORDERS, PRODUCT_SALES
from read_model.orders import CUSTOMER_VIEWS, PRODUCT_VIEWS
from store import Container, ContainerDelegate, Delete, Document, Etag, OutcomeUnknown, Unavailable, Upsert, Write
from tests.projector.test_leases import Troubled
from tests.projector.workers import about, poisoned
from tests.projector.world import World, item, order_id
from tests.store.notes import MEGABYTE
from write_model import orders

BOB = order_id("bob")
KEY = CUSTOMER_ORDERS.key
ERROR = ZeroDivisionError("poison")


class Clock:
    """Each look is a second later."""

    def __init__(self) -> None:
        self.seconds = 0

    def __call__(self) -> str:
        self.seconds += 1
        return f"2026-01-01T00:00:{self.seconds:02}Z"


@pytest.fixture
def container(world: World) -> Troubled:
    return Troubled(world.store.container(DEAD_LETTERS.name))


@pytest.fixture
def letters(container: Troubled) -> DeadLetters:
    return DeadLetters(container, KEY, Clock())


async def history(world: World) -> list[Document]:
    """What the feed has of Bob's order after a few commands."""
    await world.submitted(BOB, item("tea"), item("pot"))
    await world.give(orders.record_payment, BOB)
    return [document for document in await world.feed() if key_of(CUSTOMER_ORDERS, document) == BOB]


def ids(documents: Sequence[Document]) -> tuple[str, ...]:
    return tuple(document.id for document in documents)


async def only(letters: DeadLetters) -> DeadLetter:
    (letter,) = [letter async for letter in letters.all()]
    assert await letters.get(letter.key) == letter
    return letter


# ---------------------------------------------------------------------------------------------------- parking


async def test_a_letter_says_what_failed_and_why_and_what_waits(world: World, letters: DeadLetters) -> None:
    documents = await history(world)
    await letters.park(BOB, documents, Failure(documents[0], ERROR), attempts=4)
    assert await only(letters) == DeadLetter(
        id=BOB,
        projection=CUSTOMER_ORDERS.key,
        source="bob",
        documents=ids(documents),
        document=documents[0].decode(Any),
        error="ZeroDivisionError: poison",
        attempts=4,
        first_seen="2026-01-01T00:00:01Z",
        last_seen="2026-01-01T00:00:01Z",
    )
    assert letters.parked == {BOB}


async def test_a_key_that_is_parked_again_has_one_letter_with_all_that_waits(
    world: World, letters: DeadLetters
) -> None:
    documents = await history(world)
    await letters.park(BOB, documents[:2], Failure(documents[0], ERROR), attempts=4)
    await letters.park(BOB, documents[1:], Failure(documents[1], ValueError("other")), attempts=2)
    letter = await only(letters)
    assert (letter.documents, letter.attempts) == (ids(documents), 6)
    assert (letter.error, letter.document) == ("ValueError: other", documents[1].decode(Any))
    assert letter.first_seen < letter.last_seen


async def test_what_comes_later_waits_behind_each_once(world: World, letters: DeadLetters) -> None:
    documents = await history(world)
    await letters.park(BOB, documents[:1], Failure(documents[0], ERROR), attempts=1)
    assert await letters.queue(BOB, documents[1:3])
    assert await letters.queue(BOB, documents[2:])
    letter = await only(letters)
    assert (letter.documents, letter.attempts) == (ids(documents), 1)
    assert letter.first_seen < letter.last_seen


async def test_nothing_waits_behind_a_key_that_is_not_parked_any_more(world: World, letters: DeadLetters) -> None:
    letters.parked.add(BOB)
    assert not await letters.queue(BOB, await history(world))
    assert letters.parked == set()


async def test_letters_are_learnt_beside_those_that_are_known(world: World, letters: DeadLetters) -> None:
    documents = await history(world)
    other = DeadLetters(world.store.container(DEAD_LETTERS.name), KEY, Clock())
    await other.park(BOB, documents, Failure(documents[0], ERROR), attempts=1)
    letters.parked.add("known")
    await letters.load()
    assert letters.parked == {"known", BOB}


async def test_more_letters_than_a_page_holds_are_all_there(world: World, letters: DeadLetters) -> None:
    (document, *_) = await history(world)
    for number in range(120):
        await letters.park(f"key {number:03}", [document], Failure(document, ERROR), attempts=1)
    assert [letter.key async for letter in letters.all()] == [f"key {number:03}" for number in range(120)]


async def test_each_projection_has_letters_of_its_own(world: World, letters: DeadLetters) -> None:
    documents = await history(world)
    await letters.park(BOB, documents, Failure(documents[0], ERROR), attempts=1)
    sales = DeadLetters(world.store.container(DEAD_LETTERS.name), PRODUCT_SALES.key, Clock())
    assert [letter async for letter in sales.all()] == []
    assert await sales.get(BOB) is None


async def test_a_document_too_large_to_be_kept_twice_is_only_named(world: World, letters: DeadLetters) -> None:
    body = {"kind": "unheard of", "text": "x" * (2 * MEGABYTE - 700)}
    await world.aggregates.container.commit("bob", [Upsert("large", body)])
    (document,) = await world.feed()
    failure = Failure(document, ValueError("y" * 1000))
    await letters.park("large", [document], failure, attempts=1)
    letter = await only(letters)
    assert (letter.documents, letter.document) == (("large",), None)
    assert await letters.queue("large", [document])


# ---------------------------------------------------------------------------------------------------- races


@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_unclear_outcome_neither_loses_nor_doubles_anything(
    world: World, container: Troubled, letters: DeadLetters, when: str
) -> None:
    documents = await history(world)
    setattr(container, when, iter([OutcomeUnknown("cut")]))
    await letters.park(BOB, documents[:1], Failure(documents[0], ERROR), attempts=4)
    setattr(container, when, iter([OutcomeUnknown("cut")]))
    assert await letters.queue(BOB, documents[1:])
    letter = await only(letters)
    assert (letter.documents, letter.attempts) == (ids(documents), 4)


async def test_two_who_park_and_queue_at_once_have_one_letter(shared_world: World, other_world: World) -> None:
    documents = await history(shared_world)
    both = [
        DeadLetters(world.store.container(DEAD_LETTERS.name), KEY, Clock()) for world in (shared_world, other_world)
    ]
    failure = Failure(documents[0], ERROR)
    await asyncio.gather(*(letters.park(BOB, documents[:2], failure, attempts=1) for letters in both))
    await asyncio.gather(*(letters.queue(BOB, documents[number:]) for letters in both for number in (2, 3)))
    letter = await only(both[0])
    assert letter.attempts == 2
    assert sorted(letter.documents) == sorted(ids(documents))
    assert letter.documents[:2] == ids(documents[:2])


class Meanwhile(ContainerDelegate):
    """Something else happens right before a letter is removed for the first time."""

    def __init__(self, inner: Container, happening: Any) -> None:
        super().__init__(inner)
        self.happenings: Iterator[Any] = iter([happening])

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[Etag | None]:
        if isinstance(writes[0], Delete) and (happening := next(self.happenings, None)):
            await happening()
        return await super().commit(partition, writes)


async def test_what_comes_to_wait_during_a_retry_is_retried_too(world: World, container: Troubled) -> None:
    documents = await history(world)
    letters = DeadLetters(container, KEY, Clock())
    await letters.park(BOB, documents[:2], Failure(documents[0], ERROR), attempts=1)
    busy = DeadLetters(Meanwhile(container, lambda: letters.queue(BOB, documents[2:])), KEY, Clock())
    target = world.store.container(CUSTOMER_VIEWS.name)
    assert await busy.retry(BOB, CUSTOMER_ORDERS, world.aggregates.container, target) is None
    assert await letters.get(BOB) is None
    assert {f"event:{BOB}:{number}" for number in (1, 2, 3)} <= {id for _, _, id in await world.views()}


async def test_what_comes_to_wait_while_it_is_discarded_is_discarded_too(world: World, container: Troubled) -> None:
    documents = await history(world)
    letters = DeadLetters(container, KEY, Clock())
    await letters.park(BOB, documents[:2], Failure(documents[0], ERROR), attempts=1)
    busy = DeadLetters(Meanwhile(container, lambda: letters.queue(BOB, documents[2:])), KEY, Clock())
    assert await busy.discard(BOB, "never mind")
    assert await letters.get(BOB) is None
    (given_up,) = await discarded(world)
    assert (given_up.documents, given_up.reason) == (ids(documents), "never mind")


async def discarded(world: World) -> list[DeadLetter]:
    letters = DeadLetters(world.store.container(DEAD_LETTERS.name), KEY, Clock())
    return [letter async for letter in letters.discarded.all()]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_unclear_outcome_of_removing_a_letter_ends_with_it_removed(
    world: World, container: Troubled, letters: DeadLetters, when: str
) -> None:
    documents = await history(world)
    target = world.store.container(CUSTOMER_VIEWS.name)
    await letters.park(BOB, documents, Failure(documents[0], ERROR), attempts=1)
    setattr(container, when, iter([OutcomeUnknown("cut")]))
    assert await letters.retry(BOB, CUSTOMER_ORDERS, world.aggregates.container, target) is None
    assert (await letters.get(BOB), letters.parked) == (None, set())


# ---------------------------------------------------------------------------------------------------- retrying


async def test_a_retry_projects_all_that_waits_in_its_order(world: World) -> None:
    documents = await history(world)
    await world.give(orders.cancel, BOB)
    documents = [document for document in await world.feed() if document.partition == "bob"]
    letters = DeadLetters(world.store.container(DEAD_LETTERS.name), PRODUCT_SALES.key, Clock())
    await letters.park(BOB, documents, Failure(documents[0], ERROR), attempts=1)
    target = world.store.container(PRODUCT_VIEWS.name)
    assert await letters.retry(BOB, PRODUCT_SALES, world.aggregates.container, target) is None
    sales = await target.read("tea", "product:tea")
    assert sales is not None
    body = sales.decode(dict)
    assert (body["unitsSold"], body["orderCount"], body["version"]) == (0, 0, 2)


async def test_a_retry_that_fails_again_counts_and_keeps_all(world: World, letters: DeadLetters) -> None:
    documents = await history(world)
    await letters.park(BOB, documents, Failure(documents[0], ValueError("then")), attempts=4)
    target = world.store.container(CUSTOMER_VIEWS.name)
    still = poisoned(CUSTOMER_ORDERS, lambda change: about(change) == BOB)
    letter = await letters.retry(BOB, still, world.aggregates.container, target)
    assert letter == await only(letters)
    assert (letter.attempts, letter.error, letter.documents) == (5, "ZeroDivisionError: poison", ids(documents))
    assert letters.parked == {BOB}


async def test_a_retry_projects_what_the_source_has_now(world: World, letters: DeadLetters) -> None:
    (order, *_) = [document for document in await history(world) if document.id == BOB]
    await letters.park(BOB, [order], Failure(order, ERROR), attempts=1)
    await world.give(orders.ship, BOB)
    target = world.store.container(CUSTOMER_VIEWS.name)
    assert await letters.retry(BOB, CUSTOMER_ORDERS, world.aggregates.container, target) is None
    view = await target.read("bob", BOB)
    assert view is not None
    assert view.decode(dict)["version"] == 4


async def test_a_retry_of_what_the_source_has_no_more_ends_well(world: World, letters: DeadLetters) -> None:
    await world.aggregates.container.commit("bob", [Upsert("odd", {"kind": "unheard of"})])
    (document,) = await world.feed()
    await letters.park("odd", [document], Failure(document, ERROR), attempts=1)
    await world.aggregates.container.commit("bob", [Delete("odd", document.etag)])
    target = world.store.container(CUSTOMER_VIEWS.name)
    assert await letters.retry("odd", CUSTOMER_ORDERS, world.aggregates.container, target) is None
    assert await letters.get("odd") is None


async def test_a_retry_of_nothing_is_nothing(world: World, letters: DeadLetters) -> None:
    target = world.store.container(CUSTOMER_VIEWS.name)
    assert await letters.retry(BOB, CUSTOMER_ORDERS, world.aggregates.container, target) is None


async def test_a_store_that_cannot_is_told_and_the_letter_kept(
    world: World, container: Troubled, letters: DeadLetters
) -> None:
    documents = await history(world)
    await letters.park(BOB, documents, Failure(documents[0], ERROR), attempts=1)
    container.before = iter([Unavailable("gone")])
    target = world.store.container(CUSTOMER_VIEWS.name)
    with pytest.raises(Unavailable):
        await letters.retry(BOB, CUSTOMER_ORDERS, world.aggregates.container, target)
    assert (await only(letters)).documents == ids(documents)


# ---------------------------------------------------------------------------------------------------- discarding


async def test_what_is_given_up_is_kept_with_the_reason(world: World, letters: DeadLetters) -> None:
    documents = await history(world)
    await letters.park(BOB, documents, Failure(documents[0], ERROR), attempts=4)
    letter = await only(letters)
    assert await letters.discard(BOB, "a test order")
    assert (await letters.get(BOB), letters.parked) == (None, set())
    assert await discarded(world) == [
        msgspec.structs.replace(letter, projection=f"{letter.projection} discarded", reason="a test order")
    ]


async def test_what_is_not_parked_cannot_be_given_up(world: World, letters: DeadLetters) -> None:
    assert not await letters.discard(BOB, "why not")
    assert await discarded(world) == []
