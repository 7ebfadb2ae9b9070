"""A store that is busy or away is asked again for a while."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from store import OutcomeUnknown, Throttled, Unavailable

ATTEMPTS = 10
PAUSE_S = 0.1
MAX_PAUSE_S = 5.0

T = TypeVar("T")


async def patiently(request: Callable[[], Awaitable[T]]) -> T:
    """What `request` answers, asked up to ATTEMPTS times, about 20 seconds apart in all.

    Raises the last Throttled, Unavailable or OutcomeUnknown. What a request did whose outcome is unknown is for the
    request itself to recognise when it is made again.
    """
    for attempt in range(ATTEMPTS - 1):
        try:
            return await request()
        except (Throttled, Unavailable, OutcomeUnknown) as error:
            least = error.retry_after if isinstance(error, Throttled) else 0.0
        await asyncio.sleep(max(least, min(PAUSE_S * 2**attempt, MAX_PAUSE_S)))
    return await request()
