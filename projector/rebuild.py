"""Bringing a generation to serve: wait until it has caught up, compare it, hold the other one, catch up, switch.

Whoever does a step may die at any point, and another goes on: each step looks at the state as it is.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from projector.apply import apply
from projector.compare import Difference, differences
from projector.generations import Generations
from projector.leases import LEASES, LeaseDocument, LeaseTable, Timing, worker_name
from projector.projection import Projection
from store import FeedRange, Start, Store, changes_up_to_now, documents_of

WITHIN = 100
"""Changes that may be left when the other generation is held: so few that it is not held for long."""
SAMPLE = 20
"""Partitions of read documents that are compared with the write model before a new generation serves."""
LOOK_S = 0.25


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a generation is: changes applied so far, and those that are not applied yet."""

    applied: int
    behind: int


async def leases_of(store: Store, key: str) -> list[LeaseDocument]:
    """The leases of a generation."""
    return [document.decode(LeaseDocument) async for document in documents_of(store.container(LEASES.name), key)]


async def progress(store: Store, stream: Projection[Any, Any]) -> Progress:
    """How far the generation is by its checkpoints."""
    source = store.container(stream.source)
    leases = await leases_of(store, stream.key)
    if not leases:
        ranges = await source.feed_ranges()
        return Progress(0, sum([await source.backlog(range_, Start.BEGINNING) for range_ in ranges]))
    behind = [await source.backlog(FeedRange(lease.id), lease.cursor or Start.BEGINNING) for lease in leases]
    return Progress(sum(lease.applied for lease in leases), sum(behind))


async def compare(store: Store, stream: Projection[Any, Any], sample: int | None = SAMPLE) -> list[Difference]:
    """What differs between the generation and the write model."""
    source, target = store.container(stream.source), await store.make(stream.container)
    return await differences(stream, source, target, sample)


async def bring_to_serve(store: Store, projection: Projection[Any, Any], generation: int, timing: Timing) -> bool:
    """Switch to a generation that has caught up. False if someone else has switched, or given it up, meanwhile.

    While it lasts, nobody projects into the generation that served: all its leases are taken, as their owners let go.
    """
    generations = Generations(store, projection)
    await generations.hold(generation)
    served = (await generations.read()).state.serving
    if served == generation:
        return False
    source, leases = store.container(projection.source), store.container(LEASES.name)
    table = LeaseTable(leases, projection.of_generation(served).key, worker_name(), timing)

    async def due() -> bool:
        return (await generations.read()).state.switching == generation

    async with table.all_taken(source, due) as taken:
        if not taken:
            return False
        await catch_up(store, projection.of_generation(generation))
        return await generations.switch(generation)


async def catch_up(store: Store, stream: Projection[Any, Any]) -> None:
    """Apply all that there is behind the checkpoints, beside the workers that do the same: twice is harmless."""
    source = store.container(stream.source)
    target = await store.make(stream.container)
    for lease in await leases_of(store, stream.key):
        async for page in changes_up_to_now(source, FeedRange(lease.id), lease.cursor or Start.BEGINNING):
            await apply(stream, target, page.documents)


async def has_caught_up(store: Store, stream: Projection[Any, Any]) -> bool:
    """Whether at most WITHIN changes are left to apply."""
    return bool(await leases_of(store, stream.key)) and (await progress(store, stream)).behind <= WITHIN


async def wait_until_served(
    store: Store, projection: Projection[Any, Any], generation: int, tell: Callable[[Progress], None]
) -> str | None:
    """Wait until a generation serves, telling how far it is; what is wrong with it, if it was given up."""
    generations = Generations(store, projection)
    stream = projection.of_generation(generation)
    while True:
        state = (await generations.read()).state
        if state.serving == generation:
            return None
        if state.problem:
            return state.problem
        tell(await progress(store, stream))
        await asyncio.sleep(LOOK_S)
