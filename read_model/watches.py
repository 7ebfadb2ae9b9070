"""What a watcher holds: the latest version of each document that changed, not a queue of changes."""

import asyncio

from store import Document

MOST_KEYS = 10_000
"""Documents that one watcher may be behind, or keep in mind; beyond them it has to begin anew."""


class Lost(Exception):
    """Continuity was lost, by a container that was replaced or by too many changes: read what is watched again."""


class Drained(Exception):
    """Nothing more is handed out here; all that was has been taken."""


class Watch:
    """The latest version of each watched document that has changed since the watcher last looked.

    Of a partition, or a container, those are watched whose ids begin with `prefix`.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self._pending: dict[tuple[str, str], Document] = {}
        self._changed = asyncio.Event()
        self._lost = False
        self._draining = False

    def offer(self, document: Document) -> None:
        """Take note of a version; it takes the place of an older one that nobody has looked at."""
        if self._lost or not document.id.startswith(self.prefix):
            return
        key = (document.partition, document.id)
        self._pending.pop(key, None)
        self._pending[key] = document
        if len(self._pending) > MOST_KEYS:
            self.lose()
        self._changed.set()

    def lose(self) -> None:
        """Take note that continuity was lost; what has been offered is forgotten."""
        self._pending.clear()
        self._lost = True
        self._changed.set()

    def drain(self) -> None:
        """Take note that the process is to end."""
        self._draining = True
        self._changed.set()

    def take(self) -> list[Document]:
        """What has changed so far, without waiting. Raises Lost, once, when everything is to be read again."""
        if not self._draining:
            self._changed.clear()
        documents = list(self._pending.values())
        self._pending.clear()
        if self._lost:
            self._lost = False
            raise Lost
        return documents

    async def next(self) -> list[Document]:
        """Wait for changes, and take them all. Raises Lost as `take`.

        Raises Drained, once, when there is nothing left to take and the process is to end.
        """
        await self._changed.wait()
        documents = self.take()
        if self._draining and not documents:
            self._draining = False
            self._changed.clear()
            raise Drained
        return documents
