"""Leases: taken when free, when the owner is dead and when it is silent; never twice, never while it is renewed."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from projector.leases import LEASES, Lease, LeaseDocument, LeaseLost, LeaseTable, Timing, worker_name
from store import (
    Container,
    ContainerDelegate,
    Etag,
    FeedRange,
    OutcomeUnknown,
    Query,
    Start,
    Throttled,
    Unavailable,
    Upsert,
    Write,
)
from tests.projector.world import World, until

KEY = "projection.1"
PATIENT = Timing(acquire_s=0.001, renew_s=60, expiry_s=3600)
HASTY = Timing(acquire_s=0.001, renew_s=60, expiry_s=0.1)


class Troubled(ContainerDelegate):
    """Commits that fail in turn: before, or after, they were applied."""

    def __init__(self, inner: Container) -> None:
        super().__init__(inner)
        self.before: Iterator[BaseException | None] = iter(())
        self.after: Iterator[BaseException | None] = iter(())

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[Etag | None]:
        if error := next(self.before, None):
            raise error
        etags = await super().commit(partition, writes)
        if error := next(self.after, None):
            raise error
        return etags


@dataclass
class Looker:
    """One worker's way with the leases: `held` are those that it has taken."""

    container: Container
    source: Container
    owner: str = field(default_factory=worker_name)
    timing: Timing = PATIENT

    def __post_init__(self) -> None:
        self.table = LeaseTable(self.container, KEY, self.owner, self.timing)
        self.held: dict[str, Lease] = {}

    async def look(self) -> list[str]:
        """Look once; what is to be taken."""
        await self.table.look(self.source)
        return self.table.wanted(self.held)

    async def take_share(self) -> list[str]:
        """Look once and take what is to be taken; what was got."""
        got = [(id, lease) for id in await self.look() if (lease := await self.table.take(id))]
        self.held.update(got)
        return [id for id, _ in got]


@pytest.fixture
def leases(world: World) -> Troubled:
    return Troubled(world.store.container(LEASES.name))


@pytest.fixture
def source(world: World) -> Container:
    return world.aggregates.container


@pytest.fixture
async def ranges(source: Container) -> list[str]:
    return sorted(range_.id for range_ in await source.feed_ranges())


async def stored(container: Container) -> dict[str, LeaseDocument]:
    page = await container.query(Query(KEY, limit=1000))
    return {document.id: document.decode(LeaseDocument) for document in page.documents}


def process_that_ended() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


async def owned_by(container: Container, owner: str, *ranges: str) -> None:
    for id in ranges:
        await container.commit(KEY, [Upsert(id, LeaseDocument(id, owner, epoch=7, cursor="c"))])


async def time_passed(seconds: float) -> None:
    clock = asyncio.get_running_loop()
    then = clock.time() + seconds
    await until(lambda: clock.time() > then)


# ---------------------------------------------------------------------------------------------------- taking


async def test_a_worker_alone_takes_all_that_there_is_and_begins_at_the_beginning(
    leases: Container, source: Container, ranges: list[str]
) -> None:
    me = Looker(leases, source)
    assert sorted(await me.take_share()) == ranges
    assert await stored(leases) == {id: LeaseDocument(id, me.owner, epoch=1) for id in ranges}
    assert {lease.position for lease in me.held.values()} == {Start.BEGINNING}
    assert await me.take_share() == []


async def test_several_that_begin_at_once_make_each_lease_once_and_take_it_once(shared_world: World) -> None:
    container, source = shared_world.store.container(LEASES.name), shared_world.aggregates.container
    ranges = {range_.id for range_ in await source.feed_ranges()}
    lookers = [Looker(container, source) for _ in range(5)]
    got = await asyncio.gather(*(looker.take_share() for looker in lookers))
    assert sorted(id for ids in got for id in ids) == sorted(ranges)
    found = await stored(container)
    assert {lease.epoch for lease in found.values()} == {1}
    assert {id: lease.owner for id, lease in found.items()} == {
        id: looker.owner for looker in lookers for id in looker.held
    }


async def test_of_leases_that_were_made_in_part_the_rest_is_made(
    leases: Container, source: Container, ranges: list[str]
) -> None:
    first, *others = ranges
    await owned_by(leases, "elsewhere/1/x", first)
    assert others
    assert sorted(await Looker(leases, source).take_share())
    assert sorted(await stored(leases)) == ranges


async def test_those_who_look_in_turn_come_to_equal_shares_and_stay(
    leases: Container, source: Container, ranges: list[str]
) -> None:
    lookers = [Looker(leases, source) for _ in range(3)]
    for _ in range(2 * len(ranges)):
        for looker in lookers:
            await looker.take_share()
            await renewed(looker)
    shares = [len(looker.held) for looker in lookers]
    assert (sum(shares), max(shares) - min(shares)) == (len(ranges), 1 if len(ranges) % 3 else 0)
    assert [await looker.take_share() for looker in lookers] == [[]] * 3


async def renewed(looker: Looker) -> None:
    """Renew what is held; what was lost is noticed."""
    for id, lease in list(looker.held.items()):
        try:
            await lease.renew()
        except LeaseLost:
            del looker.held[id]


async def test_a_released_lease_is_taken_at_the_next_look_and_goes_on_where_it_was_left(
    leases: Container, source: Container, ranges: list[str]
) -> None:
    first, second = Looker(leases, source), Looker(leases, source)
    await first.take_share()
    for lease in first.held.values():
        lease.advance("here", applied=3)
        await lease.release()
    assert sorted(await second.take_share()) == ranges
    assert {lease.position for lease in second.held.values()} == {"here"}
    assert await stored(leases) == {
        id: LeaseDocument(id, second.owner, epoch=2, cursor="here", applied=3) for id in ranges
    }


async def test_the_leases_of_a_dead_process_are_taken_at_once(
    leases: Container, source: Container, ranges: list[str]
) -> None:
    await owned_by(leases, f"{socket.gethostname()}/{process_that_ended()}/abc", *ranges)
    me = Looker(leases, source)
    assert sorted(await me.take_share()) == ranges
    assert {lease.position for lease in me.held.values()} == {"c"}
    assert {lease.epoch for lease in (await stored(leases)).values()} == {8}


@pytest.mark.parametrize(
    "owner",
    [f"{socket.gethostname()}/{os.getpid()}/abc", f"{socket.gethostname()}/1/abc", "elsewhere/4194304/abc"],
    ids=["this process", "another process", "another machine"],
)
async def test_of_an_owner_who_may_be_alive_no_more_than_a_share_is_taken(
    leases: Container, source: Container, ranges: list[str], owner: str
) -> None:
    await owned_by(leases, owner, *ranges)
    me = Looker(leases, source)
    for _ in range(3 * len(ranges)):
        assert len(await me.take_share()) <= 1
    owners = [lease.owner for lease in (await stored(leases)).values()]
    assert owners.count(owner) == len(ranges) // 2


async def test_a_silent_owner_loses_its_leases_after_the_expiry_and_not_before(
    leases: Container, source: Container, ranges: list[str]
) -> None:
    clock = asyncio.get_running_loop()
    silent, me = Looker(leases, source), Looker(leases, source, timing=HASTY)
    await silent.take_share()
    began = clock.time()
    await until(lambda: _has_more_than_half(me, len(ranges)))
    assert clock.time() - began >= HASTY.expiry_s
    await until(lambda: _takes_all(me, len(ranges)))
    for lease in silent.held.values():
        with pytest.raises(LeaseLost):
            await lease.renew()
        with pytest.raises(LeaseLost):
            await lease.release()
    assert {lease.owner for lease in (await stored(leases)).values()} == {me.owner}


async def _has_more_than_half(looker: Looker, of: int) -> bool:
    await looker.take_share()
    return len(looker.held) > of / 2


async def _takes_all(looker: Looker, of: int) -> bool:
    await looker.take_share()
    return len(looker.held) == of


async def test_an_owner_who_renews_keeps_its_share_however_long_it_lasts(
    leases: Container, source: Container, ranges: list[str]
) -> None:
    clock = asyncio.get_running_loop()
    owner, me = Looker(leases, source), Looker(leases, source, timing=HASTY)
    await owner.take_share()
    began = clock.time()
    while clock.time() - began < 3 * HASTY.expiry_s:
        await renewed(owner)
        await me.take_share()
        await renewed(me)
    assert len(owner.held) == len(me.held) == len(ranges) / 2
    assert {lease.owner for lease in (await stored(leases)).values()} == {owner.owner, me.owner}


async def test_who_could_not_look_for_long_does_not_hold_the_silence_against_others(
    leases: Container, source: Container, ranges: list[str]
) -> None:
    owner, me = Looker(leases, source), Looker(leases, source, timing=HASTY)
    await owner.take_share()
    await me.look()
    await time_passed(2 * HASTY.expiry_s)
    assert len(await me.look()) <= 1
    await until(lambda: _takes_all(me, len(ranges)))


async def test_own_leases_that_were_not_let_go_of_are_taken_again(
    leases: Container, source: Container, ranges: list[str]
) -> None:
    me = Looker(leases, source)
    await me.take_share()
    lost = me.held.pop(ranges[0])
    assert await me.take_share() == [ranges[0]]
    assert (await stored(leases))[ranges[0]] == LeaseDocument(ranges[0], me.owner, epoch=2)
    with pytest.raises(LeaseLost):
        await lost.renew()


async def test_what_is_held_off_is_neither_wanted_nor_counted(
    leases: Container, source: Container, ranges: list[str]
) -> None:
    me = Looker(leases, source)
    await me.look()
    assert sorted(me.table.wanted((), held_off=ranges[:1])) == ranges[1:]


async def test_of_two_who_want_a_free_lease_one_gets_it(leases: Container, source: Container) -> None:
    both = [Looker(leases, source) for _ in range(2)]
    for looker in both:
        await looker.look()
    id = min(await stored(leases))
    assert [bool(await looker.table.take(id)) for looker in both] == [True, False]
    assert (await stored(leases))[id].owner == both[0].owner


async def test_all_leases_are_taken_as_their_owners_let_go(
    leases: Container, source: Container, ranges: list[str]
) -> None:
    owner, me = Looker(leases, source), Looker(leases, source)
    await owner.take_share()
    taken, done = asyncio.Event(), asyncio.Event()

    async def always() -> bool:
        return True

    async def hold() -> None:
        async with me.table.all_taken(source, always) as whole:
            assert whole
            taken.set()
            await done.wait()

    holding = asyncio.create_task(hold())
    for lease in owner.held.values():
        assert not taken.is_set()
        await lease.release()
    await taken.wait()
    assert {lease.owner for lease in (await stored(leases)).values()} == {me.owner}
    done.set()
    await holding
    assert {lease.owner for lease in (await stored(leases)).values()} == {None}


async def test_leases_that_were_taken_are_free_again_when_the_taking_is_cancelled(
    leases: Container, source: Container, ranges: list[str]
) -> None:
    owner, me = Looker(leases, source), Looker(leases, source)
    await owner.take_share()
    await owner.held.pop(ranges[0]).release()

    async def always() -> bool:
        return True

    async def hold() -> None:
        async with me.table.all_taken(source, always):
            raise AssertionError("the other leases have an owner")

    holding = asyncio.create_task(hold())

    async def begun() -> bool:
        return (await stored(leases))[ranges[0]].owner == me.owner

    await until(begun)
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)
    assert (await stored(leases))[ranges[0]].owner is None


async def test_more_leases_than_a_commit_holds_are_made(world: World) -> None:
    class Wide(ContainerDelegate):
        """A container of very many ranges."""

        async def feed_ranges(self) -> list[FeedRange]:
            return [FeedRange(f"{number:03}") for number in range(256)]

        async def parts_of(self, range: FeedRange) -> list[FeedRange]:
            return [range]

    me = Looker(world.store.container(LEASES.name), Wide(world.aggregates.container))
    assert len(await me.look()) == 256


# ---------------------------------------------------------------------------------------------------- renewing


@pytest.fixture
async def lease(leases: Container, source: Container, ranges: list[str]) -> Lease:
    me = Looker(leases, source)
    await me.take_share()
    return me.held[ranges[0]]


async def document_of(lease: Lease, container: Container) -> LeaseDocument:
    return (await stored(container))[lease.range.id]


async def test_a_renewal_stores_how_far_the_owner_has_come(leases: Container, lease: Lease) -> None:
    lease.advance("here", applied=2)
    assert (lease.position, lease.unsaved) == ("here", True)
    assert (await document_of(lease, leases)).cursor is None
    await lease.renew()
    lease.advance("there", applied=3)
    await lease.renew()
    found = await document_of(lease, leases)
    assert (found.cursor, found.applied, lease.unsaved) == ("there", 5, False)


async def test_an_advance_to_where_it_stands_is_nothing_to_save(lease: Lease) -> None:
    lease.advance("here", applied=1)
    await lease.renew()
    lease.advance("here", applied=0)
    assert not lease.unsaved


async def test_what_was_reached_during_a_renewal_is_left_to_the_next(
    leases: Container, source: Container, ranges: list[str]
) -> None:
    class Busy(ContainerDelegate):
        lease: Lease | None = None

        async def commit(self, partition: str, writes: Sequence[Write]) -> list[Etag | None]:
            if self.lease:
                self.lease.advance("further", applied=1)
            return await super().commit(partition, writes)

    container = Busy(leases)
    me = Looker(container, source)
    await me.take_share()
    container.lease = lease = me.held[ranges[0]]
    lease.advance("here", applied=1)
    await lease.renew()
    assert lease.unsaved
    await lease.release()
    found = await document_of(lease, leases)
    assert (found.owner, found.cursor) == (None, "further")


async def test_a_lost_lease_is_noticed_at_the_next_renewal(leases: Container, lease: Lease) -> None:
    await owned_by(leases, "elsewhere/1/thief", lease.range.id)
    lease.advance("mine", applied=1)
    with pytest.raises(LeaseLost):
        await lease.renew()
    assert await document_of(lease, leases) == LeaseDocument(lease.range.id, "elsewhere/1/thief", 7, "c")


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_unclear_outcome_is_settled_by_reading(
    leases: Troubled, source: Container, ranges: list[str], when: str, times: int
) -> None:
    me = Looker(leases, source)
    await me.take_share()
    lease = me.held[ranges[0]]
    lease.advance("here", applied=1)
    setattr(leases, when, iter([OutcomeUnknown("cut")] * times))
    await lease.renew()
    assert (await document_of(lease, leases)).cursor == "here"
    assert not lease.unsaved
    setattr(leases, when, iter([OutcomeUnknown("cut")]))
    try:
        await lease.release()
    except LeaseLost:
        assert when == "after"
    assert (await document_of(lease, leases)).owner is None


@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_unclear_outcome_of_taking_leaves_one_owner_and_no_doubt(
    leases: Troubled, source: Container, ranges: list[str], when: str
) -> None:
    me = Looker(leases, source)
    await me.look()
    setattr(leases, when, iter([OutcomeUnknown("cut")]))
    lease = await me.table.take(ranges[0])
    owner = (await stored(leases))[ranges[0]].owner
    assert (lease is not None, owner) == ((True, me.owner) if when == "after" else (False, None))
    assert sorted(await me.take_share()) == ranges


async def test_a_store_that_is_never_clear_is_told_after_a_few_attempts(leases: Troubled, lease: Lease) -> None:
    leases.before = iter([OutcomeUnknown("cut")] * 1000)
    with pytest.raises(OutcomeUnknown):
        await lease.renew()
    with pytest.raises(OutcomeUnknown):
        await lease.release()


@pytest.mark.parametrize("error", [Throttled("busy", 0.01), Unavailable("gone")])
async def test_what_the_store_cannot_do_now_is_raised_and_can_be_done_later(
    leases: Troubled, lease: Lease, error: Exception
) -> None:
    leases.before = iter([error])
    with pytest.raises(type(error)):
        await lease.renew()
    await lease.renew()


async def test_leases_that_cannot_be_made_now_are_made_at_the_next_look(
    leases: Troubled, source: Container, ranges: list[str]
) -> None:
    leases.before = iter([OutcomeUnknown("cut")])
    me = Looker(leases, source)
    assert await me.take_share() == []
    assert sorted(await me.take_share()) == ranges


@pytest.mark.parametrize("when", ["before", "after"])
async def test_who_is_told_to_end_while_taking_does_not_keep_what_it_took(
    leases: Troubled, source: Container, ranges: list[str], when: str
) -> None:
    me = Looker(leases, source)
    await me.look()
    setattr(leases, when, iter([asyncio.CancelledError()]))
    with pytest.raises(asyncio.CancelledError):
        await me.table.take(ranges[0])
    assert (await stored(leases))[ranges[0]].owner is None


async def test_who_is_told_to_end_ends_even_if_it_cannot_let_go(
    leases: Troubled, source: Container, ranges: list[str]
) -> None:
    me = Looker(leases, source)
    await me.look()
    leases.before = iter([asyncio.CancelledError(), Unavailable("gone")])
    with pytest.raises(asyncio.CancelledError):
        await me.table.take(ranges[0])


def test_worker_names_differ_and_begin_with_host_and_process() -> None:
    names = {worker_name() for _ in range(10)}
    assert len(names) == 10
    assert all(name.startswith(f"{socket.gethostname()}/{os.getpid()}/") for name in names)
