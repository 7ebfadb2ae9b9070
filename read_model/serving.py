"""Which container serves each kind of read documents: a projection that was built anew serves from one of its own.

A generation of read documents lives in a container of its own; a pointer document, by the container's plain name, says
which one is to be read. `Serving` is the store as the read model sees it: it gives the container that serves.
"""

from collections.abc import Sequence

import msgspec

from read_model.asked import ASKED
from store import Container, ContainerSpec, Store, StoreDelegate

GENERATIONS = ContainerSpec(name="generations", partition_key="container")
"""By plain container name: the pointer, a document that the projector keeps."""
POINTER = "pointer"


class Pointer(msgspec.Struct, frozen=True):
    """The generation that is read; 1 where nothing was ever built anew."""

    serving: int = 1


class Serving(StoreDelegate):
    """A store whose read containers are, by their plain names, those that serve.

    `learn` says what the pointers say; `serve` then turns to another generation, at once and for everyone who asks.
    """

    def __init__(self, store: Store, specs: Sequence[ContainerSpec]) -> None:
        super().__init__(store)
        self._specs = {spec.name: spec for spec in specs}
        self._serving: dict[str, tuple[int, Container]] = {}

    async def start(self) -> None:
        """Turn to the generations that serve. Until then each container is the first generation."""
        for name in self._specs:
            generation = await self.learn(name)
            self.serve(name, generation, await self.open(name, generation))

    async def learn(self, name: str) -> int:
        """The generation that is to be read."""
        found = await self.inner.container(GENERATIONS.name).read(name, POINTER)
        return found.decode(Pointer).serving if found else 1

    async def open(self, name: str, generation: int) -> Container:
        """The container of a generation."""
        return await self.inner.make(self._specs[name].of_generation(generation))

    def serve(self, name: str, generation: int, container: Container) -> None:
        """Answer from that generation from now on."""
        self._serving[name] = generation, container

    def generation(self, name: str) -> int:
        """The generation that answers are from."""
        return self._serving[name][0] if name in self._serving else 1

    def container(self, name: str) -> Container:
        """The container that serves under that name. Raises KeyError if the store was opened without it."""
        if asked := ASKED.get():
            asked.containers.add(name)
        return self._serving[name][1] if name in self._serving else self.inner.container(name)
