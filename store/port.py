"""The store port: documents, commits, queries and change feeds in Cosmos DB's vocabulary.

Every engine keeps the promises written here; `tests/store/test_contract*.py` holds them to it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from typing import Any, Protocol, TypeVar, overload

import msgspec

from store.errors import TooLarge

T = TypeVar("T")

MAX_WRITES = 100
"""Writes in one commit; Cosmos DB's limit for a transactional batch."""
MAX_COMMIT_BYTES = 2 * 1024 * 1024
"""Bytes of JSON in one commit; Cosmos DB's limit for a batch request and for an item."""
MAX_PAGE = 1000
"""Documents in one page of a query or of the feed."""

MAX_ID_BYTES = 1023
"""Bytes in a document's id; Cosmos DB's limit."""

Scalar = str | int | float

_ID = re.compile(r"[^/\\?#\x00-\x1f]*[^/\\?#\x00-\x20]")


@dataclass(frozen=True, slots=True)
class Index:
    """One or two paths that queries order by, with the document's id as tie-breaker.

    `equal` are paths that those queries compare with a value for equality. `where` names a path and the one value that
    documents in the index have there (a discriminator such as ("kind", "order")). `across` makes the index serve
    queries over all partitions instead of those within one.
    """

    paths: tuple[str, ...]
    where: tuple[str, str] | None = None
    equal: tuple[str, ...] = ()
    across: bool = False


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What a container is: its name, the property that holds the partition key, and its indexes.

    `filters` are further paths that queries compare with values; "name[]" stands for the elements of an array.
    """

    name: str
    partition_key: str
    indexes: tuple[Index, ...] = ()
    filters: tuple[str, ...] = ()

    def of_generation(self, number: int) -> "ContainerSpec":
        """The container that keeps another generation of the same documents; the first has the plain name."""
        return self if number == 1 else replace(self, name=f"{self.name}_{number}")


@dataclass(frozen=True, slots=True)
class ProvisionStep:
    """Something that provisioning does, or would do: a sentence, and whether it changes anything."""

    told: str
    changes: bool


Etag = str | int
"""Names one version of a document; an engine's own, to be compared with and nothing else."""


class Document(msgspec.Struct, frozen=True, gc=False):
    """One stored version of a document. `body` is undecoded JSON, or what the engine's SDK made of it.

    `expires`: when it will be gone, in seconds since the epoch by the store's clock; None if it stays.
    """

    partition: str
    id: str
    etag: Etag
    body: bytes | dict[str, Any]
    expires: float | None = None

    @overload
    def decode(self, type: type[T]) -> T: ...
    @overload
    def decode(self, type: Any) -> Any: ...
    def decode(self, type: Any) -> Any:
        """The body as a value of `type` (a msgspec struct, or a union of tagged ones).

        Raises msgspec.ValidationError when the stored document is not of that type.
        """
        return _decoder(type).decode(self.body) if isinstance(self.body, bytes) else msgspec.convert(self.body, type)

    def content(self) -> dict[str, Any]:
        """The decoded body without what engines add to it, but for the id and the partition key."""
        body: dict[str, Any] = self.decode(dict)
        return {name: value for name, value in body.items() if not added(name)}


def added(name: str) -> bool:
    """Whether a property of that name is an engine's, and so not for a body to have."""
    return name == "ttl" or name.startswith("_")


def decoding(type: Any) -> Callable[[bytes | dict[str, Any]], Any]:
    """`Document.decode` of a body, to be kept for many documents of one type."""
    decode = _decoder(type).decode
    return lambda body: decode(body) if isinstance(body, bytes) else msgspec.convert(body, type)


def decoded(documents: Sequence[Document], type: Any) -> list[Any]:
    """`Document.decode` of each; all are what one engine gave."""
    bodies: list[Any] = [document.body for document in documents]
    decode = _decoder(type).decode
    if bodies and isinstance(bodies[0], bytes):
        return [decode(body) for body in bodies]
    return [msgspec.convert(body, type) for body in bodies]


@lru_cache(maxsize=1000)  # types are also made of what clients select
def _decoder(type: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type)


# ---------------------------------------------------------------------------------------------------- writing


class Create(msgspec.Struct, frozen=True, gc=False):
    """Store a new document; Conflict("exists") if the id is taken. `ttl`: seconds until it is gone."""

    id: str
    body: Any
    ttl: int | None = None


class Replace(msgspec.Struct, frozen=True, gc=False):
    """Store the next version of the document that has `etag`; Conflict("changed" or "missing") otherwise."""

    id: str
    body: Any
    etag: Etag
    ttl: int | None = None


class Upsert(msgspec.Struct, frozen=True, gc=False):
    """Store whatever was there before; with an `etag`, as Replace."""

    id: str
    body: Any
    etag: Etag | None = None
    ttl: int | None = None


class Delete(msgspec.Struct, frozen=True, gc=False):
    """Remove the document that has `etag`; Conflict("changed" or "missing") otherwise."""

    id: str
    etag: Etag


Write = Create | Replace | Upsert | Delete


def check_writes(partition: str, writes: Sequence[Write]) -> None:
    """Raise TooLarge for more writes than a commit may hold, ValueError for what not every engine could store."""
    if not writes:
        raise TooLarge("a commit without writes")
    check_ids(partition, [write.id for write in writes])


def check_ids(partition: str, ids: Sequence[str]) -> None:
    """Raise what a commit would that writes documents of these ids: TooLarge or ValueError.

    Ids are Cosmos DB's: 1 to 1023 bytes, without / \\ ? # and control characters, and no blank at the end.
    """
    count = len(ids)
    if count > MAX_WRITES:
        raise TooLarge(f"a commit holds 1 to {MAX_WRITES} writes, not {count}")
    if count > 1 and len(set(ids)) < count:
        raise ValueError("a commit names each document once")
    partition.encode()  # a lone surrogate is a UnicodeEncodeError, which is a ValueError
    for id in ids:
        if not _is_id(id):
            raise ValueError(f"{id[:40]!r} cannot be a document's id")


@lru_cache(maxsize=5000)
def _is_id(id: str) -> bool:
    return bool(_ID.fullmatch(id)) and len(id if id.isascii() else id.encode()) <= MAX_ID_BYTES


# ---------------------------------------------------------------------------------------------------- asking


class Eq(msgspec.Struct, frozen=True, gc=False):
    """The value at `path` equals `value`."""

    path: str
    value: Scalar


class In(msgspec.Struct, frozen=True, gc=False):
    """The value at `path` is one of `values` (none of them matches nothing)."""

    path: str
    values: tuple[Scalar, ...]


class Range(msgspec.Struct, frozen=True, gc=False):
    """The value at `path` is at least `low` and below `high`; None leaves that side open."""

    path: str
    low: Scalar | None = None
    high: Scalar | None = None


class Contains(msgspec.Struct, frozen=True, gc=False):
    """The array at `path` has `value` among its elements."""

    path: str
    value: Scalar


class Prefix(msgspec.Struct, frozen=True, gc=False):
    """The string at `path` starts with `value`."""

    path: str
    value: str


Condition = Eq | In | Range | Contains | Prefix


class Order(msgspec.Struct, frozen=True, gc=False):
    """Sort by the value at `path`. Documents without a value there are not part of the result."""

    path: str
    descending: bool = False


class Query(msgspec.Struct, frozen=True, gc=False):
    """A question as data. Paths are property names, dotted for nested ones; "id" is the document's id.

    Results are ordered by up to two paths, then by id in the direction of the last of them, so the order is total
    (over all partitions: where ids are unique in the container). `after` holds the values of the `order_by` paths
    and the id of the document to continue behind: keyset paging, stable under inserts. `partition` None asks all.
    """

    partition: str | None
    where: tuple[Condition, ...] = ()
    order_by: tuple[Order, ...] = ()
    limit: int = 100
    after: tuple[Scalar, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.order_by) > 2:
            raise ValueError("a query orders by two paths at most")
        if not 1 <= self.limit <= MAX_PAGE:
            raise ValueError(f"a page holds 1 to {MAX_PAGE} documents")
        if self.after is not None and len(self.after) != len(self.order_by) + 1:
            raise ValueError("`after` needs a value for each ordered path, and the id")


class Page(msgspec.Struct, frozen=True, gc=False):
    """Documents in order, and whether more follow."""

    documents: list[Document]
    more: bool


# ---------------------------------------------------------------------------------------------------- following


class Start(Enum):
    """Where to begin following a feed without a cursor."""

    BEGINNING = "beginning"
    NOW = "now"


class FeedRange(msgspec.Struct, frozen=True, gc=False):
    """A part of the container that is followed on its own; each partition lies in exactly one. Opaque."""

    id: str


class Partition(msgspec.Struct, frozen=True, gc=False):
    """The scope of one logical partition."""

    key: str


Scope = FeedRange | Partition


class Changes(msgspec.Struct, frozen=True, gc=False):
    """A page of the feed: the latest version of each changed document, in commit order per partition.

    `cursor` continues behind this page. Of a page with documents, an engine may know that nothing newer was there.
    """

    cursor: str
    documents: list[Document] = []
    known_last: bool = False

    @property
    def is_last(self) -> bool:
        """Whether nothing newer was there: always so if there are no documents."""
        return self.known_last or not self.documents


class Container(Protocol):
    """JSON documents keyed by (partition, id), each version with an etag of its own."""

    spec: ContainerSpec

    async def read(self, partition: str, id: str) -> Document | None:
        """The document as it is now, or None."""
        ...

    async def query(self, query: Query) -> Page:
        """The page that `query` asks for."""
        ...

    async def count(self, where: tuple[Condition, ...] = ()) -> int:
        """How many documents meet the conditions, over all partitions."""
        ...

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[Etag | None]:
        """Apply all `writes`, or none, in one logical partition; each id at most once.

        Returns the new etags in the order of `writes` (None for a delete), after they are durable.
        Raises Conflict, TooLarge, Throttled, Unavailable or OutcomeUnknown. Cancelling the call leaves the outcome
        unknown.
        """
        ...

    async def feed_ranges(self) -> list[FeedRange]:
        """The ranges that together are the container."""
        ...

    def range_of(self, partition: str, ranges: Sequence[FeedRange]) -> FeedRange:
        """Which of `ranges`, that together are the container, the partition lies in."""
        ...

    async def parts_of(self, range: FeedRange) -> list[FeedRange]:
        """The range itself, or the parts into which the container has split it; each continues from its cursors."""
        ...

    async def changes(self, scope: Scope, after: str | Start, limit: int = 100) -> Changes:
        """What changed in `scope` behind `after`, at least once each, the latest version only.

        A cursor of a range also continues in a partition that lies in it. Deleted and expired documents do not appear.
        A page may exceed `limit` so as not to cut one commit in two.
        Raises CursorInvalid for a cursor of another container.
        """
        ...

    async def backlog(self, scope: FeedRange, after: str | Start) -> int:
        """How many changes there are in `scope` behind `after`, by the engine's own count: commits, or documents."""
        ...

    async def wait_for_changes(self, seen: int, timeout: float, range: FeedRange | None = None) -> int:
        """Wait until the container, or that range of it, may have changed since `seen`, or for `timeout` seconds.

        Returns the number to give as `seen` the next time, of the container or of the range; 0 asks for the number as
        it is. An engine that cannot tell what another process has committed, or where, returns now and then although
        nobody has. Taking the number before reading the feed loses no wake-up.
        """
        ...


class Store(Protocol):
    """The containers of one database, open."""

    @property
    def charges(self) -> Mapping[tuple[str, str], int]:
        """How many requests there were, by container and kind: read, query, batch or feed."""
        ...

    @property
    def units(self) -> Mapping[tuple[str, str], float]:
        """What they cost in request units, by container and kind; empty where nothing is charged."""
        ...

    def container(self, name: str) -> Container:
        """The container of that name. Raises KeyError if the store was opened without it."""
        ...

    async def make(self, spec: ContainerSpec) -> Container:
        """The container of that specification, made if it is missing; open from now on. Raises StoreUnusable."""
        ...

    async def drop(self, name: str) -> None:
        """Remove a container with all that is in it. Idempotent."""
        ...

    async def ping(self) -> None:
        """Return if the store can answer now; raise Unavailable if not."""
        ...

    async def close(self) -> None:
        """Finish what was committed and let go. Idempotent."""
        ...
