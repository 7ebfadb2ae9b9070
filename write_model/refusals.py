"""Why a command was not carried out. Nothing was written when one of these is raised.

Refused
├── Rejected           the domain says no: `code`, `message`, and the input paths at fault
├── NotFound           there is no such aggregate
├── VersionConflict    the aggregate is not at the version that the caller expected
├── CommandIdReused    the command id belongs to another command already
└── Contended          others kept winning the race; trying again is in order
"""

from typing import Any


class Refused(Exception):
    """Root of the refusals. `state`: the aggregate as it is, where it exists and was looked at."""

    state: Any = None


class Rejected(Refused):
    """A rule of the domain forbids it. `code` is for programs, `fields` are input paths such as "item.quantity"."""

    def __init__(self, code: str, message: str, *fields: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fields = fields


class NotFound(Refused):
    """The aggregate does not exist."""


class VersionConflict(Refused):
    """The aggregate in `state` is not at version `expected`."""

    def __init__(self, expected: int) -> None:
        super().__init__(f"not at version {expected}")
        self.expected = expected


class CommandIdReused(Refused):
    """The command id was used before, with another input."""


class Contended(Refused):
    """The bounded number of attempts was used up by lost races or a busy store."""
