"""A container and a store that pass everything on to another one: for whoever watches, replaces or troubles a part."""

from collections.abc import Mapping, Sequence

from store.port import (
    Changes,
    Condition,
    Container,
    ContainerSpec,
    Document,
    Etag,
    FeedRange,
    Page,
    Query,
    Scope,
    Start,
    Store,
    Write,
)


class ContainerDelegate:
    """Everything as `inner` does it."""

    def __init__(self, inner: Container) -> None:
        self.inner = inner
        self.spec = inner.spec

    async def read(self, partition: str, id: str) -> Document | None:
        """As the port."""
        return await self.inner.read(partition, id)

    async def query(self, query: Query) -> Page:
        """As the port."""
        return await self.inner.query(query)

    async def count(self, where: tuple[Condition, ...] = ()) -> int:
        """As the port."""
        return await self.inner.count(where)

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[Etag | None]:
        """As the port."""
        return await self.inner.commit(partition, writes)

    async def feed_ranges(self) -> list[FeedRange]:
        """As the port."""
        return await self.inner.feed_ranges()

    def range_of(self, partition: str, ranges: Sequence[FeedRange]) -> FeedRange:
        """As the port."""
        return self.inner.range_of(partition, ranges)

    async def parts_of(self, range: FeedRange) -> list[FeedRange]:
        """As the port."""
        return await self.inner.parts_of(range)

    async def changes(self, scope: Scope, after: str | Start, limit: int = 100) -> Changes:
        """As the port."""
        return await self.inner.changes(scope, after, limit)

    async def backlog(self, scope: FeedRange, after: str | Start) -> int:
        """As the port."""
        return await self.inner.backlog(scope, after)

    async def wait_for_changes(self, seen: int, timeout: float, range: FeedRange | None = None) -> int:
        """As the port."""
        return await self.inner.wait_for_changes(seen, timeout, range)


class StoreDelegate:
    """Everything as `inner` does it."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner

    @property
    def charges(self) -> Mapping[tuple[str, str], int]:
        """As the port."""
        return self.inner.charges

    @property
    def units(self) -> Mapping[tuple[str, str], float]:
        """As the port."""
        return self.inner.units

    def container(self, name: str) -> Container:
        """As the port."""
        return self.inner.container(name)

    async def make(self, spec: ContainerSpec) -> Container:
        """As the port."""
        return await self.inner.make(spec)

    async def drop(self, name: str) -> None:
        """As the port."""
        await self.inner.drop(name)

    async def ping(self) -> None:
        """As the port."""
        await self.inner.ping()

    async def close(self) -> None:
        """As the port."""
        await self.inner.close()
