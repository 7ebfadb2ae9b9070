"""Importing: the lines of a file become documents; what is there already is compared, and nothing is overwritten.

Commands come first, all of them, then the rest: an order is never there without its commands, so that whoever sends one
again while the import stands still is answered with its result, rather than having it applied a second time. Commands
of one order go in commits one after another, because a feed promises no order within a commit.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
from rich.progress import Progress

from gateway.bars import Bar
from gateway.transfer.file import Line, Trailer, TransferFailed, kind_of, opened, own
from gateway.transfer.patience import patiently
from store import MAX_WRITES, Conflict, Container, Create, In, Query, Start, TooLarge, Write

BATCH_BYTES = 1024 * 1024
"""Bytes of JSON in a commit: half of what it may hold, for some engines write JSON at greater length."""
PARALLEL_PARTITIONS = 64
LEAST_TTL_S = 86_400
"""What a document that expires has left at least, so that the projector of the new store sees it."""
COMMAND = "command"
PAGE = 1000


@dataclass(frozen=True)
class Imported:
    """What the file holds, and how many of its documents were there before."""

    trailer: Trailer
    known: int


async def import_container(container: Container, file: Path, progress: Progress) -> Imported:
    """Bring the documents of `file` into the container; afterwards all of them are there, as the file has them.

    The whole file is checked before anything is written. Raises TransferFailed or a StoreError: what was
    written by then stays, and running it again continues.
    """
    with opened(file, container.spec) as export:
        total = export.trailer.documents
        checking = Bar(progress, "checking", "documents", total)
        for count in export.check():
            checking.advance(count)
            await asyncio.sleep(0)  # a chance to be interrupted
        importing = Bar(progress, "importing", "documents", total)
        known = 0
        for commands in (True, False):
            for window in export.windows():
                known += await _bring(container, [it for it in window if (it.kind == COMMAND) is commands], importing)
    await _verify(container, export.trailer, Bar(progress, "counting", "documents"))
    return Imported(export.trailer, known)


async def _bring(container: Container, lines: Iterable[Line], bar: Bar) -> int:
    """Bring the documents into the container, many partitions at a time; how many of them were there."""
    by_partition = defaultdict(list)
    for line in lines:
        by_partition[line.partition].append(line)
    places = asyncio.Semaphore(PARALLEL_PARTITIONS)

    async def one(partition: str, its_lines: list[Line]) -> int:
        known = 0
        async with places:
            for batch in batches(its_lines):
                known += await _commit(container, partition, batch)
                bar.advance(len(batch))
        return known

    outcomes = await asyncio.gather(*(one(*share) for share in by_partition.items()), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return sum(outcome for outcome in outcomes if isinstance(outcome, int))


def batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Lines of one partition for one commit after another: the n-th commands of all orders before the next ones."""
    places = Counter[str]()
    turns = defaultdict[int, list[Line]](list)
    for line in lines:
        aggregate = str(line.body.get("orderId")) if line.kind == COMMAND else line.id
        turns[places[aggregate]].append(line)
        places[aggregate] += 1
    for turn in turns.values():
        batch: list[Line] = []
        size = 0
        for line in turn:
            length = len(msgspec.json.encode(line))
            if batch and (len(batch) == MAX_WRITES or size + length > BATCH_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(line)
            size += length
        yield batch


async def _commit(container: Container, partition: str, lines: Sequence[Line]) -> int:
    """Create those documents that are not there, in one commit; how many were there.

    Raises TransferFailed for one that differs, and for one that is too large.
    """
    missing = list(lines)
    while missing:
        try:
            await patiently(partial(container.commit, partition, [_create(container, line) for line in missing]))
            break
        except Conflict:
            missing = await _missing(container, partition, missing)
        except TooLarge as error:
            if len(missing) == 1:
                raise TransferFailed(f"{_name(missing[0])} is too large for this store: {error}") from error
            middle = len(missing) // 2
            halves = [await _commit(container, partition, half) for half in (missing[:middle], missing[middle:])]
            return len(lines) - len(missing) + sum(halves)
    return len(lines) - len(missing)


def _create(container: Container, line: Line) -> Write:
    names = {"id": line.id, container.spec.partition_key: line.partition}
    return Create(line.id, {**names, **line.body}, line.ttl and max(line.ttl, LEAST_TTL_S))


async def _missing(container: Container, partition: str, lines: Sequence[Line]) -> list[Line]:
    """The lines whose documents are not there. Raises TransferFailed for one that is there and differs."""
    question = Query(partition, (In("id", tuple(line.id for line in lines)),), limit=len(lines))
    page = await patiently(partial(container.query, question))
    there = {document.id: own(document, container.spec) for document in page.documents}
    for line in lines:
        if line.id in there and there[line.id] != line.body:
            raise TransferFailed(f"{_name(line)} is there already, and differs from the file; it was left as it is")
    return [line for line in lines if line.id not in there]


def _name(line: Line) -> str:
    return f"document {line.id!r} of partition {line.partition!r}"


async def _verify(container: Container, trailer: Trailer, bar: Bar) -> None:
    """Count what is there. Raises TransferFailed if it is less than the file holds."""
    counted = Counter[str]()
    for range_ in await patiently(container.feed_ranges):
        after: str | Start = Start.BEGINNING
        while (page := await patiently(partial(container.changes, range_, after, PAGE))).documents:
            counted.update(kind_of(document.content()) for document in page.documents)
            bar.advance(len(page.documents))
            after = page.cursor
    for kind, count in trailer.kinds.items():
        if counted[kind] < count:
            raise TransferFailed(f"the store holds {counted[kind]} documents of kind {kind!r}, the file {count}")
