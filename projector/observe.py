"""What a projector tells whoever watches it. Nobody has to: each of these does nothing until it is overridden."""


class Observer:
    """Told what happens while projecting, as it happens; must be quick, and must not raise."""

    def applied(self, projection: str, changes: int, seconds: float) -> None:
        """A page of so many changes has had its effects, in that time."""

    def retried(self, projection: str, reason: str) -> None:
        """Something was tried again; `reason` is the name of an error."""

    def parked(self, projection: str) -> None:
        """A key was parked."""

    def lease_moved(self, projection: str, how: str) -> None:
        """A lease was "taken", "released" or "lost"."""
