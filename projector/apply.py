"""A page of changes applied: grouped by target partition, folded, and committed with what guards against repetition.

Whatever is delivered twice, or by two workers, or again after a crash, changes nothing: a projection compares with
the documents that it reads, and these are replaced only if they are still the ones that it read.
"""

import asyncio
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from projector.projection import C, Projection, V
from store import (
    MAX_WRITES,
    Conflict,
    Container,
    Create,
    Document,
    In,
    OutcomeUnknown,
    Query,
    Replace,
    TooLarge,
    Turns,
    Upsert,
    Write,
)

PARALLEL_PARTITIONS = 16
MAX_ATTEMPTS = 20
PAUSE_S = 0.01


@dataclass(slots=True)
class _Work:
    """What a page has for one target partition: its changes in order, and the documents they must see."""

    changes: list[Any] = field(default_factory=list)
    wanted: dict[str, None] = field(default_factory=dict)


async def apply(
    projection: Projection[C, V], target: Container, page: Sequence[Document], turns: Turns | None = None
) -> int:
    """Project the changes of `page`; afterwards every one of them is in the read documents, once.

    Feed ranges that are followed by one process share `turns`, so that they do not meet in a target partition.
    Returns the number of partitions written to. Raises StoreError, or what the projection raises, with some
    partitions done and others not; applying the page again is in order.
    """
    turns = turns or Turns()
    work: dict[str, _Work] = {}
    for document in page:
        change: C = document.decode(projection.change)
        for route in projection.route(change):
            share = work.setdefault(route.partition, _Work())
            share.changes.append(change)
            share.wanted.update(dict.fromkeys(route.wanted))
    places = asyncio.Semaphore(PARALLEL_PARTITIONS)

    async def one(partition: str, share: _Work) -> None:
        async with places, turns.of((projection.target, partition)):
            await _apply_to_partition(projection, target, partition, share)

    outcomes = await asyncio.gather(*(one(*share) for share in work.items()), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return len(work)


async def _apply_to_partition(projection: Projection[C, V], target: Container, partition: str, share: _Work) -> None:
    """Fold and commit until no other worker came between; in smaller batches where one is too large."""
    batch, conflicts = MAX_WRITES, 0
    while True:
        try:
            return await _fold(projection, target, partition, share, batch)
        except (Conflict, OutcomeUnknown):  # what may have been applied is found, and recognised, when it is read again
            conflicts += 1
            if conflicts == MAX_ATTEMPTS:
                raise
            await asyncio.sleep(random.uniform(0, PAUSE_S * conflicts))
        except TooLarge:
            if batch == 1:
                raise
            batch //= 2


async def _fold(projection: Projection[C, V], target: Container, partition: str, share: _Work, batch: int) -> None:
    known, etags = await _read(projection, target, partition, list(share.wanted))
    pending: dict[str, V] = {}
    for change in share.changes:
        views = list(projection.project(change, partition, known))
        if pending and len(pending.keys() | {view.id for view in views}) > batch:
            etags |= await _commit(target, partition, pending.values(), share, etags)
            pending = {}
        for view in views:
            pending[view.id] = known[view.id] = view
    if pending:
        await _commit(target, partition, pending.values(), share, etags)


async def _read(
    projection: Projection[C, V], target: Container, partition: str, ids: Sequence[str]
) -> tuple[dict[str, V], dict[str, str]]:
    if not ids:
        return {}, {}
    if len(ids) == 1:
        found = await target.read(partition, ids[0])
        documents = [found] if found else []
    else:
        documents = (await target.query(Query(partition, (In("id", tuple(ids)),), limit=len(ids)))).documents
    known: dict[str, V] = {document.id: document.decode(projection.view) for document in documents}
    return known, {document.id: document.etag for document in documents}


async def _commit(
    target: Container, partition: str, views: Iterable[V], share: _Work, etags: dict[str, str]
) -> dict[str, str]:
    """Write the views; returns the etags that they have now."""
    writes: list[Write] = []
    for view in views:
        if view.id not in share.wanted:
            writes.append(Upsert(view.id, view))
        elif view.id in etags:
            writes.append(Replace(view.id, view, etags[view.id]))
        else:
            writes.append(Create(view.id, view))
    committed = await target.commit(partition, writes)
    return {write.id: etag for write, etag in zip(writes, committed, strict=True) if etag}
