"""The store with a span around each read, query and commit of it; everything else is passed on."""

from collections.abc import Sequence

from gateway.tracing import Tracing
from store import Container, ContainerDelegate, Document, Etag, Page, Query, Store, StoreDelegate, Write


class ObservedContainer(ContainerDelegate):
    """A container."""

    def __init__(self, inner: Container, tracing: Tracing) -> None:
        super().__init__(inner)
        self._tracing = tracing

    async def read(self, partition: str, id: str) -> Document | None:
        """As the container."""
        with self._tracing.span("store.read", container=self.spec.name):
            return await self.inner.read(partition, id)

    async def query(self, query: Query) -> Page:
        """As the container."""
        with self._tracing.span("store.query", container=self.spec.name) as tell:
            page = await self.inner.query(query)
            tell({"documents": len(page.documents)})
            return page

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[Etag | None]:
        """As the container."""
        with self._tracing.span("store.commit", container=self.spec.name, writes=len(writes)):
            return await self.inner.commit(partition, writes)


class ObservedStore(StoreDelegate):
    """A store of observed containers."""

    def __init__(self, inner: Store, tracing: Tracing) -> None:
        super().__init__(inner)
        self._tracing = tracing

    def container(self, name: str) -> Container:
        """The container of that name, observed."""
        return ObservedContainer(self.inner.container(name), self._tracing)
