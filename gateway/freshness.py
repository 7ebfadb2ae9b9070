"""How far the read model is behind the write model, looked at all the time, whoever projects."""

import asyncio
from dataclasses import dataclass, field

from projector.overview import Lag, Overview


@dataclass
class Freshness:
    """The lag of each projection as it was last seen. `keep` is an endless loop that looks every `every_s` seconds.

    `limit_s` is how far behind the read model may be and still count as ready, in seconds; 0: any number of them.
    """

    overview: Overview
    every_s: float
    limit_s: float
    lags: dict[str, Lag] = field(default_factory=dict)

    async def keep(self) -> None:
        """Look again and again. Raises StoreError; may be run again."""
        while True:
            self.lags = await self.overview.lags()
            await asyncio.sleep(self.every_s)

    @property
    def problems(self) -> dict[str, str]:
        """What shows the writes of too long ago, by its name."""
        late = {name: lag for name, lag in self.lags.items() if 0 < self.limit_s < lag.seconds}
        return {
            f"projection {name}": f"{lag.seconds:.0f} s behind, {self.limit_s:g} s are allowed"
            + ("" if lag.followed else "; nobody projects it")
            for name, lag in late.items()
        }
