"""Exporting: the change feed of a container, range by range from its beginning, becomes a file."""

import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

from rich.progress import Progress

from gateway.bars import Bar
from gateway.transfer.file import Trailer, TransferFailed, line_of
from gateway.transfer.part import unfinished
from gateway.transfer.patience import patiently
from store import Changes, Container, CursorInvalid, FeedRange, Start

PAGE = 1000


async def export_container(
    container: Container, file: Path, source: str, progress: Progress, clock: Callable[[], float] = time.time
) -> Trailer:
    """Export all documents to `file`, or go on where an interrupted run was; the last line of the complete file.

    Each document is there once, and all of a partition as they were at one moment while this ran. `source` names the
    store, `clock` gives seconds since the epoch and tells how long documents have left.
    Raises TransferFailed or a StoreError; running it again continues.
    """
    with unfinished(file, source, container.spec) as part:
        bar = Bar(progress, "exporting", "documents")
        bar.advance(part.summary.documents)
        if not part.state.cursors:
            part.state.cursors = {found.id: None for found in await patiently(container.feed_ranges)}
        for _ in range(2):  # the second time for what changed in the first ranges while the last ones were read
            for id, cursor in part.state.cursors.items():
                async for page in _pages(container, FeedRange(id), cursor or Start.BEGINNING):
                    now = clock()
                    part.append([line_of(document, container.spec, now) for document in page.documents])
                    part.reached(id, page.cursor)
                    bar.advance(len(page.documents))
        return part.finish()


async def _pages(container: Container, range_: FeedRange, after: str | Start) -> AsyncIterator[Changes]:
    """The feed of a range page by page until nothing newer is there. Raises TransferFailed for a foreign cursor."""
    while True:
        try:
            page = await patiently(partial(container.changes, range_, after, PAGE))
        except CursorInvalid as error:
            raise TransferFailed(f"an interrupted export was begun from another store: {error}") from error
        yield page
        if not page.documents:
            return
        after = page.cursor
