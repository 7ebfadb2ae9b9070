"""What a command is on its way in (`Command`) and once it is applied (`CommandDocument`), for every domain."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec


class Versioned(Protocol):
    """An aggregate: a frozen value with a version that rises by one with each event."""

    @property
    def version(self) -> int: ...


S = TypeVar("S", bound=Versioned)
E = TypeVar("E")


@dataclass(frozen=True)
class Model(Generic[S, E]):
    """A domain's write side: the types of its documents, its creating decision, and how events become state."""

    state: type[S]
    command: "type[CommandDocument[E]]"
    create: Callable[..., list[E]]
    evolve: Callable[[S | None, E], S]


class Command(msgspec.Struct, Generic[S, E], frozen=True):
    """A decision to be taken on one aggregate.

    `decide(state, **arguments, at=at)` is pure. `id` is the idempotency key within the partition; `given` tells that
    the caller chose it and may therefore send it again. `at`: RFC 3339, UTC. `traceparent` (W3C Trace Context) is the
    trace that it belongs to, stored with it and no part of its input; neither is `actor`, who gave it.
    """

    decide: Callable[..., list[E]]
    aggregate_id: str
    partition: str
    arguments: Mapping[str, Any]
    id: str
    at: str
    given: bool = True
    expected_version: int | None = None
    actor: str | None = None
    traceparent: str | None = None

    @property
    def name(self) -> str:
        """The decision's name, as in `add_item`."""
        return self.decide.__name__

    @property
    def document_id(self) -> str:
        """The id of the command's document."""
        return f"cmd:{self.id}"

    @property
    def fingerprint(self) -> str:
        """Tells this input from any other: a digest of name, aggregate, expected version and arguments."""
        told = (self.name, self.aggregate_id, self.expected_version, self.arguments)
        try:
            encoded = msgspec.json.encode(told, order="sorted")
        except UnicodeEncodeError:  # a lone surrogate: no rule lets it through, so it is only told from what is stored
            encoded = repr(told).encode()
        return hashlib.sha256(encoded).hexdigest()


class CommandDocument(msgspec.Struct, Generic[E], frozen=True, tag_field="kind", tag="command", rename="camel"):
    """An applied command: idempotency key, audit trail and event history in one; never changed, never coalesced.

    `version` is the aggregate's version after it. A command that found its aim fulfilled has no events. One that is
    not traced is stored without `traceparent`.
    """

    id: str
    name: str
    fingerprint: str
    order_id: str
    version: int
    events: tuple[E, ...]
    at: str
    actor: str | None = None
    traceparent: str | msgspec.UnsetType = msgspec.UNSET


class Applied(msgspec.Struct, Generic[S], frozen=True):
    """A command that is in the write model: the aggregate after it, and whether it was there before this call."""

    state: S
    replayed: bool
