"""The work of a projector: of each projection, the generations that its code is of are followed, and come to serve."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any

from projector.apply import apply
from projector.generations import Generations
from projector.leases import DEFAULT_TIMING, Timing, worker_name
from projector.observe import Observer
from projector.patience import Patience
from projector.projection import Projection
from projector.rebuild import bring_to_serve, catch_up, compare, has_caught_up
from projector.stream import Stream, Surroundings
from projector.tasks import ended, first_done
from store import Start, Store, changes_up_to_now

log = logging.getLogger(__name__)

AnyProjection = Projection[Any, Any]


class Worker:
    """A projector of this process: one endless loop for each projection, which follows its share of the feed ranges.

    Whoever runs the process supervises the loops; one that raised may be run again.
    """

    def __init__(
        self,
        store: Store,
        projections: Sequence[AnyProjection],
        timing: Timing = DEFAULT_TIMING,
        *,
        now: Callable[[], str],
        observer: Observer | None = None,
    ) -> None:
        self._projections = projections
        self._patience = Patience(observer or Observer(), {})
        self._around = Surroundings(store, worker_name(), timing, now, self._patience)

    @property
    def problems(self) -> dict[str, str]:
        """What keeps something from being projected, by its name, for as long as it does."""
        return self._patience.problems

    def loops(self) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        """A name and an endless coroutine function for each projection."""
        for projection in self._projections:
            yield f"projector {projection.name}", partial(self._keep, projection)

    async def _keep(self, projection: AnyProjection) -> None:
        """Follow the generations of the projection that are of its version, and bring a new one to serve."""
        generations = Generations(self._around.store, projection)
        streams: dict[int, tuple[Stream, asyncio.Task[None]]] = {}
        switch: asyncio.Task[None] | None = None
        try:
            while True:
                state = (await self._patience(projection.name, generations.ensure)).state
                followed = state.followed_by(projection.version)
                for generation in followed - streams.keys():
                    stream = Stream(self._around, projection.of_generation(generation))
                    streams[generation] = stream, asyncio.create_task(stream.run())
                for generation in streams.keys() - followed:
                    await ended(streams.pop(generation)[1])
                if switch is None and state.next in streams and streams[state.next][0].leads:
                    switch = asyncio.create_task(self._bring_to_serve(projection, state.next))
                tasks = [task for _, task in streams.values()] + ([switch] if switch else [])
                await first_done(tasks, self._around.timing.acquire_s)
                for generation in [generation for generation, (_, task) in streams.items() if task.done()]:
                    _, task = streams.pop(generation)
                    state = (await self._patience(projection.name, generations.ensure)).state
                    if generation in state.followed_by(projection.version):
                        task.result()  # it failed; what fails while its generation is dropped does not matter
                if switch and switch.done():
                    switch.result()
                    switch = None
        finally:
            tasks = [task for _, task in streams.values()] + ([switch] if switch else [])
            await ended(*tasks)

    async def _bring_to_serve(self, projection: AnyProjection, generation: int) -> None:
        """Wait until the generation has caught up, compare it with the write model, and switch to it."""
        store = self._around.store
        stream, generations = projection.of_generation(generation), Generations(store, projection)
        while True:
            if await self._patience(stream.key, partial(has_caught_up, store, stream)):
                break
            await asyncio.sleep(self._around.timing.acquire_s)
        await self._patience(stream.key, partial(catch_up, store, stream))
        if wrong := await self._patience(stream.key, partial(compare, store, stream)):
            problem = f"{len(wrong)} read documents differ from the write model, as {wrong[0]}"
            log.error("%s does not come to serve: %s", stream.key, problem)
            await self._patience(stream.key, partial(generations.give_up, problem))
        elif await self._patience(
            stream.key, partial(bring_to_serve, store, projection, generation, self._around.timing)
        ):
            log.info("%s serves", stream.key)


async def drain(store: Store, projections: Sequence[AnyProjection]) -> None:
    """Project all that there is now, from the beginning and without leases: for tests and tools.

    Raises what a document that cannot be projected failed with.
    """
    for projection in projections:
        source, target = store.container(projection.source), store.container(projection.container.name)
        for range_ in await source.feed_ranges():
            async for page in changes_up_to_now(source, range_, Start.BEGINNING):
                for failure in (await apply(projection, target, page.documents)).values():
                    raise failure.error
