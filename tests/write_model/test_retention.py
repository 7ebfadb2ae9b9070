"""Commands that are kept for a while only: what their ids mean before and after, and what a replay answers."""

import pytest

from store import Container, Delete
from tests.engines import Engine
from tests.write_model.desk import ID, Orders, add_pen, applied, command, create, desk, pens, stored_commands
from tests.write_model.examples import ADDRESS
from write_model import orders
from write_model.handler import Aggregates, execute
from write_model.refusals import NotFound, Rejected

KEPT_S = 10


@pytest.fixture
def forgetful(container: Container) -> Orders:
    """A process that keeps commands for a short while."""
    return Aggregates(orders.MODEL, container, retention=KEPT_S)


async def test_commands_are_kept_for_ever_unless_told_otherwise(engine: Engine, container: Container) -> None:
    await execute(desk(container), create("c"))
    await engine.advance(KEPT_S + 1)
    assert (await execute(desk(container), create("c"))).replayed


async def test_a_command_is_dropped_after_its_retention_and_its_order_stays(
    engine: Engine, container: Container, forgetful: Orders
) -> None:
    await execute(forgetful, create())
    await engine.advance(KEPT_S - 5)
    assert len(await stored_commands(container)) == 1
    await engine.advance(6)
    assert await stored_commands(container) == []
    assert (await execute(forgetful, add_pen())).state.version == 2


async def test_within_the_retention_a_command_sent_again_has_one_effect(engine: Engine, forgetful: Orders) -> None:
    first, _ = await applied(forgetful, create("c"), add_pen("d"))
    await engine.advance(KEPT_S - 5)
    again = await applied(forgetful, create("c"), add_pen("d"))
    assert [outcome.replayed for outcome in again] == [True, True]
    assert again[0].state == first.state
    assert pens(again[1].state) == 3


async def test_after_the_retention_a_command_sent_again_is_a_new_one(engine: Engine, forgetful: Orders) -> None:
    await applied(forgetful, create("c"), add_pen("d"))
    await engine.advance(KEPT_S + 1)
    again = await execute(forgetful, add_pen("d"))
    assert (pens(again.state), again.replayed) == (4, False)
    with pytest.raises(Rejected, match="with this id"):
        await execute(forgetful, create("c"))


async def test_a_dropped_id_may_be_used_with_another_input(engine: Engine, forgetful: Orders) -> None:
    await applied(forgetful, create(), add_pen("c"))
    await engine.advance(KEPT_S + 1)
    assert (await execute(forgetful, command(orders.cancel, "c", reason="no"))).state.version == 3


async def test_a_replay_whose_order_has_moved_on_and_whose_events_are_partly_dropped_answers_the_order_of_now(
    engine: Engine, forgetful: Orders
) -> None:
    await execute(forgetful, create())
    await engine.advance(KEPT_S - 5)
    await applied(forgetful, add_pen("c"), add_pen())
    await engine.advance(6)  # the creation is dropped, the rest is not
    again = await execute(forgetful, add_pen("c"))
    assert (again.state.version, pens(again.state), again.replayed) == (3, 4, True)


async def test_a_replay_of_the_last_command_needs_no_events(engine: Engine, forgetful: Orders) -> None:
    await execute(forgetful, create())
    await engine.advance(KEPT_S - 5)
    first = await execute(forgetful, add_pen("c"))
    await engine.advance(6)
    again = await execute(forgetful, add_pen("c"))
    assert (again.state, again.replayed) == (first.state, True)


async def test_events_that_are_missing_in_the_middle_are_missed_too(
    engine: Engine, container: Container, forgetful: Orders
) -> None:
    """As after the setting was made, and taken back."""
    await execute(desk(container), create())
    await execute(forgetful, add_pen())
    await applied(desk(container), add_pen("c"), add_pen())
    again = await execute(desk(container), add_pen("c"))
    assert (again.state.version, again.replayed) == (3, True)
    await engine.advance(KEPT_S + 1)
    again = await execute(desk(container), add_pen("c"))
    assert (again.state.version, pens(again.state), again.replayed) == (4, 5, True)


async def test_a_command_without_events_that_is_kept_hides_no_gap_and_makes_none(
    engine: Engine, container: Container, forgetful: Orders
) -> None:
    noop = command(orders.set_shipping_address, "a", address=ADDRESS)
    await applied(desk(container), create("z"), noop, add_pen())
    assert (await execute(desk(container), noop)).state.version == 1
    await execute(forgetful, create("f", order="order:ada:2"))
    other = command(orders.set_shipping_address, "n", address=ADDRESS, order="order:ada:2")
    await applied(desk(container), other, add_pen(order="order:ada:2"))
    await engine.advance(KEPT_S + 1)
    assert (await execute(desk(container), other)).state.version == 2


async def test_a_replay_without_its_order_and_with_dropped_events_finds_no_order(
    engine: Engine, container: Container, forgetful: Orders
) -> None:
    """As in the middle of an import, when the commands are there and the orders are not yet."""
    await execute(forgetful, create())
    await execute(desk(container), add_pen("c"))
    await engine.advance(KEPT_S + 1)
    order = await container.read("ada", ID)
    assert order
    await container.commit("ada", [Delete(ID, order.etag)])
    with pytest.raises(NotFound):
        await execute(desk(container), add_pen("c"))
