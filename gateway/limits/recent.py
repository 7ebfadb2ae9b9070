"""What was asked for lately, and no more of it than there is room for."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Values by their keys, each of a weight. Those that were not asked for lately are forgotten."""

    def __init__(self, at_most: int, forgotten: Callable[[V], None] = lambda value: None) -> None:
        """`at_most` is what all weigh, none more than a tenth of it; `forgotten` is called with each that is."""
        self._at_most = at_most
        self._forgotten = forgotten
        self._known: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._weight = 0

    def __contains__(self, key: K) -> bool:
        return key in self._known

    def __iter__(self) -> Iterator[K]:
        return iter(self._known)

    def get(self, key: K) -> V | None:
        """The value, which has been asked for now; None where it is not known."""
        known = self._known.get(key)
        if known is None:
            return None
        self._known.move_to_end(key)
        return known[0]

    def keep(self, key: K, value: V, weight: int = 1) -> None:
        """Keep a value that is not known, unless it is too heavy."""
        if weight > self._at_most // 10:
            return
        self._known[key] = value, weight
        self._weight += weight
        while self._weight > self._at_most:
            self.drop(next(iter(self._known)))

    def drop(self, key: K) -> None:
        """Forget one that is known."""
        value, weight = self._known.pop(key)
        self._weight -= weight
        self._forgotten(value)
