"""Who asks, as far as it was proved."""

from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["anonymous", "customer", "staff", "service", "developer"]

READ = "orders:read"
WRITE = "orders:write"
FULFIL = "orders:fulfil"
OPERATE = "operations:read"
SCOPES = (READ, WRITE, FULFIL, OPERATE)
"""What services may be allowed: to see all orders and sales, to act as any customer could, to record payments and to
ship and deliver, and to see how the projections are."""

_UNBOUND = frozenset(("staff", "developer"))


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody, or nobody. `subject` is who it is to whoever issued the proof.

    A customer acts on the orders of `customer`; a service has `scopes`, and nobody else has; staff, and in development
    who has not said otherwise, may do everything. `expires_at`: the time in seconds since 1970 from which on the proof
    is worth nothing; None: never.
    """

    kind: Kind
    subject: str = ""
    customer: str | None = None
    scopes: frozenset[str] = frozenset()
    expires_at: float | None = None

    def may(self, scope: str) -> bool:
        """Whether this is staff, or a service with that scope."""
        return scope in self.scopes or self.kind in _UNBOUND

    def is_as(self, other: "Viewer") -> bool:
        """Whether both are the same, and may do the same, though perhaps not as long."""
        return replace(self, expires_at=None) == replace(other, expires_at=None)

    @property
    def actor(self) -> str | None:
        """How commands name who gave them, as in `staff:carol`; None for who has not been told from others."""
        return f"{self.kind}:{self.subject}" if self.subject else None


NOBODY = Viewer("anonymous")
DEVELOPER = Viewer("developer")
