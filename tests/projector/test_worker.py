"""Workers: they project what is committed, checkpoint behind the effects, share, hand over, and outlast trouble."""

import asyncio
import socket
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

import msgspec
import pytest

from projector import stream as stream_module
from projector.follower import PAGE
from projector.leases import LEASES, LeaseDocument, Timing
from projector.orders import CUSTOMER_ORDERS, PRODUCT_SALES, PROJECTIONS
from read_model.orders import CUSTOMER_VIEWS, PRODUCT_VIEWS
from store import (
    Changes,
    Conflict,
    ContainerDelegate,
    CursorInvalid,
    Etag,
    OutcomeUnknown,
    Replace,
    Scope,
    Start,
    Throttled,
    Unavailable,
    Write,
)
from tests.projector.delegates import With
from tests.projector.test_leases import process_that_ended
from tests.projector.workers import (
    EAGER,
    Failing,
    Held,
    Noted,
    Read,
    is_checkpointed,
    is_drained,
    lease_count,
    leases,
    owners,
    parked,
    worker,
    working,
)
from tests.projector.world import World, documents, order_id, until
from write_model import orders


async def shop(world: World, *customers: str) -> None:
    for customer in customers:
        await world.submitted(order_id(customer))


def test_a_loop_is_named_after_its_projection(world: World) -> None:
    names = [name for name, _ in worker(world.store).loops()]
    assert names == [f"projector {projection.name}" for projection in PROJECTIONS]


async def test_a_worker_projects_what_was_and_what_comes(shared_world: World) -> None:
    await shop(shared_world, "ada", "bob")
    async with working(shared_world.store):
        await until(lambda: is_drained(shared_world))
        await shop(shared_world, "cy", "dee")
        await until(lambda: is_drained(shared_world))


async def test_a_worker_projects_what_another_process_commits(shared_world: World, other_world: World) -> None:
    async with working(shared_world.store):
        await shop(other_world, "ada")
        await until(lambda: is_drained(shared_world))


async def test_a_commit_of_this_process_wakes_an_idle_worker(
    shared_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.sqlite.engine.POLL_S", 3600)
    monkeypatch.setattr("store.cosmos.container.POLL_S", 3600)
    monkeypatch.setattr("projector.follower.IDLE_S", 3600)
    source = Read(shared_world.aggregates.container)
    async with working(With(shared_world.store, source)):
        count = await lease_count(shared_world)
        await until(lambda: source.waiting == count)
        await shop(shared_world, "ada")
        await until(lambda: is_drained(shared_world))


# ---------------------------------------------------------------------------------------------------- checkpoints


async def test_checkpoints_follow_the_effects(shared_world: World) -> None:
    await shop(shared_world, "ada", "bob", "cy")
    async with working(shared_world.store):
        await until(lambda: is_checkpointed(shared_world))
        assert await is_drained(shared_world)


async def test_a_checkpoint_does_not_move_before_the_effects_are_stored(shared_world: World) -> None:
    await shop(shared_world, "ada")
    held = Held(shared_world.store.container(CUSTOMER_VIEWS.name))
    (range_,) = [
        range_
        for range_ in await shared_world.aggregates.container.feed_ranges()
        if (await shared_world.aggregates.container.changes(range_, Start.BEGINNING)).documents
    ]
    key = (CUSTOMER_ORDERS.key, range_.id)
    async with working(With(shared_world.store, held)):
        await until(held.waiting.is_set)
        then = await documents(shared_world.store, LEASES.name)
        await until(lambda: _renewed(shared_world, key, {document.etag for document in then}))
        assert (await leases(shared_world))[key].cursor is None
    after = (await leases(shared_world))[key]
    assert (after.owner, after.cursor, after.applied) == (None, None, 0)
    async with working(shared_world.store):
        await until(lambda: is_drained(shared_world))


async def _renewed(world: World, key: tuple[str, str], etags: set[Etag]) -> bool:
    found = await world.store.container(LEASES.name).read(*key)
    return found is not None and found.etag not in etags


async def test_the_next_page_is_read_while_one_is_applied_and_no_further(
    shared_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projector.follower.PAGE", 2)
    for _ in range(6):
        await shared_world.give(orders.create, order_id("ada", _))
    held = Held(shared_world.store.container(CUSTOMER_VIEWS.name))
    source = Read(shared_world.aggregates.container)
    async with working(With(shared_world.store, held, source), [CUSTOMER_ORDERS]):
        await until(held.waiting.is_set)
        await until(lambda: len(source.given) == 4)
        held.go.set()
        await until(lambda: len(source.given) == 12)
    assert PAGE == 100


async def test_what_was_read_ahead_is_not_checkpointed_and_comes_again(
    shared_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projector.follower.PAGE", 2)
    for number in range(3):
        await shared_world.give(orders.create, order_id("ada", number))
    held = Held(shared_world.store.container(CUSTOMER_VIEWS.name))
    source = Read(shared_world.aggregates.container)
    async with working(With(shared_world.store, held, source), [CUSTOMER_ORDERS]):
        await until(lambda: held.waiting.is_set() and len(source.given) == 4)
    assert {lease.applied for lease in (await leases(shared_world)).values()} == {0}
    async with working(shared_world.store):
        await until(lambda: is_drained(shared_world))


async def test_a_worker_continues_at_the_checkpoint_of_the_one_before(shared_world: World) -> None:
    await shop(shared_world, "ada", "bob", "cy", "dee")
    async with working(shared_world.store):
        await until(lambda: is_checkpointed(shared_world))
    await shop(shared_world, "eve")
    source = Read(shared_world.aggregates.container)
    async with working(With(shared_world.store, source)):
        await until(lambda: is_drained(shared_world))
        await until(lambda: is_checkpointed(shared_world))
    assert Start.BEGINNING not in source.positions
    assert {document.partition for document in source.given} == {"eve"}


async def test_applied_counts_each_change_once(shared_world: World) -> None:
    await shop(shared_world, "ada", "bob", "cy")
    for _ in range(2):
        async with working(shared_world.store):
            await until(lambda: is_checkpointed(shared_world))
    applied = Counter[str]()
    for (key, _), lease in (await leases(shared_world)).items():
        applied[key] += lease.applied
    feed = len(await shared_world.feed())
    assert applied == {CUSTOMER_ORDERS.key: feed, PRODUCT_SALES.key: feed}


# ---------------------------------------------------------------------------------------------------- ending


async def test_a_worker_that_ends_hands_over_what_was_applied(shared_world: World) -> None:
    await shop(shared_world, "ada", "bob")
    source = Read(shared_world.aggregates.container)
    seldom, count = replace(EAGER, renew_s=3600, checkpoint_s=3600), await lease_count(shared_world)
    async with working(With(shared_world.store, source), timing=seldom):
        await until(lambda: source.waiting == count)
        assert {lease.cursor for lease in (await leases(shared_world)).values()} == {None}
    assert await is_checkpointed(shared_world)
    assert await owners(shared_world) == {None}


@pytest.mark.parametrize("looks", [0, 1, 2, 3, 5, 8, 13, 21, 34, 55])
async def test_no_lease_is_left_behind_and_nothing_runs_on_whenever_a_worker_ends(
    shared_world: World, looks: int
) -> None:
    await shop(shared_world, "ada")
    before = asyncio.all_tasks()
    async with working(shared_world.store, timing=replace(EAGER, renew_s=0.001)):
        for _ in range(looks):
            await asyncio.sleep(0)
    assert {task for task in asyncio.all_tasks() - before if "projector" in repr(task.get_coro())} == set()
    assert await owners(shared_world) <= {None}


@pytest.mark.parametrize("trouble", [Unavailable("gone"), OutcomeUnknown("cut"), Throttled("busy", 0.001)])
async def test_a_worker_ends_also_while_its_store_is_in_trouble(world: World, trouble: Exception) -> None:
    container = Failing(world.store.container(LEASES.name))
    async with working(With(world.store, container)):
        await until(lambda: leases(world))
        container.error = trouble
        await until(lambda: container.failed > 5)
    container.error = None
    async with working(With(world.store, container), timing=replace(EAGER, expiry_s=0.1)):
        await shop(world, "ada")
        await until(lambda: is_drained(world))


# ---------------------------------------------------------------------------------------------------- several


def shares(found: dict[tuple[str, str], LeaseDocument]) -> dict[str, list[int]]:
    """How many leases each owner has, by projection."""
    counts: dict[str, Counter[str]] = {}
    for (key, _), lease in found.items():
        counts.setdefault(key, Counter())[lease.owner or ""] += 1
    return {key: sorted(count.values()) for key, count in counts.items()}


async def are_shared(world: World, workers: int) -> bool:
    ranges = len(await world.aggregates.container.feed_ranges())
    least, more = divmod(ranges, workers)
    equal = [least] * (workers - more) + [least + 1] * more
    wanted = [count for count in equal if count]
    return shares(await leases(world)) == {projection.key: wanted for projection in PROJECTIONS}


@pytest.mark.parametrize("workers", [2, 3, 5])
async def test_workers_that_come_and_go_share_the_ranges_and_all_is_projected(
    shared_world: World, other_world: World, workers: int
) -> None:
    await shop(shared_world, "ada", "bob")
    async with AsyncExitStack() as rest:
        async with working(shared_world.store):
            await until(lambda: are_shared(shared_world, 1))
            for number in range(workers - 1):
                await rest.enter_async_context(working((shared_world, other_world)[number % 2].store))
            await until(lambda: are_shared(shared_world, workers))
            await shop(shared_world, "cy", "dee")
            await until(lambda: is_drained(shared_world))
        await until(lambda: are_shared(shared_world, workers - 1))
        await shop(shared_world, "eve", "fay")
        await until(lambda: is_drained(shared_world))


async def test_workers_without_regard_for_each_other_still_count_once(shared_world: World, other_world: World) -> None:
    """With an expiry of nothing, each steals from the other all the time."""
    thieves = Timing(acquire_s=0.001, renew_s=0.01, expiry_s=0, checkpoint_s=0.01)
    async with working(shared_world.store, timing=thieves), working(other_world.store, timing=thieves):
        await shop(shared_world, "ada", "bob", "cy")
        await until(lambda: is_drained(shared_world))
        await until(lambda: _epochs_above(shared_world, 2))
        assert await is_drained(shared_world)


async def _epochs_above(world: World, epoch: int) -> bool:
    return all(lease.epoch > epoch for lease in (await leases(world)).values())


async def test_a_lease_lost_in_the_middle_of_a_page_does_no_harm(shared_world: World, other_world: World) -> None:
    await shop(shared_world, "ada", "bob", "cy")
    held = Held(shared_world.store.container(PRODUCT_VIEWS.name))
    never = replace(EAGER, renew_s=3600, checkpoint_s=3600, acquire_s=3600)
    thief = replace(EAGER, expiry_s=0.05)
    async with working(With(shared_world.store, held), timing=never):
        await until(held.waiting.is_set)
        async with working(other_world.store, timing=thief):
            await until(lambda: is_checkpointed(shared_world))
            held.go.set()
            await shop(shared_world, "ada2")
            await until(lambda: is_drained(shared_world))
    assert await is_drained(shared_world)


async def test_a_worker_whose_lease_was_stolen_notices_and_takes_it_again_when_it_is_free(shared_world: World) -> None:
    async def steal() -> bool:
        for document in await documents(shared_world.store, LEASES.name):
            lease = document.decode(LeaseDocument)
            taken = msgspec.structs.replace(lease, owner=dead, epoch=lease.epoch + 1)
            if (document.partition, document.id) == key and lease.owner:
                try:
                    await shared_world.store.container(LEASES.name).commit(
                        document.partition, [Replace(document.id, taken, document.etag)]
                    )
                except Conflict:  # it was renewed meanwhile
                    return False
                return True
        return False

    async def is_back() -> bool:
        lease = (await leases(shared_world))[key]
        return lease.epoch == 3 and lease.owner != dead

    dead = f"{socket.gethostname()}/{process_that_ended()}/thief"
    first, *_ = await shared_world.aggregates.container.feed_ranges()
    key = (CUSTOMER_ORDERS.key, first.id)
    noted = Noted()
    async with working(shared_world.store, observer=noted):
        await until(steal)
        await until(is_back)
        await shop(shared_world, "ada", "bob", "cy")
        await until(lambda: is_drained(shared_world))
    assert ("lease", CUSTOMER_ORDERS.key, "lost") in noted.told


# ---------------------------------------------------------------------------------------------------- trouble

TROUBLE = [Throttled("busy", 0.001), Unavailable("gone"), OutcomeUnknown("cut"), Conflict(0, "changed")]


@pytest.mark.parametrize("trouble", TROUBLE, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("name", [orders.CONTAINER.name, CUSTOMER_VIEWS.name, LEASES.name])
async def test_an_outage_is_outlasted_and_parks_nothing(
    shared_world: World, name: str, trouble: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projector.apply.PAUSE_S", 0.0001)
    container = Failing(shared_world.store.container(name))
    async with working(With(shared_world.store, container)) as one:
        await shop(shared_world, "ada")
        await until(lambda: is_drained(shared_world))
        container.error = trouble
        await shop(shared_world, "bob", "cy", "dee", "eve")
        await until(lambda: container.failed > 50)
        await until(lambda: set(one.problems.values()) == {f"{type(trouble).__name__}: {trouble}"})
        container.error = None
        await until(lambda: is_drained(shared_world))
        await until(lambda: is_checkpointed(shared_world))
        await until(lambda: not one.problems)
    assert [await parked(shared_world, projection) for projection in PROJECTIONS] == [{}, {}]


async def test_an_outage_of_everything_that_outlasts_the_leases_loses_nothing(
    shared_world: World, other_world: World
) -> None:
    short = replace(EAGER, expiry_s=0.1)

    def troubled(world: World) -> list[Failing]:
        return [Failing(world.store.container(spec)) for spec in (orders.CONTAINER.name, *NAMES)]

    containers, others = troubled(shared_world), troubled(other_world)
    async with (
        working(With(shared_world.store, *containers), timing=short) as one,
        working(With(other_world.store, *others), timing=short),
    ):
        await shop(shared_world, "ada")
        await until(lambda: is_drained(shared_world))
        began = asyncio.get_running_loop().time()
        for container in (*containers, *others):
            container.error = Throttled("busy", 0.001)
        await shop(shared_world, "bob", "cy", "dee", "eve")
        await until(lambda: asyncio.get_running_loop().time() - began > 5 * short.expiry_s)
        assert one.problems
        for container in (*containers, *others):
            container.error = None
        await until(lambda: is_drained(shared_world))
        await until(lambda: are_shared(shared_world, 2))
    assert [await parked(shared_world, projection) for projection in PROJECTIONS] == [{}, {}]


NAMES = [LEASES.name, CUSTOMER_VIEWS.name, PRODUCT_VIEWS.name, "dead_letters", "generations"]


async def all_owned(world: World) -> bool:
    return None not in await owners(world)


async def test_a_lease_is_renewed_while_a_page_takes_long(shared_world: World) -> None:
    await shop(shared_world, "ada")
    held = Held(shared_world.store.container(CUSTOMER_VIEWS.name))
    etags: set[Etag] = set()

    async def renewed() -> bool:
        found = await documents(shared_world.store, LEASES.name)
        etags.update(document.etag for document in found)
        return len(etags) >= 5 * len(found)

    async with working(With(shared_world.store, held), [CUSTOMER_ORDERS]):
        await until(held.waiting.is_set)
        await until(lambda: all_owned(shared_world))
        before = await leases(shared_world)
        etags.clear()
        await until(renewed)
        now = await leases(shared_world)
        assert [(lease.owner, lease.epoch) for lease in now.values()] == [
            (lease.owner, lease.epoch) for lease in before.values()
        ]
        held.go.set()
        await until(lambda: _has(shared_world, "ada", order_id("ada")))


async def _has(world: World, partition: str, id: str) -> bool:
    return await world.store.container(CUSTOMER_VIEWS.name).read(partition, id) is not None


class Invalid(ContainerDelegate):
    """One range whose cursors are not accepted, while it is `broken`."""

    broken: Scope | None = None
    tried = 0

    async def changes(self, scope: Scope, after: str | Start, limit: int = 100) -> Changes:
        if scope == self.broken:
            self.tried += 1
            raise CursorInvalid("an older file was restored")
        return await super().changes(scope, after, limit)


async def test_a_range_that_cannot_be_followed_is_told_and_keeps_back_no_other(
    shared_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Invalid(shared_world.aggregates.container)
    source.broken, *others = await source.feed_ranges()
    name = f"{CUSTOMER_ORDERS.key}/{source.broken.id}"
    async with working(With(shared_world.store, source), [CUSTOMER_ORDERS]) as one:
        await until(lambda: one.problems == {name: "CursorInvalid: an older file was restored"})
        customers = [f"customer{number}" for number in range(8)]
        await shop(shared_world, *customers)
        for range_ in others:
            for document in (await source.changes(range_, Start.BEGINNING)).documents:
                if document.id.startswith("order:"):
                    await until(partial(_has, shared_world, document.partition, document.id))
        source.broken = None
        await until(lambda: not one.problems)
        for customer in customers:
            await until(partial(_has, shared_world, customer, order_id(customer)))


async def test_pauses_grow_while_a_range_cannot_be_followed(
    shared_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Invalid(shared_world.aggregates.container)
    source.broken, *_ = await source.feed_ranges()
    pauses: list[float] = []
    note_end = stream_module.Stream._note_end

    def noting(self: stream_module.Stream, id: str, task: asyncio.Task[None]) -> None:
        note_end(self, id, task)
        pauses.extend(pause for _, pause in self._held_off.values())

    monkeypatch.setattr(stream_module.Stream, "_note_end", noting)
    monkeypatch.setattr(stream_module, "LONGEST_HELD_OFF_S", 0.035)
    async with working(With(shared_world.store, source), [CUSTOMER_ORDERS]):
        await until(lambda: len(pauses) >= 4)
    assert pauses[:4] == [0.01, 0.02, 0.035, 0.035]


async def test_a_problem_of_a_range_is_forgotten_when_its_worker_ends(shared_world: World) -> None:
    source = Invalid(shared_world.aggregates.container)
    source.broken, *_ = await source.feed_ranges()
    async with working(With(shared_world.store, source), [CUSTOMER_ORDERS]) as one:
        await until(lambda: one.problems)
    assert not one.problems


async def test_what_happens_is_told(shared_world: World) -> None:
    noted = Noted()
    ranges = len(await shared_world.aggregates.container.feed_ranges())
    taken, released = [("lease", CUSTOMER_ORDERS.key, how) for how in ("taken", "released")]
    await shop(shared_world, "ada")
    async with working(shared_world.store, [CUSTOMER_ORDERS], observer=noted):
        await until(lambda: noted.told.count(taken) == ranges and ("applied", CUSTOMER_ORDERS.key) in noted.told)
    assert noted.told.count(released) == ranges


async def test_a_crash_between_effects_and_checkpoint_counts_once(shared_world: World) -> None:
    class Ending(ContainerDelegate):
        """Its process ends as soon as read documents were stored: nothing is heard of it any more."""

        async def commit(self, partition: str, writes: Sequence[Write]) -> list[Etag | None]:
            await super().commit(partition, writes)
            await asyncio.Event().wait()
            raise AssertionError

    await shop(shared_world, "ada", "bob")
    for _ in range(3):
        ending = Ending(shared_world.store.container(PRODUCT_VIEWS.name))
        async with working(With(shared_world.store, ending), [PRODUCT_SALES]):
            await until(lambda: shared_world.store.container(PRODUCT_VIEWS.name).read("tea", "product:tea"))
    async with working(shared_world.store):
        await until(lambda: is_drained(shared_world))
