"""Physical partitions: each holds the items of a part of the ring and counts its transactions (LSN).

A split hands the items and the LSN on to two children, a merge to one; an item keeps the LSN it was written at.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .keys import Key

RING_END = "FF"
_WIDTH = 32


@dataclass(slots=True)
class Item:
    """One stored version of an item. `number` counts creations and orders unsorted results."""

    id: str
    key: Key
    number: int
    body: dict[str, Any]
    size: int
    terms: int
    lsn: int = 0
    expires: float | None = None

    @property
    def etag(self) -> str:
        return str(self.body["_etag"])


@dataclass(frozen=True, slots=True)
class Change:
    """A change of an item: created if there was none before, deleted if there is none after. `at`: epoch seconds."""

    before: Item | None
    after: Item | None
    lsn: int
    at: float
    expired: bool = False

    @property
    def subject(self) -> Item:
        """The version that the change is about."""
        item = self.after or self.before
        assert item is not None
        return item


@dataclass(slots=True)
class Partition:
    """A physical partition and its items: by logical partition and id, and in the order of their last change.

    `log` has every change, if the container keeps them.
    """

    id: str
    low: str
    high: str
    rid: str
    parents: list[str] = field(default_factory=list)
    lsn: int = 1
    born: int = 1
    items: dict[str, dict[str, Item]] = field(default_factory=dict)
    changes: dict[tuple[str, str], Item] = field(default_factory=dict)
    log: list[Change] = field(default_factory=list)

    @property
    def width(self) -> int:
        first, last = _bounds(self.low, self.high)
        return last - first

    def owns(self, epk: str) -> bool:
        return self.low <= epk < self.high

    def overlaps(self, low: str, high: str) -> bool:
        return self.low < high and low < self.high

    def get(self, key: Key, id: str) -> Item | None:
        return self.items.get(key.text, {}).get(id)

    def put(self, item: Item) -> None:
        """Store `item` as the latest change."""
        self.items.setdefault(item.key.text, {})[item.id] = item
        self.changes.pop((item.key.text, item.id), None)
        self.changes[item.key.text, item.id] = item

    def remove(self, key: Key, id: str) -> None:
        logical = self.items.get(key.text, {})
        logical.pop(id, None)
        if not logical:
            self.items.pop(key.text, None)
        self.changes.pop((key.text, id), None)

    def after(self, lsn: int) -> list[Item]:
        """Items whose last change is behind `lsn`, oldest change first."""
        found = []
        for item in reversed(self.changes.values()):
            if item.lsn <= lsn:
                break
            found.append(item)
        return found[::-1]

    def all(self) -> Iterator[Item]:
        """The items in the order of their creation."""
        return iter(sorted(self.changes.values(), key=lambda item: item.number))

    def document(self) -> dict[str, Any]:
        """The partition as the service describes it."""
        return {
            "id": self.id,
            "_rid": self.rid,
            "_self": "",
            "_etag": '"0"',
            "_ts": 0,
            "minInclusive": self.low,
            "maxExclusive": self.high,
            "ridPrefix": int(self.id),
            "throughputFraction": 1,
            "status": "online",
            "parents": self.parents,
            "lsn": self.lsn,
        }


def boundaries(count: int) -> list[tuple[str, str]]:
    """`count` equal parts of the ring, cut where the service cuts it; hashes use its first quarter."""
    width = ((0x40 << 120) - 1) // count
    cuts = [f"{width * n:0{_WIDTH}X}" for n in range(1, count)]
    return list(zip(["", *cuts], [*cuts, RING_END], strict=True))


def _bounds(low: str, high: str) -> tuple[int, int]:
    first = int(low.ljust(_WIDTH, "0")[:_WIDTH], 16)
    return first, 0x40 << 120 if high == RING_END else int(high.ljust(_WIDTH, "0")[:_WIDTH], 16)


def middle(low: str, high: str) -> str:
    """The place on the ring half-way between two."""
    return f"{sum(_bounds(low, high)) // 2:0{_WIDTH}X}"
