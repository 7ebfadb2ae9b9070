"""What a projector tells whoever watches it. Nobody does unless an observer says otherwise."""

from collections.abc import Sequence
from typing import Literal

from store.port import Document

LeaseMove = Literal["taken", "stolen", "released", "lost"]
"""A free or abandoned lease was taken; one was stolen from a living worker; one was let go; one was lost to another."""


class Observer:
    """Callbacks of a projector; each returns at once and raises nothing. Here, none of them does anything.

    `projection` is a projection's key and `range` a feed range's id: few, and never of a client's choice.
    """

    def applied(self, projection: str, page: Sequence[Document], seconds: float) -> None:
        """A page of changes has had its effects, which took `seconds`."""

    def lag(self, projection: str, range: str, seconds: float) -> None:
        """The feed was looked at: the oldest change that was found was so old; 0 when nothing new was there."""

    def retried(self, projection: str, reason: str) -> None:
        """Something is tried again; `reason` is the name of the error's class, or "poison"."""

    def parked(self, projection: str) -> None:
        """A change that cannot be projected went to the dead letters."""

    def lease_moved(self, projection: str, range: str, how: LeaseMove) -> None:
        """This worker has taken a lease, or has it no more."""
