"""A container: its settings, its partitions, and the transactions that write to it.

Every write goes through a `Transaction`, which applies all of its changes under one LSN, or none.
"""

import base64
from collections.abc import Callable, Iterator
from typing import Any

from .computed import ComputedProperties
from .errors import ServiceError, bad_request, range_gone, too_large
from .indexing import IndexingPolicy
from .keys import Key, KeyDefinition, split_path, value_at
from .names import check_name, new_etag, rid_of
from .partitions import RING_END, Change, Item, Partition, boundaries, middle
from .shelves import SORTS, Shelf
from .values import UNDEFINED, canonical, dumps

MAX_ITEM = 2 * 1024 * 1024
SCRIPTS = ("sprocs", "triggers", "udfs")
SYSTEM = ("_rid", "_self", "_etag", "_ts", "_attachments")
_KEPT = ("indexingPolicy", "partitionKey", "defaultTtl", "uniqueKeyPolicy", "conflictResolutionPolicy",
         "computedProperties", "analyticalStorageTtl", "changeFeedPolicy", "geospatialConfig",
         "vectorEmbeddingPolicy", "fullTextPolicy")  # fmt: skip


class Container:
    """A container in `database_rid`, created now as the `number`-th of its database."""

    def __init__(
        self, definition: dict[str, Any], database_rid: str, number: int, partitions: int, clock: Callable[[], float]
    ) -> None:
        if not isinstance(definition.get("partitionKey"), dict):
            raise bad_request("The partition key definition is missing.")
        self.clock = clock
        self.rid = rid_of(int.from_bytes(base64.b64decode(database_rid, b"+-"), "big"), number)
        self.link = f"dbs/{database_rid}/colls/{self.rid}/"
        self.key = KeyDefinition(definition["partitionKey"])
        self.items_made = 0
        self.ranges_made = 0
        self.generation = 1
        self.document: dict[str, Any] = {}
        self.policy = IndexingPolicy(None)
        self.computed = ComputedProperties(None)
        self.unique: list[list[list[str]]] = []
        self.define(definition)
        self.partitions = [self._partition(low, high) for low, high in boundaries(partitions)]
        self.rewound: dict[str, str | None] = {}
        self.scripts = {name: Shelf(SORTS[name], self.rid, self.link, clock) for name in SCRIPTS}

    # ------------------------------------------------------------------------------------------ settings

    def define(self, definition: dict[str, Any]) -> None:
        """Take over the settings in `definition`; what never changes must be as it was."""
        for fixed in ("id", "partitionKey", "uniqueKeyPolicy"):
            if self.document and definition.get(fixed, self.document.get(fixed)) != self.document.get(fixed):
                raise bad_request(f"Modification of '{fixed}' is not allowed for an existing container.")
        ttl = definition.get("defaultTtl")
        if ttl is not None and (type(ttl) is not int or ttl == 0 or ttl < -1):
            raise bad_request("The value of 'defaultTtl' is not valid: it must be -1 or a positive number of seconds.")
        self.computed = ComputedProperties(definition.get("computedProperties"))
        self.policy = IndexingPolicy(definition.get("indexingPolicy"), self.computed.names)
        unique = (definition.get("uniqueKeyPolicy") or {}).get("uniqueKeys", [])
        self.unique = [[split_path(path) for path in entry["paths"]] for entry in unique]
        self.document = {
            "id": check_name(definition.get("id")),
            **{name: definition[name] for name in _KEPT if definition.get(name) is not None},
            "indexingPolicy": self.policy.document,
            "_rid": self.rid,
            "_self": self.link,
            "_etag": new_etag(),
            "_ts": int(self.clock()),
            "_docs": "docs/",
            "_sprocs": "sprocs/",
            "_triggers": "triggers/",
            "_udfs": "udfs/",
            "_conflicts": "conflicts/",
        }
        self.document.setdefault("geospatialConfig", {"type": "Geography"})

    # ------------------------------------------------------------------------------------------ partitions

    def _partition(self, low: str, high: str) -> Partition:
        number = self.ranges_made
        self.ranges_made += 1
        return Partition(str(number), low, high, rid_of(number, number), born=self.generation)

    def partition(self, key: Key) -> Partition:
        return next(p for p in self.partitions if p.owns(key.epk))

    def partition_by_id(self, id: str) -> Partition:
        """The partition of that id; 410 if it was split or merged."""
        for partition in self.partitions:
            if partition.id == id:
                return partition
        raise range_gone()

    def split(self, id: str) -> list[Partition]:
        """Split a partition in two; returns the children."""
        old = self.partition_by_id(id)
        cut = middle(old.low, old.high)
        return self._succeed([old], [(old.low, cut), (cut, old.high)])

    def merge(self, first: str, second: str) -> Partition:
        """Merge two neighbouring partitions; returns the child."""
        left, right = sorted((self.partition_by_id(first), self.partition_by_id(second)), key=lambda p: p.low)
        if left.high != right.low:
            raise bad_request("Only neighbouring partitions can be merged.")
        return self._succeed([left, right], [(left.low, right.high)])[0]

    def _succeed(self, old: list[Partition], ranges: list[tuple[str, str]]) -> list[Partition]:
        self.generation += 1
        children = [self._partition(low, high) for low, high in ranges]
        for child in children:
            child.parents = [name for parent in old for name in (*parent.parents, parent.id)]
            child.lsn = max(parent.lsn for parent in old)
            items = [item for parent in old for item in parent.changes.values() if child.owns(item.key.epk)]
            for item in sorted(items, key=lambda item: item.lsn):
                child.put(item)
            log = [change for parent in old for change in parent.log if child.owns(change.subject.key.epk)]
            child.log = sorted(log, key=lambda change: change.lsn)
        kept = [p for p in self.partitions if p not in old]
        self.partitions = sorted(kept + children, key=lambda p: p.low)
        return children

    # ------------------------------------------------------------------------------------------ items

    def is_live(self, item: Item) -> bool:
        return item.expires is None or self.clock() < item.expires

    @property
    def keeps(self) -> float | None:
        """For how many seconds versions and deletions are kept for the change feed; None if they are not."""
        minutes = (self.document.get("changeFeedPolicy") or {}).get("retentionDuration")
        return None if not minutes else float(minutes) * 60

    def expire(self, partition: Partition) -> None:
        """Record the deletion of items whose time has come."""
        for item in [item for item in partition.changes.values() if not self.is_live(item)]:
            partition.lsn += 1
            partition.remove(item.key, item.id)
            partition.log.append(Change(item, None, partition.lsn, item.expires or self.clock(), expired=True))

    def logical(self, key: Key) -> list[Item]:
        """The live items of a logical partition, in the order of their creation."""
        found = self.partition(key).items.get(key.text, {}).values()
        return sorted(filter(self.is_live, found), key=lambda item: item.number)

    def within(self, partition: Partition, low: str = "", high: str = RING_END) -> Iterator[Item]:
        """The live items of a partition (or of a part of the ring in it), in the order of their creation."""
        return (item for item in partition.all() if low <= item.key.epk < high and self.is_live(item))

    def expiry(self, body: dict[str, Any], now: float) -> float | None:
        """When an item with that body, written `now`, is gone."""
        default = self.document.get("defaultTtl")
        own = body.get("ttl")
        if "ttl" in body and (type(own) is not int or own == 0 or own < -1):
            raise bad_request("The input ttl is invalid. Ensure to provide a nonzero positive integer, or -1.")
        seconds = default if own is None else own
        return None if default is None or seconds is None or seconds == -1 else int(now) + seconds

    def transaction(self, key: Key) -> "Transaction":
        return Transaction(self, key)

    def next_item(self) -> int:
        self.items_made += 1
        return self.items_made


class Transaction:
    """Changes to one logical partition that are seen by later reads of the transaction and applied together."""

    def __init__(self, container: Container, key: Key) -> None:
        self.container = container
        self.key = key
        self.partition = container.partition(key)
        self._staged: dict[str, Item | None] = {}

    def get(self, id: str) -> Item | None:
        if id in self._staged:
            return self._staged[id]
        item = self.partition.get(self.key, id)
        return item if item is not None and self.container.is_live(item) else None

    def put(self, id: str, body: dict[str, Any], before: Item | None = None) -> Item:
        """Stage the next version of the item `before` (None: a new one). Raises 409 when a unique key is taken."""
        container, now = self.container, self.container.clock()
        number = before.number if before else container.next_item()
        stored = {name: value for name, value in body.items() if name not in SYSTEM}
        rid = base64.b64encode(base64.b64decode(container.rid, b"+-") + number.to_bytes(8, "big"), b"+-").decode()
        stored |= {"_rid": rid, "_self": f"{container.link}docs/{rid}/", "_etag": new_etag(),
                   "_attachments": "attachments/", "_ts": int(now)}  # fmt: skip
        size = len(dumps(stored))
        if size > MAX_ITEM:
            raise too_large()
        self._check_unique(id, stored)
        item = Item(id, self.key, number, stored, size, container.policy.terms(stored))
        item.expires = container.expiry(stored, now)
        self._staged[id] = item
        return item

    def remove(self, id: str) -> None:
        self._staged[id] = None

    def _check_unique(self, id: str, body: dict[str, Any]) -> None:
        if not self.container.unique:
            return
        others = {item.id: item for item in self.container.logical(self.key)} | self._staged
        for paths in self.container.unique:
            wanted = _unique_value(body, paths)
            if any(o and o.id != id and _unique_value(o.body, paths) == wanted for o in others.values()):
                raise ServiceError(409, "Unique index constraint violation.")

    def commit(self) -> int:
        """Apply what was staged; returns the LSN of the partition afterwards."""
        keeps = self.container.keeps is not None
        if keeps:
            self.container.expire(self.partition)
        if self._staged:
            self.partition.lsn += 1
        for id, item in self._staged.items():
            before = self.partition.get(self.key, id)
            if keeps and (before or item):
                self.partition.log.append(Change(before, item, self.partition.lsn, self.container.clock()))
            if item is None:
                self.partition.remove(self.key, id)
            else:
                item.lsn = self.partition.lsn
                self.partition.put(item)
        return self.partition.lsn


def _unique_value(body: dict[str, Any], paths: list[list[str]]) -> list[str | None]:
    values = [value_at(body, names) for names in paths]
    return [None if value is UNDEFINED else canonical(value) for value in values]
