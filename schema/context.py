"""What resolvers are given: one half for reading, and one in `schema/orders/commands.py` for writing."""

from dataclasses import dataclass
from typing import TypeVar

import strawberry

from read_model.live import Live
from store import Store

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What queries and subscriptions are answered from."""

    store: Store
    live: Live


def given(value: T | None) -> T | None:
    """The value, or None where the caller left it out."""
    return None if value is strawberry.UNSET else value
