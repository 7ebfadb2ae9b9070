"""Leases: taken when free, when the owner is dead and when it is silent; never twice, never while it is renewed."""

import asyncio
import os
import socket
import subprocess
import sys

import msgspec
import pytest

from projector.leases import LEASES, Lease, LeaseDocument, LeaseLost, Timing, acquire, worker_name
from projector.orders import CUSTOMER_ORDERS
from store import Container, Document, FeedRange, Start, Upsert
from tests.projector.delegates import Through
from tests.projector.world import PATIENCE_S, World, until

RANGE = FeedRange("0")
KEY = CUSTOMER_ORDERS.key
PATIENT = Timing(acquire_s=0.001, renew_s=60, expiry_s=3600)
HASTY = Timing(acquire_s=0.005, renew_s=60, expiry_s=0.2)


class Looking(Through):
    """Counts the looks at leases; with a lease to renew, its owner renews it before each look."""

    looks = 0
    renewed: Lease | None = None

    async def read(self, partition: str, id: str) -> Document | None:
        self.looks += 1
        if self.renewed:
            await self.renewed.renew()
        return await self.inner.read(partition, id)

    async def looked(self, times: int) -> None:
        await until(lambda: self.looks >= times)


@pytest.fixture
def leases(world: World) -> Looking:
    return Looking(world.store.container(LEASES.name))


async def take(container: Container, owner: str | None = None, timing: Timing = PATIENT) -> Lease:
    async with asyncio.timeout(PATIENCE_S):
        return await acquire(container, CUSTOMER_ORDERS, RANGE, owner or worker_name(), timing)


async def stored(container: Container) -> LeaseDocument:
    document = await container.read(KEY, RANGE.id)
    assert document is not None
    return document.decode(LeaseDocument)


async def owned_by(container: Container, owner: str) -> None:
    await container.commit(KEY, [Upsert(RANGE.id, LeaseDocument(RANGE.id, owner, epoch=7, cursor="c"))])


def process_that_ended() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


async def test_a_lease_that_nobody_had_is_free_and_begins_at_the_beginning(leases: Looking) -> None:
    lease = await take(leases, "host/1/me")
    assert await stored(leases) == LeaseDocument(RANGE.id, "host/1/me", epoch=1, cursor=None)
    assert lease.position is Start.BEGINNING


async def test_a_released_lease_goes_on_where_it_was_left_with_the_next_epoch(leases: Looking) -> None:
    first = await take(leases)
    await first.renew("here")
    await first.release()
    assert (await stored(leases)).owner is None
    assert (await take(leases)).position == "here"
    assert (await stored(leases)).epoch == 2


async def test_a_release_can_move_the_cursor(leases: Looking) -> None:
    await (await take(leases)).release("there")
    assert (await take(leases)).position == "there"


async def test_a_renewal_without_a_cursor_keeps_the_old_one(leases: Looking) -> None:
    lease = await take(leases)
    await lease.renew("here")
    await lease.renew()
    assert (lease.position, (await stored(leases)).cursor) == ("here", "here")


async def test_the_lease_of_a_dead_process_is_taken_at_once(leases: Looking) -> None:
    await owned_by(leases, f"{socket.gethostname()}/{process_that_ended()}/abc")
    assert (await take(leases)).position == "c"
    assert (await stored(leases)).epoch == 8


@pytest.mark.parametrize(
    "owner",
    [f"{socket.gethostname()}/{os.getpid()}/abc", f"{socket.gethostname()}/1/abc", "elsewhere/4194304/abc"],
    ids=["this process", "another process", "another machine"],
)
async def test_the_lease_of_an_owner_who_may_be_alive_is_not_taken(leases: Looking, owner: str) -> None:
    await owned_by(leases, owner)
    waiting = asyncio.create_task(take(leases))
    await leases.looked(20)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting])
    assert (await stored(leases)).owner == owner


async def test_a_silent_owner_loses_its_lease_after_the_expiry(leases: Looking) -> None:
    silent = await take(leases)
    await take(leases, "host/1/me", HASTY)
    assert await stored(leases) == LeaseDocument(RANGE.id, "host/1/me", epoch=2)
    with pytest.raises(LeaseLost):
        await silent.renew("too late")
    with pytest.raises(LeaseLost):
        await silent.release()
    assert (await stored(leases)).cursor is None


async def test_an_owner_who_renews_keeps_its_lease_until_it_falls_silent(leases: Looking) -> None:
    leases.renewed = await take(leases)
    waiting = asyncio.create_task(take(leases, timing=HASTY))
    await leases.looked(80)  # which takes at least twice the expiry
    assert not waiting.done()
    leases.renewed = None
    await waiting
    assert (await stored(leases)).epoch == 2


async def test_a_worker_takes_its_own_lease_again_without_waiting(leases: Looking) -> None:
    await take(leases, "host/1/me")
    await take(leases, "host/1/me")
    assert (await stored(leases)).epoch == 2


async def test_a_renewal_that_was_cut_off_does_not_keep_the_lease_from_being_released(leases: Looking) -> None:
    lease = await take(leases, "host/1/me")
    found = msgspec.structs.replace(await stored(leases), cursor="cut off")
    await leases.commit(KEY, [Upsert(RANGE.id, found)])
    await lease.release("here")
    assert await stored(leases) == LeaseDocument(RANGE.id, None, epoch=1, cursor="here")


async def test_of_two_who_want_a_free_lease_one_gets_it(shared_world: World) -> None:
    leases = Looking(shared_world.store.container(LEASES.name))
    both = [asyncio.create_task(take(leases, f"elsewhere/1/{number}")) for number in range(2)]
    done, waiting = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    await leases.looked(leases.looks + 5)
    assert (len(done), [task.done() for task in waiting]) == (1, [False])
    await done.pop().result().release()
    await asyncio.gather(*waiting)
    assert (await stored(leases)).epoch == 2


def test_worker_names_differ_and_begin_with_host_and_process() -> None:
    names = {worker_name() for _ in range(10)}
    assert len(names) == 10
    assert all(name.startswith(f"{socket.gethostname()}/{os.getpid()}/") for name in names)
