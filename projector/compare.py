"""Read documents compared with a fresh projection of the write model: of all partitions, or of a sample of them."""

import asyncio
import hashlib
import heapq
from dataclasses import dataclass
from typing import Any

import msgspec

from projector.apply import key_of
from projector.projection import Projection
from store import Container, Document, Etag, Start, changes_up_to_now, documents_of

PASSES = 4
PAUSE_S = 1.0
"""Seconds between passes."""

Views = dict[str, dict[str, Any]]
"""Read documents by partition and id."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A read document that is not what the write model makes of it: "missing", "unexpected" or "differs"."""

    partition: str
    id: str
    what: str
    etag: Etag | None = None
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        told = f" in {', '.join(self.fields)}" if self.fields else ""
        return f"{self.partition} / {self.id}: {self.what}{told}"


async def differences(
    projection: Projection[Any, Any], source: Container, target: Container, sample: int | None
) -> list[Difference]:
    """What differs in `sample` partitions of the target, chosen by hash (None: in all), while commands go on.

    A difference counts only if it is there in each of several passes, with the read document unchanged: what changes
    is on its way. Memory is bounded by the sample.
    """
    found: list[Difference] = []
    only: set[str] | None = None
    for number in range(PASSES):
        if number:
            await asyncio.sleep(PAUSE_S)
        expected = await _fresh(projection, source, sample, only)
        seen = await _differences(projection, target, expected)
        found = [difference for difference in seen if number == 0 or difference in found]
        if not found:
            return []
        only = {difference.partition for difference in found}
    return found


class _Sample:
    """The read documents of the partitions with the lowest hashes, or of `only` those, made from the beginning.

    What was once left out for its hash stays out, since the bar only falls: so what is kept is complete.
    """

    def __init__(self, projection: Projection[Any, Any], size: int | None, only: set[str] | None) -> None:
        self.views: Views = {}
        self._projection = projection
        self._size = None if only else size
        self._only = only
        self._bar: int | None = None
        self._ranks: list[tuple[int, str]] = []  # a heap: the highest rank comes first

    def add(self, document: Document) -> None:
        """Project a document. Raises what the projection raises."""
        change = document.decode(self._projection.change)
        for route in self._projection.route(change):
            if self._keeps(route.partition):
                views = self.views[route.partition]
                known = {id: views[id] for id in route.wanted if id in views}
                views.update({view.id: view for view in self._projection.project(change, route.partition, known)})

    def _keeps(self, partition: str) -> bool:
        """Whether the partition belongs to the sample, which another may have to leave for it."""
        if partition in self.views:
            return True
        rank = _rank(partition)
        if (self._only is not None and partition not in self._only) or (self._bar is not None and rank >= self._bar):
            return False
        self.views[partition] = {}
        heapq.heappush(self._ranks, (-rank, partition))
        if self._size is not None and len(self._ranks) > self._size:
            highest, dropped = heapq.heappop(self._ranks)
            self._bar = -highest
            del self.views[dropped]
        return partition in self.views


async def _fresh(
    projection: Projection[Any, Any], source: Container, sample: int | None, only: set[str] | None
) -> Views:
    """The read documents of a sample of partitions, or of `only` those, as the write model makes them now."""
    sampled, failed = _Sample(projection, sample, only), set[str]()
    for range_ in await source.feed_ranges():
        async for page in changes_up_to_now(source, range_, Start.BEGINNING):
            for document in page.documents:
                if failed and key_of(projection, document) in failed:
                    continue
                try:
                    sampled.add(document)
                except Exception:  # noqa: BLE001  its key is parked, and missing from the read documents as well
                    failed.add(key_of(projection, document))
            await asyncio.sleep(0)  # others have their turn
    return sampled.views


async def _differences(projection: Projection[Any, Any], target: Container, expected: Views) -> list[Difference]:
    found: list[Difference] = []
    for partition, views in expected.items():
        stored = await _stored(projection, target, partition)
        for id in sorted(views.keys() | stored.keys()):
            etag, view = stored.get(id, (None, None))
            if etag is None:
                found.append(Difference(partition, id, "missing"))
            elif id not in views:
                found.append(Difference(partition, id, "unexpected", etag))
            elif fields := _differing(views[id], view):
                found.append(Difference(partition, id, "differs", etag, fields))
    return found


async def _stored(
    projection: Projection[Any, Any], target: Container, partition: str
) -> dict[str, tuple[Etag | None, Any]]:
    """By id: the etag and the view, None for what is no view at all."""
    stored: dict[str, tuple[Etag | None, Any]] = {}
    async for document in documents_of(target, partition):
        try:
            stored[document.id] = document.etag, document.decode(projection.view)
        except msgspec.ValidationError:
            stored[document.id] = document.etag, None
    return stored


def _differing(expected: Any, stored: Any) -> tuple[str, ...]:
    if type(expected) is not type(stored):
        return ("its type",)
    fields = type(expected).__struct_fields__
    return tuple(name for name in fields if getattr(expected, name) != getattr(stored, name))


def _rank(partition: str) -> int:
    """A number that depends on nothing but the partition's key, and is spread evenly."""
    return int.from_bytes(hashlib.blake2b(partition.encode(), digest_size=8).digest())
