"""What a projection is: pure functions from a change of the write model to read documents, with a name."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar


class View(Protocol):
    """A read document."""

    @property
    def id(self) -> str: ...


C = TypeVar("C")
V = TypeVar("V", bound=View)


@dataclass(frozen=True, slots=True)
class Route:
    """A partition of the target that a change concerns, and the documents there that it must see to be projected."""

    partition: str
    wanted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Projection(Generic[C, V]):
    """A registered projection from the container `source` to the container `target`.

    `route(change)` says which partitions a change concerns. `project(change, partition, known)` gives the documents
    that change there, from the wanted ones that exist; it must be a no-op for a change that is in them already. A
    document that was not wanted is written blindly, so its content must depend on the change alone. `change` and
    `view` are the types that documents of source and target decode to.
    """

    name: str
    version: int
    source: str
    target: str
    change: Any
    view: Any
    route: Callable[[C], Iterable[Route]]
    project: Callable[[C, str, Mapping[str, V]], Iterable[V]]

    @property
    def key(self) -> str:
        """Names this version of the projection."""
        return f"{self.name}@{self.version}"
