"""Turns: tasks of one event loop that want the same key go one after another, first come first served."""

import asyncio
from collections import deque
from collections.abc import Hashable

Waiting = deque[asyncio.Future[None]]


class Turns:
    """Spares tasks of one process the conflicts that they would cause each other; of no use between processes."""

    def __init__(self) -> None:
        self._taken: dict[Hashable, Waiting | None] = {}
        """By key whose turn it is for somebody: who waits for the next, if ever anybody did."""

    def __len__(self) -> int:
        """How many keys are wanted now."""
        return len(self._taken)

    def of(self, key: Hashable) -> "Turn":
        """A turn, to be waited for; it ends with the context."""
        return Turn(self._taken, key)


class Turn:
    """A context in which the key is nobody else's. Where nobody has it, there is nothing to wait for."""

    __slots__ = ("_key", "_taken")

    def __init__(self, taken: dict[Hashable, Waiting | None], key: Hashable) -> None:
        self._taken = taken
        self._key = key

    async def __aenter__(self) -> None:
        if self._key not in self._taken:
            self._taken[self._key] = None
            return
        waiting = self._taken[self._key]
        if waiting is None:
            waiting = self._taken[self._key] = deque()
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if not mine.cancelled():
                self._pass_on()  # it was given the turn at the same moment
            raise

    async def __aexit__(self, *_: object) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        """Give the turn to who has waited for longest, and still does."""
        waiting = self._taken[self._key]
        while waiting:
            following = waiting.popleft()
            if not following.done():
                following.set_result(None)
                return
        del self._taken[self._key]
