"""How the projections of a store are, as anyone who opens it can see."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from projector.dead_letters import DEAD_LETTERS, DeadLetters
from projector.generations import Generations, State
from projector.projection import Projection
from projector.rebuild import leases_of, progress
from store import Store


@dataclass(frozen=True, slots=True)
class Row:
    """A generation of a projection: changes applied and still behind, parked keys, and the ranges of each owner."""

    name: str
    generation: int
    version: int
    state: str
    applied: int
    behind: int
    parked: int
    owners: dict[str | None, int]


async def overview(store: Store, projections: Sequence[Projection[Any, Any]]) -> list[Row]:
    """A row for each generation of each projection."""
    rows = []
    for projection in projections:
        state = (await Generations(store, projection).read()).state
        for generation in sorted(map(int, state.versions)):
            stream = projection.of_generation(generation)
            reached = await progress(store, stream)
            letters = DeadLetters(store.container(DEAD_LETTERS.name), stream.key, str)
            rows.append(
                Row(
                    name=projection.name,
                    generation=generation,
                    version=state.version(generation),
                    state=_told(state, generation),
                    applied=reached.applied,
                    behind=reached.behind,
                    parked=len([letter async for letter in letters.all()]),
                    owners=dict(Counter(lease.owner for lease in await leases_of(store, stream.key))),
                )
            )
    return rows


def _told(state: State, generation: int) -> str:
    if generation == state.switching:
        return "about to serve"
    if generation == state.serving:
        return "held" if state.switching else "serving"
    if generation == state.building:
        return f"failed: {state.problem}" if state.problem else "building"
    return "previous" if generation == state.previous else "old"
