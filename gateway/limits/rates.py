"""How much a client may ask for in a time: token buckets, one for each key, in the memory of this process."""

import time
from collections import OrderedDict
from collections.abc import Callable

MAX_KEYS = 10_000


class Rate:
    """So much cost per second, and `burst` of it at once, for each key; who has not asked lately is forgotten."""

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_second = per_second
        self.burst = burst
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, cost: float) -> float:
        """Take so much, if it is there; else nothing, and return the seconds until it is.

        What costs more than a burst costs all of it.
        """
        # Without min(): this is done three times for each request, and a call costs more than it compares.
        now, left = self._clock(), self.burst
        if cost > left:
            cost = left
        bucket = self._left.get(key)
        if bucket is not None:
            self._left.move_to_end(key)
            refilled = bucket[0] + (now - bucket[1]) * self.per_second
            if refilled < left:
                left = refilled
        elif len(self._left) == MAX_KEYS:
            self._left.popitem(last=False)
        if left < cost:
            self._left[key] = left, now
            return (cost - left) / self.per_second
        self._left[key] = left - cost, now
        return 0.0


class Pace:
    """How much one that stays may send: so much per second, and `burst` at once."""

    __slots__ = ("_burst", "_left", "_per_second", "_since")

    def __init__(self, per_second: float, burst: float, now: float) -> None:
        self._per_second = per_second
        self._burst = self._left = burst
        self._since = now

    def take(self, cost: float, now: float) -> bool:
        """Take so much; false if there was less."""
        self._left = min(self._burst, self._left + (now - self._since) * self._per_second) - cost
        self._since = now
        return self._left >= 0


class Held:
    """How many of something there are, in all and for each key."""

    def __init__(self, at_most: int, of_each: int) -> None:
        """0: any number."""
        self._at_most = at_most
        self._of_each = of_each
        self._held: dict[str, int] = {}
        self.total = 0

    def take(self, key: str) -> bool:
        """Count one more; false, and nothing counted, where there are as many as there may be."""
        mine = self._held.get(key, 0)
        if 0 < self._at_most <= self.total or 0 < self._of_each <= mine:
            return False
        self._held[key] = mine + 1
        self.total += 1
        return True

    def give(self, key: str) -> None:
        """Count one less."""
        self.total -= 1
        if self._held[key] == 1:
            del self._held[key]
        else:
            self._held[key] -= 1
