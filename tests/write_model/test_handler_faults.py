"""What a command costs when all goes well, and that nothing is lost or done twice when it does not."""

import asyncio
from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import strategies as st

from store import Container, OutcomeUnknown, Throttled, Unavailable
from tests.engines import Engine, on_engines
from tests.write_model.desk import (
    ID,
    Apply,
    BadDays,
    Etags,
    Fault,
    Orders,
    add_pen,
    beaten,
    begun,
    busy,
    command,
    create,
    desk,
    dropped,
    lost,
    open_orders,
    pens,
    stored_commands,
    stored_order,
    well,
)
from tests.write_model.examples import INPUTS, NEW_PEN
from write_model import handler, orders
from write_model.commands import Applied, Command
from write_model.handler import ATTEMPTS, execute
from write_model.orders import Event, Order, evolve
from write_model.refusals import CommandIdReused, Contended, Refused, Rejected, VersionConflict


async def on_bad_days(container: Container, *faults: Fault) -> tuple[Orders, BadDays]:
    """A process that knows the order at version 1, and whose next commits go as `faults` say."""
    behind = BadDays(container, [well, *faults])
    aggregates = await begun(behind)
    behind.requests.clear()
    return aggregates, behind


# ---------------------------------------------------------------------------------------------------- what it costs


async def test_a_command_on_a_known_order_is_one_commit_of_both_documents(container: Container) -> None:
    aggregates, behind = await on_bad_days(container)
    await execute(aggregates, add_pen("c"))
    assert behind.requests == [("commit", "cmd:c", ID)]


async def test_a_command_on_an_unknown_order_is_one_read_more(container: Container) -> None:
    await begun(container)
    behind = BadDays(container)
    await execute(desk(behind), add_pen("c"))
    assert behind.requests == [("read", ID), ("commit", "cmd:c", ID)]


async def test_a_create_is_one_commit(container: Container) -> None:
    behind = BadDays(container)
    await execute(desk(behind), create("c"))
    assert behind.requests == [("commit", "cmd:c", ID)]


async def test_a_command_whose_aim_holds_writes_its_own_document_only(container: Container) -> None:
    aggregates, behind = await on_bad_days(container)
    await execute(aggregates, command(orders.change_item_quantity, "c", sku="pen", quantity=2))
    assert behind.requests == [("read", ID), ("commit", "cmd:c")]


async def test_a_replay_of_the_latest_command_folds_no_history(container: Container) -> None:
    aggregates, behind = await on_bad_days(container)
    await execute(aggregates, add_pen("c"))
    behind.requests.clear()
    await execute(aggregates, add_pen("c"))
    assert behind.requests == [("commit", "cmd:c", ID), ("read", "cmd:c"), ("read", ID)]


@pytest.mark.parametrize(("given", "looks"), [(True, [("read", "cmd:c")]), (False, [])])
async def test_a_refusal_looks_for_the_command_only_if_the_caller_could_have_sent_it_before(
    container: Container, given: bool, looks: list[tuple[str, ...]]
) -> None:
    aggregates, behind = await on_bad_days(container)
    with pytest.raises(Rejected):
        await execute(aggregates, command(orders.deliver, "c", given=given))
    assert behind.requests == [("read", ID), *looks]


# ---------------------------------------------------------------------------------------------------- bad days


@pytest.mark.parametrize(
    "faults",
    [[lost], [dropped], [dropped, dropped], [dropped, lost], [busy], [busy, lost], [beaten], [beaten, busy, dropped]],
    ids=lambda faults: "-".join(fault.__name__ for fault in faults),
)
async def test_a_command_is_applied_once_whatever_becomes_of_its_commits(
    container: Container, faults: list[Fault]
) -> None:
    aggregates, _ = await on_bad_days(container, *faults)
    outcome = await execute(aggregates, add_pen())
    assert (pens(outcome.state), outcome.state.version, outcome.replayed) == (3, 2, False)
    assert outcome.state == await stored_order(container)
    assert [document.version for document in await stored_commands(container)] == [1, 2]


@pytest.mark.parametrize("fault", [lost, dropped, busy])
async def test_a_create_is_applied_once_whatever_becomes_of_its_commits(container: Container, fault: Fault) -> None:
    outcome = await execute(desk(BadDays(container, [fault])), create())
    assert (outcome.state.version, outcome.replayed) == (1, False)
    assert outcome.state == await stored_order(container)


async def test_what_is_known_after_a_bad_day_is_good_for_the_next_command(container: Container) -> None:
    aggregates, behind = await on_bad_days(container, lost)
    await execute(aggregates, add_pen())
    behind.requests.clear()
    assert (await execute(aggregates, add_pen("c"))).state.version == 3
    assert behind.requests == [("commit", "cmd:c", ID)]


async def test_a_lost_answer_is_found_even_if_others_went_on_meanwhile(container: Container) -> None:
    async def lost_and_overtaken(apply: Apply) -> Etags:
        await apply()
        await execute(desk(container), command(orders.cancel, reason="no"))
        raise OutcomeUnknown("the answer was lost")

    aggregates, _ = await on_bad_days(container, lost_and_overtaken)
    outcome = await execute(aggregates, add_pen())
    assert (pens(outcome.state), outcome.state.version, outcome.state.status) == (3, 2, "DRAFT")
    assert (await stored_order(container)).version == 3


async def test_a_lost_answer_does_not_make_a_conflict_with_oneself(container: Container) -> None:
    aggregates, _ = await on_bad_days(container, lost)
    outcome = await execute(aggregates, add_pen(expected_version=1))
    assert outcome.state.version == 2


async def test_a_lost_race_against_an_expected_version_is_a_conflict(container: Container) -> None:
    async def overtaken(apply: Apply) -> Etags:
        await execute(desk(container), add_pen())
        return await apply()

    aggregates, _ = await on_bad_days(container, overtaken)
    with pytest.raises(VersionConflict) as refused:
        await execute(aggregates, add_pen(expected_version=1))
    assert refused.value.state == await stored_order(container)


async def test_an_unclear_outcome_under_a_used_id_is_not_taken_for_success(container: Container) -> None:
    aggregates, _ = await on_bad_days(container, well, dropped)
    await execute(aggregates, add_pen("c"))
    with pytest.raises(CommandIdReused):
        await execute(aggregates, command(orders.remove_item, "c", sku="pen"))


@pytest.mark.parametrize(("fault", "told"), [(beaten, Contended), (busy, Contended), (dropped, OutcomeUnknown)])
async def test_attempts_are_bounded_and_the_caller_is_told_whether_nothing_was_written(
    container: Container, impatient: None, fault: Fault, told: type[Exception]
) -> None:
    aggregates, behind = await on_bad_days(container, *[fault] * ATTEMPTS)
    with pytest.raises(told):
        await execute(aggregates, add_pen("c"))
    assert behind.requests.count(("commit", "cmd:c", ID)) == ATTEMPTS
    assert len(await stored_commands(container)) == 1
    assert (await execute(aggregates, add_pen("c"))).state.version == 2


async def test_the_last_attempt_counts(container: Container, impatient: None) -> None:
    aggregates, _ = await on_bad_days(container, *[beaten] * (ATTEMPTS - 1))
    assert (await execute(aggregates, add_pen())).state.version == 2


async def test_a_busy_store_is_given_the_time_that_it_asks_for(
    container: Container, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    async def very_busy(apply: Apply) -> Etags:
        raise Throttled("busy", retry_after=30)

    aggregates, _ = await on_bad_days(container, very_busy)
    monkeypatch.setattr(asyncio, "sleep", note)
    await execute(aggregates, add_pen())
    assert 30 in slept


async def test_a_store_that_cannot_be_reached_is_reported_and_the_order_stays_usable(container: Container) -> None:
    async def away(apply: Apply) -> Etags:
        raise Unavailable("gone")

    aggregates, _ = await on_bad_days(container, away)
    with pytest.raises(Unavailable):
        await execute(aggregates, add_pen("c"))
    assert (await execute(aggregates, add_pen("c"))).state.version == 2


# ---------------------------------------------------------------------------------------------------- cancelled


@pytest.mark.parametrize("before", [True, False], ids=["before it is applied", "after it is applied"])
async def test_a_command_that_is_cancelled_can_be_sent_again_and_is_applied_once(
    container: Container, before: bool
) -> None:
    reached = asyncio.Event()

    async def hanging(apply: Apply) -> Etags:
        if not before:
            await apply()
        reached.set()
        await asyncio.Event().wait()
        return []

    aggregates, _ = await on_bad_days(container, hanging)
    waiting, next_in_line = (asyncio.create_task(execute(aggregates, add_pen(id))) for id in "ab")
    await reached.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await next_in_line
    assert not aggregates.turns
    assert (await execute(aggregates, add_pen("a"))).replayed is not before
    assert pens(await stored_order(container)) == 4
    assert [document.version for document in await stored_commands(container)] == [1, 2, 3]


# ---------------------------------------------------------------------------------------------------- any history

COMMANDS: list[Command[Order, Event]] = [
    create("create"),
    *(add_pen(f"pen{n}") for n in range(4)),
    *(command(decide, decide.__name__, **arguments) for decide, arguments in INPUTS.items()),
    command(orders.change_item_quantity, "five", sku="pen", quantity=5),
    command(orders.change_item_quantity, "two", sku="pen", quantity=2, expected_version=3),
    command(orders.add_item, "ink", item=NEW_PEN._replace(sku="ink", unit_price=Decimal(1))),
]
# Fewer than a command tries to commit, so that the outcome of each is known.
faults = st.lists(st.sampled_from([well, lost, dropped, busy]), max_size=ATTEMPTS - 1)
steps = st.lists(st.tuples(st.integers(0, 1), st.sampled_from(COMMANDS)), max_size=40)


async def attempt(aggregates: Orders, command: Command[Order, Event]) -> tuple[str, Applied[Order]] | None:
    with suppress(Refused):
        return command.id, await execute(aggregates, command)
    return None


@on_engines(steps, faults, faults, st.integers(1, 8), memory=60, cosmos=15)
async def test_whatever_is_sent_and_lost_the_history_is_the_order_and_the_answers_are_the_history(
    engine: Engine,
    steps: list[tuple[int, Command[Order, Event]]],
    first: list[Fault],
    second: list[Fault],
    at_once: int,
) -> None:
    container = await open_orders(engine)
    processes = [desk(BadDays(container, first)), desk(BadDays(container, second))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handler, "PAUSE_S", 0)
        answers = [await attempt(processes[0], COMMANDS[0])]
        for start in range(0, len(steps), at_once):
            together = steps[start : start + at_once]
            answers += await asyncio.gather(*(attempt(processes[who], command) for who, command in together))
    documents = await stored_commands(container)
    states: dict[int, Order] = {}
    folded: Order | None = None
    for event in (event for document in documents for event in document.events):
        folded = evolve(folded, event)
        states[folded.version] = folded
    if folded is not None:
        assert folded == await stored_order(container)
    assert [document.version for document in documents if document.events] == list(range(1, len(states) + 1))
    versions = {document.id: document.version for document in documents}
    for id, outcome in filter(None, answers):
        assert outcome.state == states[versions[f"cmd:{id}"]]
    assert versions.keys() == {f"cmd:{id}" for id, _ in filter(None, answers)}
