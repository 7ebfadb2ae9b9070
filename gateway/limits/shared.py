"""Rates that all processes on one store keep together: for each client a bucket in the store, which time fills.

A process takes more out of it than it needs, and spends that by itself: most requests cost no request to the store.
Nothing is put back. Together the processes let through what one would, and at most what each has taken ahead: AHEAD of
a burst. A store that does not answer refuses nobody; then the limit of each process is all there is.
"""

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from gateway.limits.rates import MAX_KEYS, Rate
from projector.tasks import Task, ended
from store import Conflict, Container, ContainerSpec, Create, Replace, StoreError

log = logging.getLogger(__name__)

RATES = ContainerSpec(name="rates", partition_key="client")
"""By client, named by a hash: what is left of what it may ask for."""

AHEAD = 1 / 16
"""The part of what is left in a bucket that a process takes ahead: many can, and there is still some left."""
PAUSE_S = 0.1
"""How long a bucket that was found empty is left to fill, whoever asks."""
PATIENCE_S = 1.0
"""How long the store may take to answer."""
OPEN_S = 5.0
"""How long a store that did not answer is left alone."""
ATTEMPTS = 5


class Bucket(msgspec.Struct, frozen=True):
    """What was left at a moment, in seconds since the epoch."""

    id: str
    client: str
    left: float
    since: float


@dataclass(slots=True)
class _Taken:
    """What this process has of a bucket: more is asked for below `low`, and not before the bucket has rested.

    `behind` is what was left in it at the last look.
    """

    left: float = 0.0
    low: float = 0.0
    behind: float = 0.0
    rests_until: float = 0.0
    asking: Task | None = None


class SharedRate:
    """As Rate, for all processes that have the container open and the rate set alike; see above for the bounds.

    Clocks of the processes that differ by so many seconds let through as many seconds' worth more, once.
    """

    def __init__(self, container: Container, name: str, rate: Rate, clock: Callable[[], float] = time.time) -> None:
        """`name` tells the rates of a container apart; `clock`: seconds since the epoch."""
        self._container = container
        self._name = name
        self._per_second, self._burst = rate.per_second, rate.burst
        self._clock = clock
        self._ttl = int(rate.burst / rate.per_second) + 2  # by then it would be full anyway
        self._taken: OrderedDict[str, _Taken] = OrderedDict()
        self._asking: set[Task] = set()
        self._open_until = 0.0

    async def take(self, key: str, cost: float) -> float:
        """Take so much, if it is there; else nothing, and return the seconds until it is.

        The store is waited for only where what was taken ahead is not enough, for PATIENCE_S each time. What costs more
        than a burst costs all of it.
        """
        cost = min(cost, self._burst)
        taken = self._taken.setdefault(key, _Taken())
        self._taken.move_to_end(key)
        if len(self._taken) > MAX_KEYS:
            self._taken.popitem(last=False)
        while taken.left < cost:
            now = time.monotonic()
            if now < self._open_until:
                return 0.0
            if now < taken.rests_until and not taken.asking:
                return max(taken.rests_until - now, (cost - taken.left - taken.behind) / self._per_second)
            asking = taken.asking or self._ask(key, taken, cost)
            await asyncio.wait([asking])  # who goes away leaves it to the others
            asking.result()
        taken.left -= cost
        if taken.left < taken.low and not taken.asking and max(taken.rests_until, self._open_until) < time.monotonic():
            self._ask(key, taken, 0.0)
        return 0.0

    async def close(self) -> None:
        """Ask for nothing any more."""
        await ended(*self._asking)

    def _ask(self, key: str, taken: _Taken, cost: float) -> Task:
        taken.asking = task = asyncio.create_task(self._more(key, taken, cost))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)
        return task

    async def _more(self, key: str, taken: _Taken, cost: float) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._draw(
                    hashlib.sha256(f"{self._name} {key}".encode(errors="surrogatepass")).hexdigest(), taken, cost
                )
        except (StoreError, TimeoutError, msgspec.ValidationError) as error:
            log.warning("for now rates are not shared: %s %s", type(error).__name__, error)
            self._open_until = time.monotonic() + OPEN_S
        finally:
            taken.asking = None

    async def _draw(self, id: str, taken: _Taken, cost: float) -> None:
        """Add to what is taken, so that it is enough for `cost`, or let the bucket rest. Raises StoreError."""
        for _ in range(ATTEMPTS):
            document = await self._container.read(id, id)
            left, since = self._burst, self._clock()
            if document:
                bucket = document.decode(Bucket)
                since = max(since, bucket.since)  # a clock that is behind mints nothing twice
                left = min(left, bucket.left + (since - bucket.since) * self._per_second)
            part = self._part(left, taken.left, cost)
            if part > 0:
                body = Bucket(id, id, left - part, since)
                write = Replace(id, body, document.etag, self._ttl) if document else Create(id, body, self._ttl)
                try:
                    await self._container.commit(id, [write])
                except Conflict:
                    continue
                taken.left += part
                taken.low = taken.left / 2
            taken.behind = left - part
            if 0 < part < left:
                return
            break
        taken.rests_until = time.monotonic() + PAUSE_S

    def _part(self, left: float, held: float, cost: float) -> float:
        """How much to take where so much is left; nothing if it is not enough."""
        if held + left < cost:
            return 0.0
        ahead = max(left * AHEAD, self._per_second * PAUSE_S)
        return min(left, max(cost, ahead) - held)
