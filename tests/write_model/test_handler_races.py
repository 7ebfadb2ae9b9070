"""Several processes, and several commands of one process, on one order: none is lost, none answered with the past.

A process is an `Aggregates` of its own; another process has changed the order when a second one was used in between.
"""

import asyncio
from decimal import Decimal

import pytest

from store import Container
from tests.engines import Engine
from tests.write_model.desk import (
    Apply,
    BadDays,
    Etags,
    Orders,
    add_pen,
    applied,
    begun,
    command,
    create,
    desk,
    open_orders,
    pens,
    stored_commands,
    stored_order,
    well,
)
from write_model import orders
from write_model.commands import Applied, Command
from write_model.handler import execute
from write_model.orders import Event, Order, OrderStatus, evolve
from write_model.refusals import Contended, Rejected, VersionConflict


async def persistently(aggregates: Orders, command: Command[Order, Event]) -> Applied[Order]:
    """What a client does that is told to try again."""
    while True:
        try:
            return await execute(aggregates, command)
        except Contended:
            continue


async def assert_nothing_was_lost(container: Container, added: int) -> None:
    """Each command is in the history once, in dense versions, and the history is the order."""
    documents = await stored_commands(container)
    assert [document.version for document in documents] == list(range(1, added + 2))
    folded: Order | None = None
    for document in documents:
        for event in document.events:
            folded = evolve(folded, event)
    assert folded == await stored_order(container)
    assert pens(folded) == 2 + added


@pytest.fixture
async def stale(container: Container) -> Orders:
    """A process that knows the order as a draft at version 1, while another has submitted it: version 2."""
    aggregates = await begun(container)
    await execute(desk(container), command(orders.submit))
    known = aggregates.cache.get("order:ada:1")
    assert known
    assert known[0].version == 1
    return aggregates


# ---------------------------------------------------------------------------------------------------- stale state


async def test_a_command_on_stale_state_is_decided_again_and_applied(stale: Orders, container: Container) -> None:
    outcome = await execute(stale, command(orders.cancel, reason="no"))
    assert (outcome.state.status, outcome.state.version) == (OrderStatus.CANCELLED, 3)
    assert outcome.state == await stored_order(container)


async def test_a_command_that_only_stale_state_permits_is_refused(stale: Orders, container: Container) -> None:
    with pytest.raises(Rejected) as refused:
        await execute(stale, add_pen())
    assert refused.value.code == "WRONG_STATUS"
    assert refused.value.state == await stored_order(container)


async def test_a_command_that_only_stale_state_forbids_is_applied(stale: Orders) -> None:
    pay = command(orders.record_payment, amount=Decimal(3), reference="pay")
    assert (await execute(stale, pay)).state.status is OrderStatus.PAID


async def test_an_aim_that_holds_only_on_stale_state_is_not_taken_for_fulfilled(container: Container) -> None:
    aggregates = await begun(container)
    await execute(desk(container), command(orders.change_item_quantity, sku="pen", quantity=5))
    outcome = await execute(aggregates, command(orders.change_item_quantity, sku="pen", quantity=2))
    assert (pens(outcome.state), outcome.state.version) == (2, 3)


async def test_an_aim_that_holds_by_now_is_answered_with_the_state_by_now(stale: Orders, container: Container) -> None:
    outcome = await execute(stale, command(orders.submit))
    assert outcome.state == await stored_order(container)
    assert outcome.state.version == 2


async def test_an_expected_version_that_stale_state_does_not_have_is_looked_for(stale: Orders) -> None:
    outcome = await execute(stale, command(orders.cancel, reason="no", expected_version=2))
    assert outcome.state.version == 3


async def test_an_expected_version_that_only_stale_state_has_is_a_conflict(stale: Orders, container: Container) -> None:
    with pytest.raises(VersionConflict) as refused:
        await execute(stale, command(orders.cancel, reason="no", expected_version=1))
    assert refused.value.state == await stored_order(container)


async def test_a_replay_on_stale_state_is_answered_from_the_store(stale: Orders, container: Container) -> None:
    first = await execute(desk(container), command(orders.cancel, "c", reason="no"))
    again = await execute(stale, command(orders.cancel, "c", reason="no"))
    assert (again.state, again.replayed) == (first.state, True)


# ---------------------------------------------------------------------------------------------------- one process


async def test_commands_of_one_process_on_one_order_are_applied_in_the_order_of_asking(container: Container) -> None:
    counted = BadDays(container)
    aggregates = await begun(counted)
    outcomes = await asyncio.gather(*(execute(aggregates, add_pen()) for _ in range(50)))
    assert [outcome.state.version for outcome in outcomes] == list(range(2, 52))
    assert [request[0] for request in counted.requests] == ["commit"] * 51, "a race was lost"
    await assert_nothing_was_lost(container, 50)


async def test_the_same_command_many_times_at_once_is_applied_once(container: Container) -> None:
    aggregates = await begun(BadDays(container))
    outcomes = await asyncio.gather(*(execute(aggregates, add_pen("c")) for _ in range(10)))
    assert sorted(outcome.replayed for outcome in outcomes) == [False] + [True] * 9
    assert {outcome.state for outcome in outcomes} == {await stored_order(container)}


async def test_no_turn_is_kept_after_the_commands_are_done(container: Container) -> None:
    aggregates = await begun(BadDays(container))
    refused = command(orders.deliver)
    await asyncio.gather(*(execute(aggregates, one) for one in (add_pen(), refused, add_pen())), return_exceptions=True)
    assert not aggregates.turns


async def test_a_command_on_one_order_does_not_wait_for_another_order(container: Container) -> None:
    reached, hold = asyncio.Event(), asyncio.Event()

    async def held(apply: Apply) -> Etags:
        reached.set()
        await hold.wait()
        return await apply()

    aggregates = await begun(BadDays(container, [well, held]))
    waiting = asyncio.create_task(execute(aggregates, add_pen()))
    await reached.wait()
    await execute(aggregates, create(order="order:ada:2"))
    assert not waiting.done()
    hold.set()
    await waiting
    await assert_nothing_was_lost(container, 1)


# ---------------------------------------------------------------------------------------------------- several


async def test_two_processes_that_create_the_same_order_make_one(container: Container) -> None:
    behind = BadDays(container)
    outcomes = await asyncio.gather(
        execute(desk(behind), create("a")), execute(desk(behind), create("b")), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {Applied, Rejected}
    await assert_nothing_was_lost(container, 0)


async def test_two_processes_that_send_the_same_command_apply_it_once(container: Container) -> None:
    await begun(container)
    behind = BadDays(container)
    one, other = await asyncio.gather(*(execute(desk(behind), add_pen("c")) for _ in range(2)))
    assert one.state == other.state
    assert {one.replayed, other.replayed} == {True, False}
    await assert_nothing_was_lost(container, 1)


async def test_processes_that_race_for_one_order_apply_every_command_once(container: Container) -> None:
    await begun(container)
    processes = [desk(BadDays(container)) for _ in range(3)]
    await asyncio.gather(*(persistently(processes[n % 3], add_pen()) for n in range(60)))
    await assert_nothing_was_lost(container, 60)


async def test_processes_that_share_a_store_apply_every_command_once(shared_engine: Engine) -> None:
    handles = [await open_orders(shared_engine) for _ in range(2)]
    await begun(handles[0])
    processes = [desk(handle) for handle in handles]
    await asyncio.gather(*(persistently(processes[n % 2], add_pen()) for n in range(40)))
    for handle in handles:
        await assert_nothing_was_lost(handle, 40)


async def test_commands_survive_the_process_that_gave_them(shared_engine: Engine) -> None:
    store = await shared_engine.open([orders.CONTAINER])
    (first,) = await applied(await begun(store.container("orders")), add_pen("c"))
    await store.close()
    (again,) = await applied(desk(await open_orders(shared_engine)), add_pen("c"))
    assert (again.state, again.replayed) == (first.state, True)
