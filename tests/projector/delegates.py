"""A store with other containers in place of some of its own, to be watched or troubled by a test."""

from collections.abc import Mapping

from store import Container, ContainerSpec, Store, StoreDelegate


class With(StoreDelegate):
    """A store with other containers in place of some of its own."""

    def __init__(self, inner: Store, *containers: Container) -> None:
        super().__init__(inner)
        self._containers: Mapping[str, Container] = {container.spec.name: container for container in containers}

    def container(self, name: str) -> Container:
        return self._containers.get(name) or self.inner.container(name)

    async def make(self, spec: ContainerSpec) -> Container:
        return self._containers.get(spec.name) or await self.inner.make(spec)
