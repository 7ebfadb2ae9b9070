"""How far the read model is behind the write model, looked at all the time, whoever projects."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from projector.orders import PROJECTIONS
from projector.overview import Lag, Overview

LAGGING_S = 5.0
"""From this lag on, in seconds, a worker that runs is said to lag."""


@dataclass
class Freshness:
    """The lag of each projection as it was last seen. `keep` is an endless loop that looks every `every_s` seconds.

    `limit_s` is how far behind the read model may be and still count as ready, in seconds; 0: any number of them.
    """

    overview: Overview
    every_s: float
    limit_s: float
    lags: dict[str, Lag] = field(default_factory=dict)
    _told: dict[frozenset[str], dict[str, Any]] = field(default_factory=dict, init=False)
    """What is told until the next look."""

    async def keep(self) -> None:
        """Look again and again. Raises StoreError; may be run again."""
        pause = self.every_s / 8  # a worker that begins as this process does is soon known
        while True:
            await asyncio.sleep(pause)
            await self.look()
            pause = min(pause * 2, self.every_s)

    async def look(self) -> None:
        """Look now. Raises StoreError."""
        self.lags = await self.overview.lags()
        self._told.clear()

    def told(self, containers: Collection[str]) -> dict[str, Any]:
        """What a client is told of the projections that keep some read containers, by their names."""
        key = frozenset(containers)
        if key not in self._told:
            names = [projection.name for projection in PROJECTIONS if projection.target.name in containers]
            lags = {name: self.lags[name] for name in names}
            self._told[key] = {
                name: {"lagMs": round(lag.seconds * 1000), "worker": _worker(lag)} for name, lag in lags.items()
            }
        return self._told[key]

    @property
    def problems(self) -> dict[str, str]:
        """What shows the writes of too long ago, by its name."""
        late = {name: lag for name, lag in self.lags.items() if 0 < self.limit_s < lag.seconds}
        return {
            f"projection {name}": f"{lag.seconds:.0f} s behind, {self.limit_s:g} s are allowed"
            + ("" if lag.followed else "; nobody projects it")
            for name, lag in late.items()
        }


def _worker(lag: Lag) -> str:
    if not lag.followed:
        return "STOPPED"
    return "LAGGING" if lag.seconds > LAGGING_S else "RUNNING"
