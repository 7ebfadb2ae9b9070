"""Patience with the store: what it cannot do now is tried again, for as long as it takes."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from projector.observe import Observer
from store import Conflict, OutcomeUnknown, Throttled, Unavailable

T = TypeVar("T")

TRANSIENT = (Throttled, Unavailable, OutcomeUnknown, Conflict)
"""Errors that say nothing about a document: whatever is done here may be done again."""
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 5.0
TOLD_AFTER = 5
"""Failures in a row after which waiting counts as a problem, to be seen from outside."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Does things again until the store can; `problems` says, by name, what has been waited for in vain so far."""

    observer: Observer
    problems: dict[str, str]

    async def __call__(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        """What the work answers, however often it must be tried; each retry is told to the observer.

        Raises what is not transient.
        """
        failures, pause = 0, FIRST_PAUSE_S
        try:
            while True:
                try:
                    return await work()
                except TRANSIENT as error:
                    self.observer.retried(name, type(error).__name__)
                    wait = max(error.retry_after, pause) if isinstance(error, Throttled) else pause
                    failures += 1
                    if failures >= TOLD_AFTER:
                        self.problems[name] = f"{type(error).__name__}: {error}"
                await asyncio.sleep(random.uniform(wait / 2, wait))
                pause = min(pause * 2, LONGEST_PAUSE_S)
        finally:
            if failures >= TOLD_AFTER:
                self.problems.pop(name, None)
