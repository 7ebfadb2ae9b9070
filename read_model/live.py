"""The live view: what the projector writes, handed to whoever watches it, in this process.

Every gateway process follows the read containers' feeds from now on: no broker. A watcher holds the latest version
of each document, not a queue, so its memory is bounded by the documents it watches and a slow one gets fewer, newer
ones. Watch first, then read, then pass on only what is newer: nothing falls between.
"""

import asyncio
import base64
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol, TypeVar

import msgspec

from read_model.serving import Serving
from store import Container, Document, FeedRange, Start, Store


class Versioned(Protocol):
    """A read document; its version never goes down."""

    @property
    def version(self) -> int: ...


V = TypeVar("V", bound=Versioned)

IDLE_S = 5.0
SWITCH_S = 1.0
"""Seconds between looks at which generation is to serve."""
PAGE = 200

Topic = tuple[str, str | None, str | None]
"""Container, partition (None: all), document id (None: all)."""


class Replaced(Exception):
    """What is watched is read from another container now: read it again."""


class Drained(Exception):
    """Nothing more is handed out here; all that was has been taken."""


class Watch:
    """The latest version of each watched document that has changed since the watcher last looked."""

    def __init__(self) -> None:
        self._pending: dict[tuple[str, str], Document] = {}
        self._changed = asyncio.Event()
        self._replaced = False
        self._draining = False

    def offer(self, document: Document) -> None:
        """Take note of a version; it takes the place of an older one that nobody has looked at."""
        key = (document.partition, document.id)
        self._pending.pop(key, None)
        self._pending[key] = document
        self._changed.set()

    def replace(self) -> None:
        """Take note that the container was replaced by another; what has been offered is forgotten."""
        self._pending.clear()
        self._replaced = True
        self._changed.set()

    def drain(self) -> None:
        """Take note that the process is to end."""
        self._draining = True
        self._changed.set()

    async def next(self) -> list[Document]:
        """Wait for changes, and take them all. Raises Replaced, once, when everything is to be read again.

        Raises Drained, once, when there is nothing left to take and the process is to end.
        """
        await self._changed.wait()
        self._changed.clear()
        documents = list(self._pending.values())
        self._pending.clear()
        if self._replaced:
            self._replaced = False
            raise Replaced
        if self._draining and documents:
            self._changed.set()
        elif self._draining:
            self._draining = False
            raise Drained
        return documents


class Live:
    """Follows the feeds of the containers that serve, and offers each change to its watchers.

    `start` notes where the feeds stand; from then on nothing is missed. `loops` are the endless tasks that follow
    them: whoever runs the process supervises them, and a loop that is run again continues where it stood.
    """

    watches = Watch
    """What it hands out; a live view that has more to do has a kind of its own."""

    def __init__(self, store: Serving, containers: Sequence[str]) -> None:
        self._store = store
        self._containers = containers
        self._watches: dict[Topic, set[Watch]] = {}
        self._cursors: dict[str, dict[FeedRange, str]] = {}
        self._draining = False

    async def start(self) -> None:
        """Note where the feeds stand now."""
        for name in self._containers:
            self._cursors[name] = await _now(self._store.container(name))

    def loops(self) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        """A name and an endless coroutine function for each container; call `start` first."""
        for name in self._containers:
            yield f"live {name}", partial(self._follow, name)

    def position(self, container: str) -> str:
        """How far the feeds of a container have been handed out, as an opaque cursor."""
        cursors = {range_.id: cursor for range_, cursor in self._cursors[container].items()}
        return base64.urlsafe_b64encode(msgspec.json.encode(cursors)).rstrip(b"=").decode()

    @contextmanager
    def watch(self, container: str, partition: str | None = None, id: str | None = None) -> Iterator[Watch]:
        """Watch a document, a partition, or all of a container while in the context."""
        topic = (container, partition, id)
        watch = self.watches()
        if self._draining:
            watch.drain()
        self._watches.setdefault(topic, set()).add(watch)
        try:
            yield watch
        finally:
            watches = self._watches[topic]
            watches.remove(watch)
            if not watches:
                del self._watches[topic]

    def drain(self) -> None:
        """Have all that is streamed come to its end, also what is watched from now on: the process is to end."""
        self._draining = True
        for watches in self._watches.values():
            for watch in watches:
                watch.drain()

    @property
    def watchers(self) -> int:
        """How many watches there are."""
        return sum(map(len, self._watches.values()))

    async def _follow(self, name: str) -> None:
        """Follow the container that serves, until another one does."""
        while True:
            followers = [asyncio.create_task(self._follow_range(name, range_)) for range_ in self._cursors[name]]
            switch = asyncio.create_task(self._next_generation(name))
            try:
                await asyncio.wait([switch, *followers], return_when=asyncio.FIRST_COMPLETED)
                for task in (switch, *followers):
                    if task.done():
                        task.result()
                generation = switch.result()
            finally:
                for task in (switch, *followers):
                    task.cancel()
                await asyncio.gather(switch, *followers, return_exceptions=True)
            # What is written from here on is handed out; what was written before is read, once it serves.
            container = await self._store.open(name, generation)
            self._cursors[name] = await _now(container)
            self._store.serve(name, generation, container)
            for (watched, _, _), watches in self._watches.items():
                if watched == name:
                    for watch in watches:
                        watch.replace()

    async def _next_generation(self, name: str) -> int:
        """Wait until another generation is to serve."""
        while True:
            generation = await self._store.learn(name)
            if generation != self._store.generation(name):
                return generation
            await asyncio.sleep(SWITCH_S)

    async def _follow_range(self, name: str, range_: FeedRange) -> None:
        container: Container = self._store.container(name)
        cursors = self._cursors[name]
        seen = 0
        while True:
            changes = await container.changes(range_, cursors[range_], PAGE)
            for document in changes.documents:
                self._hand_out(name, document)
            cursors[range_] = changes.cursor
            if not changes.documents:
                seen = await container.wait_for_changes(seen, IDLE_S)

    def _hand_out(self, name: str, document: Document) -> None:
        partition, id = document.partition, document.id
        for topic in ((name, partition, id), (name, partition, None), (name, None, None)):
            for watch in self._watches.get(topic, ()):
                watch.offer(document)


async def _now(container: Container) -> dict[FeedRange, str]:
    """Where the feeds of the container stand."""
    return {range_: (await container.changes(range_, Start.NOW)).cursor for range_ in await container.feed_ranges()}


async def versions(
    store: Store,
    live: Live,
    container: str,
    partition: str,
    id: str,
    view: type[V],
    since: int = 0,
    until: float | None = None,
) -> AsyncGenerator[V, None]:
    """The document as `view` now, if it is newer than version `since`; then each newer version as it comes.

    Waits for a document that does not exist yet. Raises TimeoutError when it would wait beyond `until`, a time of the
    event loop; without one it ends when the live view is drained.
    """
    with live.watch(container, partition, id) as watch:
        documents = await _current(store, container, partition, id)
        while True:
            for newer in (document.decode(view) for document in documents):
                if newer.version > since:
                    since = newer.version
                    yield newer
            try:
                async with asyncio.timeout_at(until):
                    documents = await watch.next()
            except Replaced:
                documents = await _current(store, container, partition, id)
            except Drained:
                if until is None:
                    return
                documents = []


async def _current(store: Store, container: str, partition: str, id: str) -> list[Document]:
    document = await store.container(container).read(partition, id)
    return [document] if document else []
