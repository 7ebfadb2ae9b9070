"""What could not be projected: kept, by key, until a person or a better projection deals with it.

A key whose document fails is parked: its dead letter names that document, the error, and every later document of the
key in their order. Only references are kept beside the document that failed: retrying reads the source as it is then.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec

from projector.apply import Failure, apply
from projector.projection import C, Projection, V
from store import (
    Conflict,
    Container,
    ContainerSpec,
    Create,
    Delete,
    Document,
    Etag,
    OutcomeUnknown,
    Replace,
    TooLarge,
    Upsert,
    documents_of,
)

DEAD_LETTERS = ContainerSpec(name="dead_letters", partition_key="projection")
"""By projection version: a dead letter for each parked key."""


class DeadLetter(msgspec.Struct, frozen=True, rename="camel"):
    """A parked key. Times are RFC 3339, UTC; `documents` are ids in partition `source`, in the order of the feed.

    `document` is the one that failed; None where it is too large to be kept a second time.
    """

    id: str
    projection: str
    source: str
    documents: tuple[str, ...]
    document: Any
    error: str
    attempts: int
    first_seen: str
    last_seen: str
    reason: str | None = None

    @property
    def key(self) -> str:
        """The key that is parked."""
        return self.id


def discarded(projection: str) -> str:
    """The partition of the letters that were given up."""
    return f"{projection} discarded"


class DeadLetters:
    """The dead letters of one projection. `parked` are the keys that were parked when last heard of."""

    def __init__(self, container: Container, projection: str, now: Callable[[], str]) -> None:
        self._container = container
        self._projection = projection
        self._now = now
        self.parked: set[str] = set()

    @property
    def discarded(self) -> "DeadLetters":
        """The letters that were given up, each with the reason."""
        return DeadLetters(self._container, discarded(self._projection), self._now)

    async def load(self) -> None:
        """Learn which keys are parked."""
        self.parked |= {letter.key async for letter in self.all()}

    async def all(self) -> AsyncIterator[DeadLetter]:
        """The letters by key."""
        async for document in documents_of(self._container, self._projection):
            yield document.decode(DeadLetter)

    async def get(self, key: str) -> DeadLetter | None:
        """The letter of a key."""
        found = await self._container.read(self._projection, key)
        return found.decode(DeadLetter) if found else None

    async def park(self, key: str, documents: Sequence[Document], failure: Failure, attempts: int) -> None:
        """Keep what failed, and what else of its key is there."""
        now = self._now()
        while True:
            found = await self._container.read(self._projection, key)
            known = found.decode(DeadLetter) if found else None
            letter = DeadLetter(
                id=key,
                projection=self._projection,
                source=failure.document.partition,
                documents=_joined(known, documents),
                document=failure.document.decode(Any),
                error=f"{type(failure.error).__name__}: {failure.error}",
                attempts=attempts + (known.attempts if known else 0),
                first_seen=known.first_seen if known else now,
                last_seen=now,
            )
            if await self._write(letter, found.etag if found else None):
                self.parked.add(key)
                return

    async def queue(self, key: str, documents: Sequence[Document]) -> bool:
        """Have documents wait behind those of their key; False if the key is not parked any more."""
        while found := await self._container.read(self._projection, key):
            letter = found.decode(DeadLetter)
            letter = msgspec.structs.replace(letter, documents=_joined(letter, documents), last_seen=self._now())
            if await self._write(letter, found.etag):
                return True
        self.parked.discard(key)
        return False

    async def retry(
        self, key: str, projection: Projection[C, V], source: Container, target: Container
    ) -> DeadLetter | None:
        """Project what is parked under `key`, in order; None when all of it is, else the letter with the new error."""
        while found := await self._container.read(self._projection, key):
            letter = found.decode(DeadLetter)
            current = [await source.read(letter.source, id) for id in letter.documents]
            documents = [document for document in current if document]
            failures = await apply(projection, target, documents)
            if failure := next(iter(failures.values()), None):
                await self.park(key, [], failure, attempts=1)
                return await self.get(key)
            try:
                await self._container.commit(self._projection, [Delete(key, found.etag)])
            except (Conflict, OutcomeUnknown):
                continue  # more has come to wait behind it, or it is gone already
        self.parked.discard(key)
        return None

    async def discard(self, key: str, reason: str) -> bool:
        """Give up what is parked under `key`; the letter is kept with the reason. False if there is none."""
        while found := await self._container.read(self._projection, key):
            place = discarded(self._projection)
            letter = msgspec.structs.replace(found.decode(DeadLetter), projection=place, reason=reason)
            await self._container.commit(place, [Upsert(key, letter)])
            try:
                await self._container.commit(self._projection, [Delete(key, found.etag)])
            except (Conflict, OutcomeUnknown):
                continue
            self.parked.discard(key)
            return True
        return False

    async def _write(self, letter: DeadLetter, etag: Etag | None) -> bool:
        write = Replace(letter.id, letter, etag) if etag else Create(letter.id, letter)
        try:
            await self._container.commit(self._projection, [write])
        except Conflict:
            return False
        except OutcomeUnknown:
            return await self.get(letter.key) == letter
        except TooLarge:
            if letter.document is None:
                raise
            return await self._write(msgspec.structs.replace(letter, document=None), etag)
        return True


def _joined(letter: DeadLetter | None, documents: Sequence[Document]) -> tuple[str, ...]:
    """The ids that wait, each once, in the order in which they came."""
    return tuple(dict.fromkeys([*(letter.documents if letter else ()), *(document.id for document in documents)]))
