"""Who follows which feed range, and how far: one lease document for each range of each projection.

A lease is not a lock: a worker that lost its lease without noticing does no harm, since effects are guarded where
they are written. It only keeps workers from doing the same work twice. Whether an owner is gone is judged by its
lease's etag staying the same for `expiry` seconds on the local monotonic clock: no two clocks are compared.
"""

import asyncio
import os
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from projector.projection import Projection
from store import Conflict, Container, ContainerSpec, Create, FeedRange, Replace, Start

LEASES = ContainerSpec(name="leases", partition_key="projection")
"""By projection version: a lease for each feed range of its source."""


class LeaseDocument(msgspec.Struct, frozen=True, rename="camel"):
    """A lease as it is stored. `epoch` rises with each new owner; `cursor` None is the beginning of the feed."""

    id: str
    owner: str | None
    epoch: int = 0
    cursor: str | None = None


class LeaseLost(Exception):
    """Another worker owns the lease now."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds: between looks at a lease that another worker has; between renewals; until an owner counts as gone."""

    acquire_s: float = 1.0
    renew_s: float = 3.0
    expiry_s: float = 12.0


DEFAULT_TIMING = Timing()


def worker_name() -> str:
    """A name that no other worker has. It begins with host and process, so that a dead one's leases are known."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"


class Lease:
    """One range of one projection, while this worker owns it."""

    def __init__(self, container: Container, partition: str, document: LeaseDocument, etag: str) -> None:
        self._container = container
        self._partition = partition
        self._document = document
        self._etag = etag

    @property
    def position(self) -> str | Start:
        """Where to continue the feed."""
        return self._document.cursor or Start.BEGINNING

    async def renew(self, cursor: str | None = None) -> None:
        """Tell others that the owner is alive, and how far it has come. Raises LeaseLost."""
        await self._store(cursor=cursor or self._document.cursor)

    async def release(self, cursor: str | None = None) -> None:
        """Let another worker have it at once, and continue at `cursor`. Raises LeaseLost."""
        while True:
            try:
                return await self._store(owner=None, cursor=cursor or self._document.cursor)
            except LeaseLost:
                # A commit that was cut off may have got through: then the lease is still ours, with another etag.
                found = await self._container.read(self._partition, self._document.id)
                if found is None or not self._is_mine(found.decode(LeaseDocument)):
                    raise
                self._etag = found.etag

    def _is_mine(self, found: LeaseDocument) -> bool:
        return (found.owner, found.epoch) == (self._document.owner, self._document.epoch)

    async def _store(self, **changes: str | None) -> None:
        document = msgspec.structs.replace(self._document, **changes)
        try:
            (etag,) = await self._container.commit(self._partition, [Replace(document.id, document, self._etag)])
        except Conflict as conflict:
            raise LeaseLost(f"{self._partition}/{document.id}") from conflict
        self._document, self._etag = document, str(etag)


async def acquire(
    container: Container, projection: Projection[Any, Any], range_: FeedRange, owner: str, timing: Timing
) -> Lease:
    """Wait until the lease is free, or its owner is gone, and take it; what `owner` could not let go of is free."""
    loop = asyncio.get_running_loop()
    seen, seen_at = "", loop.time()
    while True:
        found = await container.read(projection.key, range_.id)
        document = found.decode(LeaseDocument) if found else LeaseDocument(range_.id, owner=None)
        if found and found.etag != seen:
            seen, seen_at = found.etag, loop.time()
        free = document.owner is None or document.owner == owner or _is_dead(document.owner)
        if free or loop.time() - seen_at >= timing.expiry_s:
            taken = msgspec.structs.replace(document, owner=owner, epoch=document.epoch + 1)
            write = Replace(range_.id, taken, found.etag) if found else Create(range_.id, taken)
            try:
                (etag,) = await container.commit(projection.key, [write])
            except Conflict:
                continue  # another worker was quicker
            except asyncio.CancelledError:
                with suppress(LeaseLost):
                    await Lease(container, projection.key, taken, etag="").release()
                raise
            return Lease(container, projection.key, taken, str(etag))
        await asyncio.sleep(timing.acquire_s)


def _is_dead(owner: str) -> bool:
    """Whether the owner was a process of this machine that has ended: no need to wait for the expiry."""
    host, pid, _ = owner.split("/")
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
