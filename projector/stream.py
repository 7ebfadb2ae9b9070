"""One generation of a projection at one worker: its share of the feed ranges is taken, and followed."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from projector.dead_letters import DEAD_LETTERS, DeadLetters
from projector.follower import Follower
from projector.leases import LEASES, Lease, LeaseLost, LeaseTable, Timing
from projector.patience import Patience
from projector.projection import Projection
from projector.tasks import end, ended, first_done
from store import Store, Turns

log = logging.getLogger(__name__)

HELD_OFF_S = 1.0
LONGEST_HELD_OFF_S = 60.0


@dataclass(frozen=True)
class Surroundings:
    """What all streams of a worker share."""

    store: Store
    owner: str
    timing: Timing
    now: Callable[[], str]
    patience: Patience
    turns: Turns = field(default_factory=Turns)


class Stream:
    """An equal share of the ranges of one generation, followed while `run` runs."""

    def __init__(self, around: Surroundings, projection: Projection[Any, Any]) -> None:
        self._around = around
        self._projection = projection
        self._key = projection.key
        self._source = around.store.container(projection.source)
        self._letters = DeadLetters(around.store.container(DEAD_LETTERS.name), self._key, around.now)
        self._table = LeaseTable(around.store.container(LEASES.name), self._key, around.owner, around.timing)
        self._followed: dict[str, asyncio.Task[None]] = {}
        self._held_off: dict[str, tuple[float, float]] = {}
        """By range: until when, and for how long, this worker keeps off it after a failure."""

    @property
    def leads(self) -> bool:
        """Whether this worker does what one of all must do: it follows the first range."""
        return self._table.first in self._followed

    async def run(self) -> None:
        """Keep the share followed. Raises what only an operator can mend; ends by cancellation."""
        await self._patiently(partial(self._around.store.make, self._projection.container))
        await self._patiently(self._retry_parked)
        try:
            while True:
                for id in [id for id, task in self._followed.items() if task.done()]:
                    self._note_end(id, self._followed.pop(id))
                await self._patiently(partial(self._table.look, self._source))
                for id in self._followed.keys() & self._table.split:
                    end(self._followed[id])  # it lets go of the lease, which is divided at the next look
                await self._take_share()
                pause = random.uniform(0.75, 1.25) * self._around.timing.acquire_s
                await first_done(self._followed.values(), pause)
        finally:
            self._forget_problems(self._held_off)
            await ended(*self._followed.values())

    async def _take_share(self) -> None:
        now = asyncio.get_running_loop().time()
        held_off = {id for id, (until, _) in self._held_off.items() if until > now}
        self._forget_problems(self._held_off.keys() - held_off)  # whoever has the range next may fare better
        for id in self._table.wanted(self._followed, held_off):
            free = self._table.is_free(id)
            if lease := await self._patiently(partial(self._table.take, id)):
                self._around.patience.observer.lease_moved(self._key, id, "taken" if free else "stolen")
                self._followed[id] = asyncio.create_task(self._follow(lease))

    async def _follow(self, lease: Lease) -> None:
        follower = Follower(
            projection=self._projection,
            source=self._source,
            target=self._around.store.container(self._projection.container.name),
            letters=self._letters,
            lease=lease,
            timing=self._around.timing,
            turns=self._around.turns,
            now=self._around.now,
            patience=self._around.patience,
        )
        await follower.run()

    def _note_end(self, id: str, task: asyncio.Task[None]) -> None:
        """What became of a follower: a lost lease is nothing; a failure keeps this worker off the range for a while."""
        error = None if task.cancelled() else task.exception()
        if error is None or isinstance(error, LeaseLost):
            self._held_off.pop(id, None)
            return
        name = f"{self._key}/{id}"
        log.error("%s failed", name, exc_info=error)
        self._around.patience.problems[name] = f"{type(error).__name__}: {error}"
        pause = min(self._held_off.get(id, (0.0, HELD_OFF_S / 2))[1] * 2, LONGEST_HELD_OFF_S)
        self._held_off[id] = (asyncio.get_running_loop().time() + pause, pause)

    def _forget_problems(self, ids: Iterable[str]) -> None:
        for id in ids:
            self._around.patience.problems.pop(f"{self._key}/{id}", None)

    async def _retry_parked(self) -> None:
        """Try once what is parked: this program may be the one that can project it."""
        await self._letters.load()
        target = self._around.store.container(self._projection.container.name)
        for key in list(self._letters.parked):
            await self._letters.retry(key, self._projection, self._source, target)

    async def _patiently(self, work: Callable[[], Any]) -> Any:
        return await self._around.patience(self._key, work)
