"""How a decider is specified: given events, when a command is decided, then these events, or this refusal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from write_model.refusals import Rejected

S = TypeVar("S")
E = TypeVar("E")


class Specification(Generic[S, E]):
    """The specification of one aggregate, bound to it first so that `given` knows the type of its events."""

    def __init__(self, evolve: Callable[[S | None, E], S]) -> None:
        self._evolve = evolve

    def given(self, *events: E) -> "Given[S, E]":
        """The aggregate after `events`; nothing yet where there are none."""
        state: S | None = None
        for event in events:
            state = self._evolve(state, event)
        return Given(state)


@dataclass(frozen=True)
class Given(Generic[S, E]):
    """An aggregate that has a past."""

    state: S | None

    def when(self, decide: Callable[..., Sequence[E]], **arguments: Any) -> "Outcome[E]":
        """What `decide` says about it."""
        try:
            return Outcome(tuple(decide(self.state, **arguments)), None)
        except Rejected as refusal:
            return Outcome((), refusal)


@dataclass(frozen=True)
class Outcome(Generic[E]):
    """Events, or a refusal."""

    events: tuple[E, ...]
    refusal: Rejected | None

    def then(self, *events: E) -> None:
        """Exactly these events happen."""
        assert self.refusal is None, f"rejected: {self.refusal!r}"
        assert self.events == events

    def then_nothing(self) -> None:
        """It is accepted, and nothing happens."""
        self.then()

    def then_rejected(self, code: str, *fields: str) -> None:
        """It is refused with `code`, and blames exactly these inputs."""
        assert self.refusal is not None, f"accepted: {self.events}"
        assert (self.refusal.code, self.refusal.fields) == (code, fields)
