"""The end of a process, told ahead: what streams comes to its end by itself, so that clients go on elsewhere."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Drain:
    """Whether the process is to end, and how many sockets and streams it still waits for."""

    def __init__(self, end_sources: Callable[[], None] = lambda: None, within_s: float = 0.0) -> None:
        """`end_sources` has all subscriptions end; `within_s` is how long that may take, in seconds."""
        self.within_s = within_s
        self.held = 0
        self._end_sources = end_sources
        self._begun = asyncio.Event()

    @property
    def begun(self) -> bool:
        """Whether the process is to end."""
        return self._begun.is_set()

    def begin(self) -> None:
        """From now on the process is not ready, and its subscriptions end. May be called again."""
        if not self.begun:
            self._begun.set()
            self._end_sources()

    async def until_begun(self) -> None:
        """Wait until the process is to end."""
        await self._begun.wait()

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Have the end wait, for as long as it may, while in the context."""
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1
