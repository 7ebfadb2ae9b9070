"""The live view: what the projector writes, handed to whoever watches it, in this process.

Every gateway process follows the read containers' feeds from now on: no broker. A watcher holds the latest version
of each document, not a queue, so its memory is bounded by the documents it watches and a slow one gets fewer, newer
ones. Watch first, then read, then pass on only what is newer: nothing falls between.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import msgspec

from read_model.serving import Serving
from read_model.signing import Signer
from read_model.watches import MOST_KEYS, Batch, Lost, Watch
from store import Container, CursorInvalid, Document, FeedRange, Partition, Scope, Start

IDLE_S = 5.0
SWITCH_S = 1.0
"""Seconds between looks at which generation is to serve."""
PAGE = 200
AT_A_TIME = 200
"""Watchers that are seen to before others have their turn."""

Topic = tuple[str, str | None, str | None]
"""Container, partition (None: all), document id (None: all)."""
HandOut = Callable[[Sequence[Document]], Awaitable[None]]


class Position(msgspec.Struct, frozen=True, array_like=True):
    """How far changes have been handed out: the cursor of each feed range, of a generation of read documents."""

    generation: int
    cursors: dict[str, str]


class _Feed:
    """A container that serves, and how far each of its ranges has been handed out."""

    def __init__(self, container: Container, generation: int, cursors: dict[FeedRange, str], hand_out: HandOut) -> None:
        self.container = container
        self.generation = generation
        self.cursors = cursors
        self._hand_out = hand_out
        self._turns = {range_: asyncio.Lock() for range_ in cursors}
        self._looks: dict[FeedRange, asyncio.Task[None]] = {}
        """By range: a look that has not begun yet, for all who wait for one."""

    async def follow(self, range_: FeedRange) -> None:
        """Hand out what comes, without end."""
        seen = 0
        while True:
            async with self._turns[range_]:
                more = await self._advance(range_)
            if not more:
                seen = await self.container.wait_for_changes(seen, IDLE_S, range_)

    async def reach(self, range_: FeedRange) -> None:
        """Return when everything that was committed in the range before has been handed out."""
        look = self._looks.get(range_)
        if look is None:
            look = self._looks[range_] = asyncio.create_task(self._look(range_))
        await asyncio.shield(look)

    async def _look(self, range_: FeedRange) -> None:
        async with self._turns[range_]:
            del self._looks[range_]  # whoever comes from here on may have seen what this look does not
            while await self._advance(range_):
                pass

    async def _advance(self, range_: FeedRange) -> bool:
        """Hand out a page; whether there may be more."""
        changes = await self.container.changes(range_, self.cursors[range_], PAGE)
        self.cursors[range_] = changes.cursor
        await self._hand_out(changes.documents)
        return not changes.is_last


class Live:
    """Follows the feeds of the containers that serve, and offers each change to its watchers.

    `start` notes where the feeds stand; from then on nothing is missed. `loops` are the endless tasks that follow
    them: whoever runs the process supervises them, and a loop that is run again continues where it stood.
    """

    watches = Watch
    """What it hands out; a live view that has more to do has a kind of its own."""

    def __init__(self, store: Serving, containers: Sequence[str], signer: Signer) -> None:
        self.signer = signer
        self._store = store
        self._containers = containers
        self._watches: dict[Topic, set[Watch]] = {}
        self._feeds: dict[str, _Feed] = {}
        self._draining = False

    async def start(self) -> None:
        """Note where the feeds stand now."""
        for name in self._containers:
            await self._turn_to(name, self._store.container(name), self._store.generation(name))

    def loops(self) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        """A name and an endless coroutine function for each container; call `start` first."""
        for name in self._containers:
            yield f"live {name}", partial(self._follow, name)

    def position(self, container: str, partition: str | None = None) -> Position:
        """How far the feed of a partition, or of all of a container, has been handed out."""
        feed = self._feeds[container]
        cursors = {range_.id: feed.cursors[range_] for range_ in _ranges(feed, partition)}
        return Position(feed.generation, cursors)

    async def reach(self, container: str, partition: str | None = None) -> None:
        """Return when everything that was committed there before has been handed out. Raises StoreError."""
        feed = self._feeds[container]
        await asyncio.gather(*map(feed.reach, _ranges(feed, partition)))

    async def changed_since(
        self, position: Position, container: str, partition: str | None = None, prefix: str = ""
    ) -> Mapping[tuple[str, str], Document]:
        """The documents of a partition, or a container, that have changed behind a position, as they are now.

        Those whose ids begin with `prefix`, by partition and id. Raises Lost for a position that cannot be continued,
        or when they are too many.
        """
        feed = self._feeds[container]
        if position.generation != feed.generation:
            raise Lost
        changed: dict[tuple[str, str], Document] = {}
        for id, cursor in position.cursors.items():
            scope: Scope = FeedRange(id) if partition is None else Partition(partition)
            while True:
                try:
                    page = await feed.container.changes(scope, cursor, PAGE)
                except CursorInvalid as error:
                    raise Lost from error
                for document in page.documents:
                    if document.id.startswith(prefix):
                        changed[document.partition, document.id] = document
                if len(changed) > MOST_KEYS:
                    raise Lost
                if page.is_last:
                    break
                cursor = page.cursor
        return changed

    @contextmanager
    def watch(
        self, container: str, partition: str | None = None, id: str | None = None, prefix: str = ""
    ) -> Iterator[Watch]:
        """Watch a document, a partition, or all of a container while in the context; see Watch for `prefix`."""
        topic = (container, partition, id)
        watch = self.watches(prefix)
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

    async def _turn_to(self, name: str, container: Container, generation: int) -> None:
        ranges = await container.feed_ranges()
        cursors = {range_: (await container.changes(range_, Start.NOW)).cursor for range_ in ranges}
        self._feeds[name] = _Feed(container, generation, cursors, partial(self._hand_out, name))

    async def _follow(self, name: str) -> None:
        """Follow the container that serves, until another one does."""
        while True:
            feed = self._feeds[name]
            followers = [asyncio.create_task(feed.follow(range_)) for range_ in feed.cursors]
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
            await self._turn_to(name, container, generation)
            self._store.serve(name, generation, container)
            for (watched, _, _), watches in self._watches.items():
                if watched == name:
                    for watch in watches:
                        watch.lose()

    async def _next_generation(self, name: str) -> int:
        """Wait until another generation is to serve."""
        while True:
            generation = await self._store.learn(name)
            if generation != self._store.generation(name):
                return generation
            await asyncio.sleep(SWITCH_S)

    async def _hand_out(self, name: str, documents: Sequence[Document]) -> None:
        """Offer a page to all who watch at once, then send it on, or wake them, a few at a time."""
        batches: dict[Topic, Batch] = {}
        for document in documents:
            partition, id = document.partition, document.id
            for topic in ((name, partition, id), (name, partition, None), (name, None, None)):
                if topic in self._watches:
                    batches.setdefault(topic, Batch()).add(document)
        offered = [(watch, batch) for topic, batch in batches.items() for watch in self._watches[topic]]
        told_to_end: asyncio.CancelledError | None = None
        for number, (watch, batch) in enumerate([one for one in offered if one[0].offer(one[1])], 1):
            watch.settle(batch)
            if number % AT_A_TIME == 0 and not told_to_end:
                try:
                    await asyncio.sleep(0)
                except asyncio.CancelledError as error:
                    told_to_end = error
        if told_to_end:
            raise told_to_end


def _ranges(feed: _Feed, partition: str | None) -> list[FeedRange]:
    ranges = list(feed.cursors)
    return ranges if partition is None else [feed.container.range_of(partition, ranges)]
