"""Generations of a projection: one serves, another may be built beside it, and the one before is kept to go back to.

The state of a projection is one document, which is the pointer that readers follow (`read_model.serving`): it changes
by etag, so a switch happens once and for everyone. Before a switch the generation that serves is held: nobody
projects into it any more, the next one catches up beyond it, and only then is read. So nobody reads an older version.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from projector.dead_letters import DEAD_LETTERS, discarded
from projector.leases import LEASES
from projector.projection import Projection
from read_model.serving import GENERATIONS, POINTER
from store import Conflict, Create, Delete, Etag, OutcomeUnknown, Query, Replace, Store


class Refused(Exception):
    """What was asked for makes no sense in this state; the message is a sentence for a person."""


class State(msgspec.Struct, frozen=True, rename="camel"):
    """A projection's generations by number, and the version in code that each is of.

    `switching` is the generation that is to serve next; while it is set, the one that serves is held.
    """

    id: str = POINTER
    serving: int = 1
    previous: int | None = None
    building: int | None = None
    switching: int | None = None
    latest: int = 1
    versions: dict[str, int] = {}
    problem: str | None = None

    def version(self, generation: int) -> int:
        """The version in code that a generation is of."""
        return self.versions[str(generation)]

    def followed_by(self, version: int) -> set[int]:
        """The generations that code of a version projects into: those of its version, unless they are held."""
        followed = {n for n in (self.serving, self.previous, self.building) if n and self.version(n) == version}
        return followed - {self.serving} if self.switching else followed

    @property
    def next(self) -> int | None:
        """The generation that is to serve next, unless something is wrong with it."""
        return None if self.problem else self.switching or self.building


@dataclass(frozen=True, slots=True)
class Known:
    """The state as it was read; `etag` None when there was none."""

    state: State
    etag: Etag | None


class Generations:
    """The generations of one projection in a store."""

    def __init__(self, store: Store, projection: Projection[Any, Any]) -> None:
        self._store = store
        self._projection = projection
        self._name = projection.target.name
        self._container = store.container(GENERATIONS.name)

    async def read(self) -> Known:
        """The state as it is now; where there is none, the first generation is of the version in code."""
        found = await self._container.read(self._name, POINTER)
        if found is None:
            return Known(State(versions={"1": self._projection.version}), None)
        return Known(found.decode(State), found.etag)

    async def ensure(self) -> Known:
        """The state, after it was made where there was none, and a build begun where the code is of a new version."""
        while True:
            known = await self.read()
            state = known.state
            current = {state.version(n) for n in (state.serving, state.building, state.previous) if n}
            if known.etag and self._projection.version in current:
                return known
            if known.etag is None:
                await self._write(known, state)
            elif state.switching is None:
                await self._write(known, _building(state, self._projection.version))
            else:
                return known

    async def rebuild(self) -> State:
        """Begin to build a generation beside the one that serves. Raises Refused while one is being built."""
        await self.ensure()
        while True:
            known = await self.read()
            if known.state.building or known.state.switching:
                raise Refused(f"generation {known.state.building or known.state.switching} is being built already")
            state = _building(known.state, self._projection.version)
            if await self._write(known, state):
                return state

    async def hold(self, generation: int) -> None:
        """Have the generation that serves held, for `generation` to take its place. No-op if that is under way."""
        while True:
            known = await self.read()
            if known.state.switching == generation or known.state.serving == generation:
                return
            if known.state.switching:
                raise Refused(f"generation {known.state.switching} is about to serve; try again")
            if generation not in (known.state.building, known.state.previous):
                raise Refused(f"there is no generation {generation} to go to")
            await self._write(known, msgspec.structs.replace(known.state, switching=generation, problem=None))

    async def switch(self, generation: int) -> bool:
        """Have the generation serve from now on, if the one that serves is held for it; else False."""
        while True:
            known = await self.read()
            state = known.state
            if state.switching != generation:
                return False
            switched = msgspec.structs.replace(
                state,
                serving=generation,
                previous=state.serving,
                building=None if state.building == generation else state.building,
                switching=None,
            )
            if await self._write(known, switched):
                return True

    async def give_up(self, problem: str | None) -> None:
        """Let the generation that serves go on; the one that was built is kept, with what is wrong with it."""
        while True:
            known = await self.read()
            if await self._write(known, msgspec.structs.replace(known.state, switching=None, problem=problem)):
                return

    async def roll_back(self) -> int:
        """Begin to go back to the previous generation. Raises Refused if there is none."""
        state = (await self.read()).state
        if state.previous is None:
            raise Refused("there is no previous generation to go back to")
        if (version := state.version(state.previous)) != self._projection.version:
            raise Refused(f"the previous generation is of version {version}: deploy that version first, then go back")
        await self.hold(state.previous)
        return state.previous

    async def drop_old(self) -> list[int]:
        """Drop the generations that neither serve nor are about to, with their leases and dead letters."""
        while True:
            known = await self.read()
            state = known.state
            if state.switching:
                raise Refused(f"generation {state.switching} is about to serve; try again")
            kept = {state.serving} | ({state.building} if state.building and not state.problem else set())
            old = [int(number) for number in state.versions if int(number) not in kept]
            versions = {number: version for number, version in state.versions.items() if int(number) in kept}
            building = state.building if state.building in kept else None
            left = msgspec.structs.replace(state, previous=None, building=building, versions=versions, problem=None)
            if await self._write(known, left):
                break
        for generation in old:
            stream = self._projection.of_generation(generation)
            await self._store.drop(stream.container.name)
            await self._forget(LEASES.name, stream.key)
            for partition in (stream.key, discarded(stream.key)):
                await self._forget(DEAD_LETTERS.name, partition)
        return old

    async def _forget(self, container: str, partition: str) -> None:
        place = self._store.container(container)
        while documents := (await place.query(Query(partition))).documents:
            for document in documents:
                try:
                    await place.commit(partition, [Delete(document.id, document.etag)])
                except (Conflict, OutcomeUnknown):
                    continue

    async def _write(self, known: Known, state: State) -> bool:
        write = Replace(POINTER, state, known.etag) if known.etag else Create(POINTER, state)
        try:
            await self._container.commit(self._name, [write])
        except (Conflict, OutcomeUnknown):
            return False
        return True


def _building(state: State, version: int) -> State:
    number = state.latest + 1
    versions = {**state.versions, str(number): version}
    return msgspec.structs.replace(state, building=number, latest=number, versions=versions, problem=None)
