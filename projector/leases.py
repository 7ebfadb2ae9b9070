"""Who follows which feed range, and how far: one lease document for each range of each projection.

A lease is not a lock: a worker that lost its lease without noticing does no harm, since effects are guarded where
they are written. It only keeps workers from doing the same work twice. Whether an owner is gone is judged by its
lease's etag staying the same for `expiry_s` seconds on the local monotonic clock: no two clocks are compared.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from math import inf

import msgspec

from projector import shares
from projector.tasks import to_the_end
from store import (
    MAX_WRITES,
    Conflict,
    Container,
    ContainerSpec,
    Create,
    Delete,
    Etag,
    FeedRange,
    OutcomeUnknown,
    Replace,
    Start,
    StoreError,
    Write,
    documents_of,
)

LEASES = ContainerSpec(name="leases", partition_key="projection")
"""By projection version: a lease for each feed range of its source."""


ATTEMPTS = 5
"""How often a lease is stored again, after it was found to be still ours."""


class LeaseDocument(msgspec.Struct, frozen=True, rename="camel"):
    """A lease as it is stored; its id is that of the feed range.

    `epoch` rises with each new owner; `cursor` None is the beginning of the feed; `applied` counts changes, and `rate`
    is how many of them there were per second before this was stored. `pending_since` is when the oldest change was
    committed that the owner was about to apply, RFC 3339; None if there was none.
    """

    id: str
    owner: str | None
    epoch: int = 0
    cursor: str | None = None
    applied: int = 0
    rate: float = 0.0
    pending_since: str | None = None


class LeaseLost(Exception):
    """Another worker owns the lease now."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds: between looks at all leases; between renewals; until an owner counts as gone; between checkpoints."""

    acquire_s: float = 1.0
    renew_s: float = 3.0
    expiry_s: float = 12.0
    checkpoint_s: float = 1.0


DEFAULT_TIMING = Timing()


def worker_name() -> str:
    """A name that no other worker has. It begins with host and process, so that a dead one's leases are known."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"


class Lease:
    """One range of one projection, while this worker owns it. `advance` notes progress, `renew` stores it."""

    def __init__(self, container: Container, partition: str, document: LeaseDocument, etag: Etag) -> None:
        self._container = container
        self._partition = partition
        self._document = document
        self._etag = etag
        self._stored = asyncio.get_running_loop().time(), document.applied
        self.range = FeedRange(document.id)
        self.unsaved = False

    @property
    def position(self) -> str | Start:
        """Where to continue the feed."""
        return self._document.cursor or Start.BEGINNING

    def begin(self, pending_since: str | None) -> None:
        """Note when the oldest of the changes was committed that are applied now; None when there is none."""
        self._document = msgspec.structs.replace(self._document, pending_since=pending_since)

    def advance(self, cursor: str, applied: int) -> None:
        """Note that `applied` more changes, up to `cursor`, have had their effects."""
        if cursor != self._document.cursor:
            done = self._document.applied + applied
            self._document = msgspec.structs.replace(self._document, cursor=cursor, applied=done, pending_since=None)
            self.unsaved = True

    async def renew(self) -> None:
        """Tell others that the owner is alive, how far it has come, and how fast. Raises LeaseLost."""
        (since, before), now = self._stored, asyncio.get_running_loop().time()
        rate = (self._document.applied - before) / (now - since) if now > since else 0.0
        self._document = msgspec.structs.replace(self._document, rate=round(rate, 3))
        stored = now, self._document.applied
        await self._store(self._document)
        self._stored = stored

    async def release(self) -> None:
        """Let another worker have it at once, and continue where this one stands. Raises LeaseLost."""
        await self._store(msgspec.structs.replace(self._document, owner=None, rate=0.0))

    async def _store(self, document: LeaseDocument) -> None:
        for attempt in range(ATTEMPTS):
            try:
                (etag,) = await self._container.commit(self._partition, [Replace(document.id, document, self._etag)])
            except (Conflict, OutcomeUnknown) as error:
                # A commit that was cut off may have got through: then the lease is still ours, with another etag.
                found = await self._container.read(self._partition, document.id)
                theirs = found.decode(LeaseDocument) if found else None
                if found is None or theirs is None or not self._is_mine(theirs):
                    raise LeaseLost(f"{self._partition}/{document.id}") from error
                if attempt == ATTEMPTS - 1:
                    raise
                self._etag = found.etag
                continue
            self._etag = str(etag)
            self.unsaved = self._document.cursor != document.cursor
            return

    def _is_mine(self, found: LeaseDocument) -> bool:
        return (found.owner, found.epoch) == (self._document.owner, self._document.epoch)


@dataclass(slots=True)
class Sight:
    """A lease as a worker last saw it, and since when it has looked like this (monotonic seconds)."""

    document: LeaseDocument
    etag: Etag
    since: float


class LeaseTable:
    """All leases of one projection as one worker sees them. Owners should let go of those that are `split`."""

    def __init__(self, container: Container, partition: str, owner: str, timing: Timing) -> None:
        self._container = container
        self._partition = partition
        self._owner = owner
        self._timing = timing
        self.sights: dict[str, Sight] = {}
        self._looked = -inf
        self.split: set[str] = set()

    async def look(self, source: Container) -> None:
        """See how the leases are now; make them where there are none, and divide those whose range was split."""
        first = self._looked == -inf
        await self.read()
        if first or not self.sights:
            await self._make(await source.feed_ranges())
        self.split.clear()
        for id, sight in list(self.sights.items()):
            parts = await source.parts_of(FeedRange(id))
            if len(parts) > 1 and self._free(sight):
                await self._divide(sight, parts)
            elif len(parts) > 1:
                self.split.add(id)

    def wanted(self, followed: Collection[str], held_off: Collection[str] = ()) -> list[str]:
        """The leases to take for an equal share beside those that are `followed`, in no particular order."""
        owners: dict[str, str | None] = {}
        for id, sight in self.sights.items():
            owner = sight.document.owner
            if id in followed:
                owners[id] = self._owner
            elif id not in held_off:
                owners[id] = None if owner == self._owner or self.is_free(id) else owner
        return shares.to_take(owners, self._owner)

    @property
    def first(self) -> str | None:
        """The lease whose owner does what one worker must do for all."""
        return min(self.sights, default=None)

    async def take(self, id: str) -> Lease | None:
        """The lease as its new owner; None if another worker was quicker."""
        sight = self.sights[id]
        document = msgspec.structs.replace(sight.document, owner=self._owner, epoch=sight.document.epoch + 1)
        lease = Lease(self._container, self._partition, document, sight.etag)
        try:
            await lease.renew()
        except LeaseLost:
            return None
        except asyncio.CancelledError:
            await to_the_end(_release([lease]))
            raise
        return lease

    @asynccontextmanager
    async def all_taken(self, source: Container, due: Callable[[], Awaitable[bool]]) -> AsyncIterator[bool]:
        """While in the context all leases are this worker's, so that nobody else follows any range; then all are free.

        Each is taken once its owner lets go of it or is gone: one after the other, in order, so that of several who do
        this one goes on, and the others wait for it. False when it is not `due` any more before all are taken.
        """
        held: dict[str, Lease] = {}
        try:
            yield await self._take_all(source, due, held)
        finally:
            await to_the_end(_release(held.values()))

    async def _take_all(self, source: Container, due: Callable[[], Awaitable[bool]], held: dict[str, Lease]) -> bool:
        while await due():
            await self.look(source)
            missing = self.sights.keys() - held.keys()
            if not missing:
                return True
            id = min(missing)
            if self.is_free(id) and (lease := await self.take(id)):
                held[id] = lease
            else:
                await asyncio.sleep(self._timing.acquire_s / 4)
        return False

    async def read(self) -> None:
        """See how the leases are now."""
        now = asyncio.get_running_loop().time()
        # Who could not look for that long, cannot tell who was silent meanwhile.
        blind = now - self._looked > self._timing.expiry_s + 2 * self._timing.acquire_s
        sights: dict[str, Sight] = {}
        async for found in documents_of(self._container, self._partition):
            known = self.sights.get(found.id)
            unchanged = known is not None and known.etag == found.etag and not blind
            since = known.since if known and unchanged else now
            sights[found.id] = Sight(found.decode(LeaseDocument), found.etag, since)
        self.sights, self._looked = sights, now

    async def _make(self, ranges: Sequence[FeedRange]) -> None:
        """All at once, so that no other worker sees a part of them when a range is split at the same time.

        More than a commit holds are made in several; whoever finds that the rest was never made, makes it.
        """
        ids = [range_.id for range_ in ranges]
        missing = [id for id in ids if id not in self.sights]
        if not missing or not self.sights.keys() <= set(ids):  # a range was split since: all had been made
            return
        for start in range(0, len(missing), MAX_WRITES):
            writes = [Create(id, LeaseDocument(id, owner=None)) for id in missing[start : start + MAX_WRITES]]
            with suppress(Conflict, OutcomeUnknown):  # another worker has made them, or the next look will tell
                await self._container.commit(self._partition, writes)
        await self.read()

    async def _divide(self, sight: Sight, parts: Sequence[FeedRange]) -> None:
        parent = sight.document
        writes: list[Write] = [Delete(parent.id, sight.etag)]
        writes += [Create(part.id, LeaseDocument(part.id, None, parent.epoch, parent.cursor)) for part in parts]
        with suppress(Conflict, OutcomeUnknown):
            await self._container.commit(self._partition, writes)
        await self.read()

    def is_free(self, id: str) -> bool:
        """Whether a lease has no owner, or one that is gone."""
        return self._free(self.sights[id])

    def _free(self, sight: Sight) -> bool:
        owner = sight.document.owner
        if owner is None or _is_dead(owner):
            return True
        return asyncio.get_running_loop().time() - sight.since >= self._timing.expiry_s


async def _release(leases: Iterable[Lease]) -> None:
    for lease in leases:
        with suppress(LeaseLost, StoreError):
            await lease.release()


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
