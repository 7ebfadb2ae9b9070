"""Tells waiting tasks of one event loop that a container may have changed, without ever losing a wake-up."""

import asyncio
from contextlib import suppress


class Signal:
    """Counts notifications; a waiter names the count that it has seen, so nothing between look and wait is lost."""

    def __init__(self) -> None:
        self.count = 1
        self._changed = asyncio.Event()

    def notify(self) -> None:
        """Wake all waiters."""
        self.count += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait(self, seen: int, timeout: float) -> int:
        """Return the count as soon as it differs from `seen`, or after `timeout` seconds."""
        if self.count == seen:
            # Not asyncio.wait_for, which before Python 3.12 swallows a cancellation that meets the notification.
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._changed.wait()
        return self.count
