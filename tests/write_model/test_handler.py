"""The command loop keeps its first promise, exactly once, and answers what it says it answers."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from store import Container
from tests.store.notes import content
from tests.write_model.desk import (
    ID,
    add_pen,
    applied,
    begun,
    command,
    create,
    desk,
    stored_commands,
    stored_order,
)
from tests.write_model.examples import ADDRESS, CREATED, LATER, NEW_INK, NEW_PEN
from write_model import orders
from write_model.commands import Applied, Command
from write_model.handler import execute
from write_model.orders import Event, Order, OrderStatus, PaymentMethod
from write_model.orders.events import OrderSubmitted
from write_model.refusals import CommandIdReused, NotFound, Rejected, VersionConflict

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

Decide = Callable[..., list[Event]]


# ---------------------------------------------------------------------------------------------------- applied


async def test_a_command_answers_with_the_aggregate_after_it_and_that_is_what_is_stored(container: Container) -> None:
    aggregates = await begun(container)
    outcome = await execute(aggregates, command(orders.submit))
    assert (outcome.state.status, outcome.state.version, outcome.replayed) == (OrderStatus.SUBMITTED, 2, False)
    assert await stored_order(container) == outcome.state


async def test_a_command_document_tells_what_happened_and_who_did_it(container: Container) -> None:
    aggregates = await begun(container)
    given = command(orders.submit, "c-1", actor="ada")
    await execute(aggregates, given)
    *_, document = await stored_commands(container)
    assert (document.id, document.name, document.fingerprint) == ("cmd:c-1", "submit", given.fingerprint)
    assert (document.order_id, document.version, document.at, document.actor) == (ID, 2, LATER, "ada")
    assert document.events == (OrderSubmitted(at=LATER, currency="EUR", items=CREATED.items),)


async def test_a_command_document_keeps_the_trace_of_a_command_that_has_one(container: Container) -> None:
    aggregates = await begun(container)
    given = command(orders.submit, "c-1", traceparent=TRACEPARENT)
    assert given.fingerprint == replace(given, traceparent=None).fingerprint
    await execute(aggregates, given)
    untraced, traced = [
        content(await container.read("ada", document.id)) for document in await stored_commands(container)
    ]
    assert (traced["traceparent"], "traceparent" in untraced) == (TRACEPARENT, False)


async def test_orders_of_other_customers_are_other_orders(container: Container) -> None:
    aggregates = await begun(container)
    other: Command[Order, Event] = Command(orders.submit, ID, "bob", {}, "c", LATER)
    with pytest.raises(NotFound):
        await execute(desk(container), other)
    assert (await execute(aggregates, add_pen())).state.version == 2


# ---------------------------------------------------------------------------------------------------- replayed


async def test_a_command_sent_again_is_applied_once_and_answered_as_before(container: Container) -> None:
    aggregates = await begun(container)
    first, second = await applied(aggregates, add_pen("c"), add_pen("c"))
    assert (first.replayed, second.replayed) == (False, True)
    assert second.state == first.state == await stored_order(container)
    assert len(await stored_commands(container)) == 2


async def test_a_command_is_known_to_every_process(container: Container) -> None:
    first = await execute(await begun(container), add_pen("c"))
    second = await execute(desk(container), add_pen("c"))
    assert (second.state, second.replayed) == (first.state, True)


async def test_a_create_sent_again_is_answered_with_the_order_that_it_created(container: Container) -> None:
    aggregates = desk(container)
    first, _, again = await applied(aggregates, create("c"), add_pen(), create("c"))
    assert (again.state, again.replayed) == (first.state, True)


async def test_a_replay_answers_as_the_command_left_the_aggregate_whatever_came_later(container: Container) -> None:
    aggregates = await begun(container)
    noop = command(orders.set_shipping_address, address=ADDRESS)
    firsts = [await execute(aggregates, noop)]
    firsts += await applied(aggregates, *(add_pen(f"c{n}") for n in range(230)))
    for n in (0, 1, 98, 99, 100, 101, 150, 198, 199, 200, 228, 229):
        again = await execute(aggregates, add_pen(f"c{n}"))
        assert (again.state, again.replayed) == (firsts[n + 1].state, True)
    assert await execute(aggregates, noop) == Applied(firsts[0].state, replayed=True)


async def test_a_replay_is_answered_even_if_the_command_would_now_be_refused(container: Container) -> None:
    aggregates = await begun(container)
    first, _, again = await applied(aggregates, add_pen("c"), command(orders.cancel, reason="no"), add_pen("c"))
    assert (again.state, again.replayed) == (first.state, True)


async def test_a_replay_is_answered_even_if_its_expected_version_is_long_gone(container: Container) -> None:
    aggregates = await begun(container)
    first, _, again = await applied(
        aggregates, add_pen("c", expected_version=1), add_pen(), add_pen("c", expected_version=1)
    )
    assert (again.state, again.replayed) == (first.state, True)


async def test_a_command_whose_aim_holds_already_is_recorded_and_replayed_and_changes_nothing(
    container: Container,
) -> None:
    aggregates = await begun(container)
    noop = command(orders.change_item_quantity, "c", sku="pen", quantity=2)
    first, other, again = await applied(aggregates, noop, add_pen(), noop)
    assert (first.state.version, first.replayed, other.state.version) == (1, False, 2)
    assert (again.state, again.replayed) == (first.state, True)
    recorded = next(document for document in await stored_commands(container) if document.id == "cmd:c")
    assert (recorded.version, recorded.events) == (1, ())


# ---------------------------------------------------------------------------------------------------- reused


@pytest.mark.parametrize(
    ("decide", "changed"),
    [
        pytest.param(orders.add_item, {"item": NEW_PEN}, id="another quantity"),
        pytest.param(orders.add_item, {"item": NEW_INK}, id="another item"),
        pytest.param(orders.add_item, {"item": NEW_PEN._replace(title="\ud800")}, id="text that cannot be stored"),
        pytest.param(orders.remove_item, {"sku": "pen"}, id="another command"),
        pytest.param(orders.add_item, {"order": "order:ada:2"}, id="another order"),
        pytest.param(orders.add_item, {"expected_version": 1}, id="another expected version"),
        pytest.param(orders.add_item, {"item": NEW_PEN._replace(quantity=0)}, id="input that is refused"),
        pytest.param(orders.ship, {"carrier": "Post", "tracking_number": "1"}, id="a command that is refused"),
    ],
)
async def test_a_command_id_is_not_used_for_another_command(
    container: Container, decide: Decide, changed: dict[str, Any]
) -> None:
    aggregates = await begun(container)
    await applied(aggregates, create(order="order:ada:2"), add_pen("c"))
    arguments = {"item": NEW_PEN._replace(quantity=1)} if "item" not in changed and decide is orders.add_item else {}
    before = await stored_order(container)
    with pytest.raises(CommandIdReused):
        await execute(aggregates, command(decide, "c", **arguments, **changed))
    assert await stored_order(container) == before


async def test_the_order_in_which_arguments_are_named_makes_no_other_command(container: Container) -> None:
    aggregates = await begun(container)
    arguments = {"method": PaymentMethod.CARD, "reference": "ref"}
    await execute(aggregates, command(orders.set_payment_method, "c", **arguments))
    again = command(orders.set_payment_method, "c", **dict(reversed(arguments.items())))
    assert (await execute(aggregates, again)).replayed


async def test_when_a_command_is_sent_again_makes_no_other_command(container: Container) -> None:
    aggregates = await begun(container)
    first = add_pen("c", actor="ada")
    await execute(aggregates, first)
    assert (await execute(aggregates, replace(first, at="2027-01-01T00:00:00.000Z"))).replayed


@pytest.mark.parametrize("other", ["bob", None])
async def test_nobody_is_told_the_result_of_a_command_that_somebody_else_gave(
    container: Container, other: str | None
) -> None:
    aggregates = await begun(container)
    first = add_pen("c", actor="ada")
    await execute(aggregates, first)
    before = await stored_order(container)
    with pytest.raises(CommandIdReused):
        await execute(aggregates, replace(first, actor=other))
    assert await stored_order(container) == before


async def test_a_command_of_nobody_known_may_be_sent_again_by_somebody(container: Container) -> None:
    """As it was stored before anybody said who they are."""
    aggregates = await begun(container)
    first = add_pen("c")
    await execute(aggregates, first)
    assert (await execute(aggregates, replace(first, actor="ada"))).replayed


# ---------------------------------------------------------------------------------------------------- refused


async def test_there_is_nothing_to_do_on_an_order_that_does_not_exist(container: Container) -> None:
    with pytest.raises(NotFound) as refused:
        await execute(desk(container), add_pen())
    assert refused.value.state is None


async def test_a_refusal_shows_the_aggregate_as_it_is_and_writes_nothing(container: Container) -> None:
    aggregates = await begun(container)
    with pytest.raises(Rejected) as refused:
        await execute(aggregates, command(orders.deliver))
    assert refused.value.state == await stored_order(container)
    assert len(await stored_commands(container)) == 1


async def test_a_second_create_is_refused_with_the_order_that_is_there(container: Container) -> None:
    aggregates = await begun(container)
    with pytest.raises(Rejected, match="there is an order") as refused:
        await execute(aggregates, create())
    assert refused.value.code == "ORDER_EXISTS"
    assert refused.value.state == await stored_order(container)


async def test_a_create_that_breaks_a_rule_leaves_nothing_behind(container: Container) -> None:
    with pytest.raises(Rejected):
        await execute(desk(container), create(currency="???"))
    assert await container.read("ada", ID) is None
    assert await stored_commands(container) == []


async def test_a_refused_command_may_be_sent_again_when_it_is_permitted(container: Container) -> None:
    aggregates = await begun(container)
    pay = command(orders.record_payment, "c", amount=Decimal(3), reference="pay")
    with pytest.raises(Rejected):
        await execute(aggregates, pay)
    _, outcome = await applied(aggregates, command(orders.submit), pay)
    assert (outcome.state.status, outcome.replayed) == (OrderStatus.PAID, False)


async def test_a_command_at_the_version_that_it_expects_is_applied(container: Container) -> None:
    outcome = await execute(await begun(container), add_pen(expected_version=1))
    assert outcome.state.version == 2


@pytest.mark.parametrize("expected", [0, 1, 3])
async def test_a_command_at_another_version_than_it_expects_is_refused_with_the_state(
    container: Container, expected: int
) -> None:
    aggregates = await begun(container)
    await execute(aggregates, add_pen())
    with pytest.raises(VersionConflict) as refused:
        await execute(aggregates, add_pen(expected_version=expected))
    assert refused.value.expected == expected
    assert refused.value.state == await stored_order(container)
    assert refused.value.state.version == 2
