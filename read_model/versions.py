"""One read document as it changes: as it is now, then each newer version, none twice and none backwards."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Protocol, TypeVar

from read_model.live import Live
from read_model.watches import Batch, Drained, Lost, Share
from store import Document, Store


class Versioned(Protocol):
    """A read document; its version never goes down."""

    @property
    def version(self) -> int: ...


V = TypeVar("V", bound=Versioned)


async def versions(
    store: Store,
    live: Live,
    container: str,
    partition: str,
    id: str,
    view: type[V],
    since: int = 0,
    until: float | None = None,
    share: Share | None = None,
) -> AsyncGenerator[V, None]:
    """The document as `view` now, if it is newer than version `since`; then each newer version as it comes.

    A version that `share` sends on is not yielded.

    Waits for a document that does not exist yet. Raises TimeoutError when it would wait beyond `until`, a time of the
    event loop; without one it ends when the live view is drained.
    """

    hand = share(view) if share else None

    def direct(batch: Batch) -> bool:
        nonlocal since
        newest: V = batch.known(view) or batch.made(view, lambda: [*batch.documents][-1].decode(view))
        if newest.version <= since or not (hand and hand(batch, lambda: newest)):
            return False
        since = newest.version
        return True

    with live.watch(container, partition, id) as watch:
        documents = await _current(store, container, partition, id)
        while True:
            while documents:
                newer = documents.pop(0).decode(view)
                if newer.version > since:
                    since = newer.version
                    yield newer
                del newer  # who waits keeps nothing of what it was sent
            try:
                async with asyncio.timeout_at(until):
                    documents = await watch.next(direct if hand else None)
            except Lost:
                documents = await _current(store, container, partition, id)
            except Drained:
                if until is None:
                    return
                documents = []


async def _current(store: Store, container: str, partition: str, id: str) -> list[Document]:
    document = await store.container(container).read(partition, id)
    return [document] if document else []
