"""Tells waiting tasks of one event loop that a container may have changed, without ever losing a wake-up."""

import asyncio

Waiter = asyncio.Future[None]


class Signal:
    """Counts notifications; a waiter names the count that it has seen, so nothing between look and wait is lost."""

    def __init__(self) -> None:
        self.count = 1
        self._waiters: set[Waiter] = set()

    def notify(self) -> None:
        """Wake all waiters."""
        self.count += 1
        for waiter in self._waiters:
            _wake(waiter)
        self._waiters.clear()

    async def wait(self, seen: int, timeout: float) -> int:
        """Return the count as soon as it differs from `seen`, or after `timeout` seconds."""
        if self.count == seen:
            loop = asyncio.get_running_loop()
            waiter: Waiter = loop.create_future()
            self._waiters.add(waiter)
            timer = loop.call_later(timeout, _wake, waiter)
            try:
                await waiter
            finally:
                timer.cancel()
                self._waiters.discard(waiter)
        return self.count


def _wake(waiter: Waiter) -> None:
    if not waiter.done():
        waiter.set_result(None)
