"""How the projections of a store are, as anyone who opens it can see."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from projector.dead_letters import DEAD_LETTERS
from projector.generations import Generations, State
from projector.lag import seconds_between, time_of
from projector.leases import LEASES, LeaseTable, Timing
from projector.projection import Projection
from projector.rebuild import progress
from store import Eq, FeedRange, Start, Store

AnyProjection = Projection[Any, Any]


@dataclass(frozen=True, slots=True)
class Lag:
    """How old the oldest change is that the read documents which serve do not show, and whether anyone projects."""

    seconds: float
    followed: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A generation of a projection.

    `applied` and `behind` count changes, `rate` those applied per second lately, `lag` is the age of the oldest one
    that is behind in seconds; `parked` counts keys; `ranges` has the owner of each feed range, None where it has none.
    """

    name: str
    generation: int
    version: int
    state: str
    applied: int
    behind: int
    lag: float
    rate: float
    parked: int
    ranges: dict[str, str | None]


class Overview:
    """Looks at projections. An owner that is gone without a word is known as gone from the second look on."""

    def __init__(
        self, store: Store, projections: Sequence[AnyProjection], timing: Timing, now: Callable[[], str]
    ) -> None:
        self._store = store
        self._projections = projections
        self._timing = timing
        self._now = now
        self._tables: dict[str, LeaseTable] = {}

    async def lags(self) -> dict[str, Lag]:
        """The lag of what serves, by projection: cheap to ask for."""
        lags = {}
        for projection in self._projections:
            state = (await Generations(self._store, projection).read()).state
            stream = projection.of_generation(state.serving)
            table = await self._read(stream)
            followed = any(not table.is_free(id) for id in table.sights)
            lags[projection.name] = Lag(await self._lag(stream, table), followed)
        return lags

    async def rows(self) -> list[Row]:
        """A row for each generation of each projection."""
        rows = []
        for projection in self._projections:
            state = (await Generations(self._store, projection).read()).state
            for generation in sorted(map(int, state.versions)):
                stream = projection.of_generation(generation)
                reached = await progress(self._store, stream)
                table = await self._read(stream)
                sights = sorted(table.sights.items())
                owned = {id: None if table.is_free(id) else sight.document for id, sight in sights}
                letters = self._store.container(DEAD_LETTERS.name)
                rows.append(
                    Row(
                        name=projection.name,
                        generation=generation,
                        version=state.version(generation),
                        state=_told(state, generation),
                        applied=reached.applied,
                        behind=reached.behind,
                        lag=await self._lag(stream, table),
                        rate=sum(lease.rate for lease in owned.values() if lease),
                        parked=await letters.count((Eq(DEAD_LETTERS.partition_key, stream.key),)),
                        ranges={id: lease.owner if lease else None for id, lease in owned.items()},
                    )
                )
        return rows

    async def _read(self, stream: AnyProjection) -> LeaseTable:
        container = self._store.container(LEASES.name)
        table = self._tables.setdefault(stream.key, LeaseTable(container, stream.key, "", self._timing))
        await table.read()
        return table

    async def _lag(self, stream: AnyProjection, table: LeaseTable) -> float:
        """By what the owners say; where there is none, by the feed."""
        source, now = self._store.container(stream.source), self._now()
        lags = [0.0]
        behind: list[tuple[FeedRange, str | Start]] = []
        for id, sight in table.sights.items():
            if table.is_free(id):
                behind.append((FeedRange(id), sight.document.cursor or Start.BEGINNING))
            elif sight.document.pending_since:
                lags.append(seconds_between(sight.document.pending_since, now))
        if not table.sights:
            behind = [(range_, Start.BEGINNING) for range_ in await source.feed_ranges()]
        for range_, cursor in behind:
            page = await source.changes(range_, cursor, 1)
            if page.documents and (oldest := time_of(stream, page.documents[0])):
                lags.append(seconds_between(oldest, now))
        return max(lags)


def _told(state: State, generation: int) -> str:
    if generation == state.switching:
        return "about to serve"
    if generation == state.serving:
        return "held" if state.switching else "serving"
    if generation == state.building:
        return f"failed: {state.problem}" if state.problem else "building"
    return "previous" if generation == state.previous else "old"
