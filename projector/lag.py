"""How old a change is that waits to be projected."""

from datetime import datetime
from typing import Any

from projector.projection import Projection
from store import Document


def time_of(projection: Projection[Any, Any], document: Document) -> str | None:
    """When a change was committed, RFC 3339; None if the document does not tell."""
    try:
        told = projection.time_of(document.decode(dict))
        datetime.fromisoformat(told)
    except Exception:  # noqa: BLE001  whatever is wrong with the document, projecting it will say so
        return None
    return told


def seconds_between(then: str, now: str) -> float:
    """Seconds from one moment to a later one, both RFC 3339; 0 if a faster clock has told the first."""
    return max(0.0, (datetime.fromisoformat(now) - datetime.fromisoformat(then)).total_seconds())
