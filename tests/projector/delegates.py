"""Containers and stores that pass everything on, to be watched or troubled by a test."""

from collections.abc import Mapping, Sequence

from store import (
    Changes,
    Condition,
    Container,
    ContainerSpec,
    Document,
    FeedRange,
    Page,
    Query,
    Scope,
    Start,
    Store,
    Write,
)


class Through:
    """A container that passes everything on to another one."""

    def __init__(self, inner: Container) -> None:
        self.inner = inner
        self.spec = inner.spec

    async def read(self, partition: str, id: str) -> Document | None:
        return await self.inner.read(partition, id)

    async def query(self, query: Query) -> Page:
        return await self.inner.query(query)

    async def count(self, where: tuple[Condition, ...] = ()) -> int:
        return await self.inner.count(where)

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str | None]:
        return await self.inner.commit(partition, writes)

    async def feed_ranges(self) -> list[FeedRange]:
        return await self.inner.feed_ranges()

    async def parts_of(self, range: FeedRange) -> list[FeedRange]:
        return await self.inner.parts_of(range)

    async def changes(self, scope: Scope, after: str | Start, limit: int = 100) -> Changes:
        return await self.inner.changes(scope, after, limit)

    async def backlog(self, scope: FeedRange, after: str | Start) -> int:
        return await self.inner.backlog(scope, after)

    async def wait_for_changes(self, seen: int, timeout: float) -> int:
        return await self.inner.wait_for_changes(seen, timeout)


class With:
    """A store with other containers in place of some of its own."""

    def __init__(self, inner: Store, *containers: Container) -> None:
        self._inner = inner
        self._containers: Mapping[str, Container] = {container.spec.name: container for container in containers}

    def container(self, name: str) -> Container:
        return self._containers.get(name) or self._inner.container(name)

    async def make(self, spec: ContainerSpec) -> Container:
        return self._containers.get(spec.name) or await self._inner.make(spec)

    async def drop(self, name: str) -> None:
        await self._inner.drop(name)

    async def ping(self) -> None:
        await self._inner.ping()

    async def close(self) -> None:
        await self._inner.close()
