"""How projections are, as anyone can see who opens the store: lag, rate, owners, parked keys."""

import socket
from collections.abc import Sequence
from typing import Any

import pytest

from projector.compare import differences
from projector.lag import seconds_between, time_of
from projector.leases import LEASES, LeaseDocument, Timing
from projector.orders import CUSTOMER_ORDERS, PROJECTIONS
from projector.overview import Lag, Overview, Row
from projector.worker import drain
from store import Document, Upsert
from tests.projector.delegates import With
from tests.projector.test_leases import process_that_ended, time_passed
from tests.projector.workers import (
    EAGER,
    AnyProjection,
    Held,
    Noted,
    about,
    is_checkpointed,
    leases,
    poisoned,
    working,
)
from tests.projector.world import World, moment, order_id, until
from write_model import orders

SHORT = Timing(acquire_s=3600, expiry_s=0.1)


def overview(world: World, projections: Sequence[AnyProjection] = PROJECTIONS, now: int = 100) -> Overview:
    return Overview(world.store, projections, EAGER, lambda: moment(now))


async def row(world: World, projection: AnyProjection = CUSTOMER_ORDERS) -> Row:
    (found,) = await overview(world, [projection]).rows()
    return found


async def test_what_nobody_ever_projected_lags_by_its_oldest_change(shared_world: World) -> None:
    looker = overview(shared_world, [CUSTOMER_ORDERS])
    assert await looker.lags() == {"customer_orders": Lag(0, followed=False)}
    await shared_world.give(orders.create, order_id("ada"), at=moment(40))
    await shared_world.give(orders.create, order_id("bob"), at=moment(70))
    assert await looker.lags() == {"customer_orders": Lag(60, followed=False)}
    found = await row(shared_world)
    assert (found.lag, found.applied, found.rate, set(found.ranges.values())) == (60, 0, 0, set())
    assert found.behind > 0


async def test_what_is_projected_does_not_lag_and_has_owners(shared_world: World) -> None:
    await shared_world.submitted(order_id("ada"))
    async with working(shared_world.store):
        await until(lambda: is_checkpointed(shared_world))
        owner = {lease.owner for lease in (await leases(shared_world)).values()}
        assert await overview(shared_world).lags() == {
            "customer_orders": Lag(0, followed=True),
            "product_sales": Lag(0, followed=True),
        }
        found = await row(shared_world)
    assert (found.lag, found.behind, found.parked, found.state) == (0, 0, 0, "serving")
    assert set(found.ranges.values()) == owner
    assert found.applied >= 2


async def test_what_is_held_up_lags_more_and_more(shared_world: World) -> None:
    held = Held(shared_world.store.container(CUSTOMER_ORDERS.container.name))
    await shared_world.give(orders.create, order_id("ada"), at=moment(40))
    async with working(With(shared_world.store, held), [CUSTOMER_ORDERS]):
        await held.waiting.wait()

        async def lags() -> bool:
            return (await overview(shared_world, [CUSTOMER_ORDERS]).lags())["customer_orders"] == Lag(60, followed=True)

        await until(lags)
        later = await overview(shared_world, [CUSTOMER_ORDERS], now=130).lags()
        assert later["customer_orders"].seconds == 90
        held.go.set()


async def test_a_worker_that_ended_left_its_ranges_to_nobody(shared_world: World) -> None:
    async with working(shared_world.store):
        await until(lambda: is_checkpointed(shared_world))
    await shared_world.give(orders.create, order_id("ada"), at=moment(95))
    assert (await overview(shared_world).lags())["customer_orders"] == Lag(5, followed=False)
    assert set((await row(shared_world)).ranges.values()) == {None}


async def test_an_owner_that_is_gone_is_known_as_gone(shared_world: World) -> None:
    container, key = shared_world.store.container(LEASES.name), CUSTOMER_ORDERS.key
    first, *_ = await shared_world.aggregates.container.feed_ranges()
    dead, silent = f"{socket.gethostname()}/{process_that_ended()}/x", "elsewhere/1/x"
    await container.commit(key, [Upsert(first.id, LeaseDocument(first.id, dead))])
    assert (await row(shared_world)).ranges == {first.id: None}
    await container.commit(key, [Upsert(first.id, LeaseDocument(first.id, silent, rate=7.0))])
    looker = Overview(shared_world.store, [CUSTOMER_ORDERS], SHORT, lambda: moment(0))
    (found,) = await looker.rows()
    assert (found.ranges, found.rate) == ({first.id: silent}, 7)
    await time_passed(SHORT.expiry_s)
    (found,) = await looker.rows()
    assert (found.ranges, found.rate) == ({first.id: None}, 0)


async def test_the_rate_is_what_was_applied_since_the_last_checkpoint(shared_world: World) -> None:
    for customer in ("ada", "bob", "cy"):
        await shared_world.give(orders.create, order_id(customer))
    async with working(shared_world.store, [CUSTOMER_ORDERS]):

        async def is_counted() -> bool:
            return any(lease.rate > 0 for lease in (await leases(shared_world)).values())

        await until(is_counted)

        async def is_idle() -> bool:
            found = (await leases(shared_world)).values()
            return all(lease.rate == 0 for lease in found) and any(lease.applied for lease in found)

        await until(is_idle)


async def test_parked_keys_are_counted(shared_world: World) -> None:
    bad = poisoned(CUSTOMER_ORDERS, lambda change: about(change) == order_id("ada"))
    for customer in ("ada", "bob"):
        await shared_world.give(orders.create, order_id(customer))
    async with working(shared_world.store, [bad]):

        async def is_parked() -> bool:
            return (await row(shared_world)).parked == 1

        await until(is_parked)


async def test_a_worker_tells_how_old_what_it_finds_is(shared_world: World) -> None:
    await shared_world.give(orders.create, order_id("ada"), at="2025-12-31T23:59:30Z")
    noted = Noted()
    async with working(shared_world.store, observer=noted):  # its clock says 2026-01-01T00:00:00Z
        await until(lambda: is_checkpointed(shared_world))
    assert (CUSTOMER_ORDERS.key, 30.0) in noted.lags
    assert {seconds for _, seconds in noted.lags} <= {0.0, 30.0}


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda projection: projection.name)
@pytest.mark.parametrize(
    ("document", "time"),
    [
        ({"at": "2026-01-01T00:00:00Z"}, "2026-01-01T00:00:00Z"),
        ({"id": "o", "updatedAt": "2026-01-01T00:00:01Z"}, "2026-01-01T00:00:01Z"),
        ({"id": "o"}, None),
        ({"at": "yesterday"}, None),
        ({"at": 5}, None),
    ],
)
def test_a_change_tells_when_it_was_committed(projection: AnyProjection, document: Any, time: str | None) -> None:
    assert time_of(projection, Document("p", "d", "e", document)) == time


def test_a_clock_that_is_ahead_makes_no_negative_lag() -> None:
    assert seconds_between(moment(5), moment(3)) == 0
    assert seconds_between("2026-01-01T01:00:00.5+01:00", "2026-01-01T00:00:02Z") == 1.5


async def test_read_documents_carry_the_trace_of_the_command_that_they_show(world: World) -> None:
    """So that the frame which shows them can be linked to it."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    source = world.aggregates.container
    await world.give(orders.create, order_id("ada"))
    await world.give(orders.create, order_id("bob"))
    command = await source.read("ada", "cmd:c0")
    assert command
    body = command.content() | {"traceparent": trace}
    await source.commit("ada", [Upsert("cmd:c0", body)])
    await drain(world.store, PROJECTIONS)
    views = world.store.container(CUSTOMER_ORDERS.container.name)
    ada, bob = [await views.read(customer, order_id(customer)) for customer in ("ada", "bob")]
    assert ada
    assert bob
    assert ada.content()["traceparent"] == trace
    assert "traceparent" not in bob.content()
    assert await differences(CUSTOMER_ORDERS, source, views, None) == []
