"""Recently used aggregates with their etags. Any may be stale: only a commit on the etag proves that it was not."""

from collections import OrderedDict
from typing import Any

from store import Etag


class AggregateCache:
    """The latest known (state, etag) of at most `size` aggregates, least recently used ones leave first."""

    def __init__(self, size: int = 10_000) -> None:
        self._size = size
        self._known: OrderedDict[str, tuple[Any, Etag]] = OrderedDict()

    def get(self, id: str) -> tuple[Any, Etag] | None:
        """The state and etag known for `id`."""
        known = self._known.get(id)
        if known:
            self._known.move_to_end(id)
        return known

    def put(self, id: str, state: Any, etag: Etag) -> None:
        """Remember what was just read or committed."""
        self._known[id] = (state, etag)
        self._known.move_to_end(id)
        if len(self._known) > self._size:
            self._known.popitem(last=False)

    def drop(self, id: str) -> None:
        """Forget `id`: what is known about it turned out stale, or may be."""
        self._known.pop(id, None)
