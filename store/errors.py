"""What can go wrong at the store, in one short tree.

    StoreError
    ├── Conflict         a write's condition did not hold; nothing of the commit was applied
    ├── TooLarge         more than a commit or a document may hold; nothing was applied
    ├── Throttled        the store asks for patience (`retry_after` seconds); nothing was applied
    ├── Unavailable      the store cannot be reached or cannot work now; nothing was applied
    ├── OutcomeUnknown   the commit may or may not have been applied: look before deciding
    ├── CursorInvalid    a feed cursor of another store, or no cursor at all; needs an operator, never a silent restart
    └── StoreUnusable    the store cannot be opened as configured; the message is a sentence for a person

Engines translate their own errors into these and chain the original (`raise ... from`).
"""

from typing import Literal

ConflictReason = Literal["exists", "changed", "missing"]


class StoreError(Exception):
    """Root of every error that a store raises."""


class Conflict(StoreError):
    """The condition of write number `index` (from 0) in the commit did not hold.

    `reason` is "exists" (create found a document), "changed" (another etag) or "missing" (no document).
    """

    def __init__(self, index: int, reason: ConflictReason) -> None:
        super().__init__(f"write {index}: the document {_REASONS[reason]}")
        self.index = index
        self.reason = reason


_REASONS: dict[ConflictReason, str] = {
    "exists": "exists already",
    "changed": "has changed meanwhile",
    "missing": "does not exist",
}


class TooLarge(StoreError):
    """A commit of more than 100 writes, or more than 2 MB (Cosmos DB's limits, kept by every engine)."""


class Throttled(StoreError):
    """The store is busy. Trying again after `retry_after` seconds is in order."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(StoreError):
    """The store cannot work at the moment: unreachable, full, damaged."""


class OutcomeUnknown(StoreError):
    """Nobody said whether the commit was applied. The caller must look for its own documents."""


class CursorInvalid(StoreError):
    """A feed cursor that this container did not hand out."""


class StoreUnusable(StoreError):
    """The store cannot be opened. The message says in a sentence what is wrong and what would help."""
