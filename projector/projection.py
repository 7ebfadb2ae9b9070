"""What a projection is: pure functions from a change of the write model to read documents, with a name."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from store.port import ContainerSpec


class View(Protocol):
    """A read document."""

    @property
    def id(self) -> str: ...


C = TypeVar("C")
V = TypeVar("V", bound=View)


class Route(msgspec.Struct, frozen=True):
    """A partition of the target that a change concerns, and the documents there that it must see to be projected."""

    partition: str
    wanted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Projection(Generic[C, V]):
    """A registered projection from the container `source` to read documents, kept in containers like `target`.

    `route(change)` says which partitions a change concerns. `project(change, partition, known)` gives the documents
    that change there, from the wanted ones that exist; it must be a no-op for a change that is in them already. A
    document that was not wanted is written blindly, so its content must depend on the change alone. `change` and
    `view` are the types that documents of source and target decode to. `key_of` names what a source document is
    about, from its bare JSON: documents of one key are projected in order, and a key whose document cannot be
    projected is parked on its own. `time_of` is when it was committed, from its bare JSON: RFC 3339, by the clock of
    whoever committed it.
    """

    name: str
    version: int
    source: str
    target: ContainerSpec
    change: Any
    view: Any
    route: Callable[[C], Iterable[Route]]
    project: Callable[[C, str, Mapping[str, V]], Iterable[V]]
    key_of: Callable[[Mapping[str, Any]], str]
    time_of: Callable[[Mapping[str, Any]], str]

    generation: int = 1

    @property
    def key(self) -> str:
        """Names this generation of the projection."""
        return f"{self.name}.{self.generation}"

    @property
    def container(self) -> ContainerSpec:
        """Where this generation of read documents is kept."""
        return self.target.of_generation(self.generation)

    def of_generation(self, generation: int) -> "Projection[C, V]":
        """The projection as it writes another generation."""
        return replace(self, generation=generation)
