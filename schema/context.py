"""What resolvers are given: one half for reading, and one in `schema/orders/commands.py` for writing."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, TypeVar

import strawberry
from strawberry.types import info
from strawberry.types.info import ContextType, RootValueType

from read_model.consistency import MAX_WAIT_MS, Parked, Waits
from read_model.live import Live
from read_model.watches import Share
from schema.viewer import Viewer
from store import Store

T = TypeVar("T")


class Info(info.Info[ContextType, RootValueType]):
    """What a resolver is told of the operation."""

    def view(self, whole: type[T]) -> type[T]:
        """What a read document is decoded to: the whole, or in an operation that is compiled what is selected of it."""
        return whole

    share: Share | None = None
    """Sends on what a subscription's source has for several subscribers alike; None where each is told by itself."""


@dataclass(frozen=True, kw_only=True)
class Viewing:
    """Who asks. `denied` takes note of who may not ask for a field, and of the code that says why."""

    viewer: Viewer
    denied: Callable[[str, Viewer, str], None]


@dataclass(frozen=True, kw_only=True)
class Reading(Viewing):
    """What queries and subscriptions are answered from.

    `parked` says whether a key of a read container cannot be projected at the moment, `freshness` how fresh read
    containers are; `max_wait_ms` bounds how long a query may wait for a write, `waits` how many may.
    """

    store: Store
    live: Live
    parked: Parked
    freshness: Callable[[Collection[str]], dict[str, Any]]
    max_wait_ms: int = MAX_WAIT_MS
    waits: Waits = field(default_factory=Waits)


def given(value: T | None) -> T | None:
    """The value, or None where the caller left it out."""
    return None if value is strawberry.UNSET else value
