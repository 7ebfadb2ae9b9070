"""Connections: how many there may be, how soon a request must have arrived, and its answer be taken."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.limits.rates import Held

CONNECTIONS = "connections"
"""Under this name the state of the lifespan has them."""


class Bounded(Protocol):
    """An HTTP connection as its bounds see it."""

    peer: str
    """Its network."""

    def end_if_late(self, bounds: "Connections", now: float) -> None:
        """End it if a request does not arrive, its answer is not taken, or nothing more is asked."""
        ...

    def end_for_another(self) -> None:
        """Refuse it: there are too many."""
        ...


@dataclass(frozen=True)
class Connections:
    """The bounds of connections: `request_s` for a request to arrive, `send_s` for a client that does not read."""

    at_most: int = 10_000
    request_s: float = 30.0
    send_s: float = 60.0
    header_bytes: int = 32_768
    held: Held = field(default_factory=lambda: Held(0, 0))
    """Those of each peer; of what has become a socket `Load` keeps count."""
    unheard: dict[Bounded, None] = field(default_factory=dict)
    """Those that no request has come by yet, the oldest first."""

    def take(self, connection: Bounded, number: int) -> bool:
        """Count one more; false if it is one too many of its peer. Of too many in all the oldest unheard one goes."""
        if not self.held.take(connection.peer):
            return False
        self.unheard[connection] = None
        if number > self.at_most:
            oldest = next(iter(self.unheard))
            del self.unheard[oldest]
            oldest.end_for_another()
        return True

    def sweep(self, connections: Collection[Any], now: float) -> None:
        """End the HTTP connections that have had their time."""
        for connection in list(connections):
            if hasattr(connection, "end_if_late"):  # it is no socket
                connection.end_if_late(self, now)
