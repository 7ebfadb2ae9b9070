"""What a watcher holds: the latest version of each document that changed, not a queue of changes."""

import asyncio
from collections.abc import Callable, Collection, Hashable
from typing import Any, TypeVar

import msgspec

from store import Document

T = TypeVar("T")

MOST_KEYS = 10_000
"""Documents that one watcher may be behind, or keep in mind; beyond them it has to begin anew."""


class Lost(Exception):
    """Continuity was lost, by a container that was replaced or by too many changes: read what is watched again."""


class Drained(Exception):
    """Nothing more is handed out here; all that was has been taken."""


class Batch:
    """Changes that are handed out together, to all who watch the same; what is made of them is made once."""

    def __init__(self, *documents: Document) -> None:
        self._latest: dict[tuple[str, str], Document] = {}
        self._made: dict[Hashable, Any] = {}
        self.known = self._made.get
        """What was made by a name already; None where nothing was. Thousands ask one after the other."""
        for document in documents:
            self.add(document)

    def add(self, document: Document) -> None:
        """Take a version in; it takes the place of an older one."""
        key = (document.partition, document.id)
        self._latest.pop(key, None)
        self._latest[key] = document

    @property
    def documents(self) -> Collection[Document]:
        """The latest of each document, in the order in which they changed."""
        return self._latest.values()

    def made(self, what: Hashable, make: Callable[[], T]) -> T:
        """What `make` made of it, the first time that somebody asked for it by that name."""
        if what not in self._made:
            self._made[what] = make()
        made: T = self._made[what]
        return made


Direct = Callable[[Batch], bool]
"""Sends on what there is for the watcher in a batch; false where it cannot, or not all of that is new to it."""
Hand = Callable[[Batch, Callable[[], Any]], bool]
"""Sends on what is made of a batch, made once for all who are to have the same; false where that is not possible.

Who may see something is decided before it is watched, and what is made of it is the same whoever that is.
"""
Share = Callable[[Hashable], Hand]
"""How one who watches is handed things, by a name for what is made of batches: who gives the same has the same."""


class Flag:
    """An `asyncio.Event` for one who waits, a twentieth as large."""

    __slots__ = ("_waiter", "is_set")

    def __init__(self) -> None:
        self.is_set = False
        self._waiter: asyncio.Future[None] | None = None

    def set(self) -> None:
        """Set it, and wake who waits."""
        self.is_set = True
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def clear(self) -> None:
        """Set it no longer."""
        self.is_set = False

    async def wait(self) -> None:
        """Return once it is set."""
        if self.is_set:
            return
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None


class Watch:
    """The latest version of each watched document that has changed since the watcher last looked.

    Of a partition, or a container, those are watched whose ids begin with `prefix`. While the watcher waits, a batch
    may be sent on for it without waking it; it is woken for what was not.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self._pending: dict[tuple[str, str], Document] = {}
        self._changed = Flag()
        self._direct: Direct | None = None
        self._unsettled: Batch | None = None
        self._lost = False
        self._draining = False

    def offer(self, batch: Batch) -> bool:
        """Take note of versions; they take the place of older ones that nobody has looked at.

        Returns whether the watcher is still to be woken, by `settle`.
        """
        if self._direct and not (self._pending or self._unsettled or self._changed.is_set):
            self._unsettled = batch
            return True
        self._keep(batch)
        return False

    def settle(self, batch: Batch) -> None:
        """Send a batch that was offered on, if nothing has happened since; else wake the watcher."""
        if self._unsettled is not batch or not self._direct:
            return
        try:
            sent = self._direct(batch)
        except msgspec.DecodeError:  # who is woken fails with it, and nobody else
            sent = False
        if sent:
            self._unsettled = None
        else:
            self._keep()

    def _keep(self, *batches: Batch) -> None:
        """Keep what is to be taken, and wake the watcher for it."""
        unsettled = (self._unsettled,) if self._unsettled else ()
        self._unsettled = None
        for document in (document for batch in unsettled + batches for document in batch.documents):
            if not self._lost and document.id.startswith(self.prefix):
                key = (document.partition, document.id)
                self._pending.pop(key, None)
                self._pending[key] = document
                if len(self._pending) > MOST_KEYS:
                    self.lose()
        if self._pending:
            self._changed.set()

    def lose(self) -> None:
        """Take note that continuity was lost; what has been offered is forgotten."""
        self._pending.clear()
        self._unsettled = None
        self._lost = True
        self._changed.set()

    def drain(self) -> None:
        """Take note that the process is to end."""
        self._draining = True
        self._changed.set()

    def take(self) -> list[Document]:
        """What has changed so far, without waiting. Raises Lost, once, when everything is to be read again."""
        self._keep()
        if not self._draining:
            self._changed.clear()
        documents = list(self._pending.values())
        self._pending.clear()
        if self._lost:
            self._lost = False
            raise Lost
        return documents

    async def next(self, direct: Direct | None = None) -> list[Document]:
        """Wait for changes, and take them all but those that `direct` has sent on meanwhile. Raises Lost as `take`.

        Raises Drained, once, when there is nothing left to take and the process is to end.
        """
        self._direct = direct
        try:
            await self._changed.wait()
        finally:
            self._direct = None
        documents = self.take()
        if self._draining and not documents:
            self._draining = False
            self._changed.clear()
            raise Drained
        return documents
