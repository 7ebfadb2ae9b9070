"""What was asked for lately, and no more of it than there is room for."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Known(Generic[V]):
    __slots__ = ("asked_for", "value", "weight")

    def __init__(self, value: V, weight: int) -> None:
        self.value = value
        self.weight = weight
        self.asked_for = False


class Recent(Generic[K, V]):
    """Values by their keys, each of a weight. Those that were not asked for lately are forgotten.

    Which those are is found when there is no more room: the oldest goes, or is as good as new if it was asked for since
    it was that ("second chance"). To ask for one costs no more than to look it up.
    """

    def __init__(self, at_most: int, forgotten: Callable[[V], None] = lambda value: None) -> None:
        """`at_most` is what all weigh, none more than a tenth of it; `forgotten` is called with each that is."""
        self._at_most = at_most
        self._forgotten = forgotten
        self._known: OrderedDict[K, _Known[V]] = OrderedDict()
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
        known.asked_for = True
        return known.value

    def keep(self, key: K, value: V, weight: int = 1) -> None:
        """Keep a value that is not known, unless it is too heavy."""
        if weight > self._at_most // 10:
            return
        while self._weight + weight > self._at_most:
            oldest, known = next(iter(self._known.items()))
            if known.asked_for:
                known.asked_for = False
                self._known.move_to_end(oldest)
            else:
                self.drop(oldest)
        self._known[key] = _Known(value, weight)
        self._weight += weight

    def drop(self, key: K) -> None:
        """Forget one that is known."""
        known = self._known.pop(key)
        self._weight -= known.weight
        self._forgotten(known.value)
