"""What answers the operation that is being executed: so that the answer can say how fresh it is."""

from contextvars import ContextVar

import msgspec


class Asked(msgspec.Struct):
    """The read containers that an answer was read from, and whether it shows the writes that it was asked to show."""

    containers: set[str] = msgspec.field(default_factory=set)
    satisfied: bool = True


ASKED: ContextVar[Asked | None] = ContextVar("asked", default=None)
