"""A page of changes applied: grouped by target partition, folded, and committed with what guards against repetition.

Whatever is delivered twice, or by two workers, or again after a crash, changes nothing: a projection compares with
the documents that it reads, and these are replaced only if they are still the ones that it read.
"""

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic

from msgspec import ValidationError, to_builtins

from projector.projection import C, Projection, Route, V
from store import (
    MAX_WRITES,
    Conflict,
    Container,
    Create,
    Document,
    Etag,
    In,
    OutcomeUnknown,
    Query,
    Replace,
    TooLarge,
    Turns,
    Upsert,
    Write,
)
from store.port import check_ids, decoding

PARALLEL_PARTITIONS = 16
MAX_ATTEMPTS = 20
PAUSE_S = 0.01


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that could not be projected, and why."""

    document: Document
    error: Exception


Failures = dict[str, Failure]
"""By key: the first document of it that failed. Later ones of the key were not tried."""


class Unprojectable(Exception):
    """Projecting one document failed."""

    def __init__(self, document: Document, error: Exception) -> None:
        super().__init__(f"{document.id}: {error}")
        self.failure = Failure(document, error)


@dataclass(slots=True)
class _Work(Generic[C]):
    """What a page has for one target partition: its changes in order, and all documents that they must see."""

    changes: list[tuple[Document, C, Route]] = field(default_factory=list)
    wanted: dict[str, None] = field(default_factory=dict)
    traces: dict[str, str] = field(default_factory=dict)
    """By key: the trace of its latest change that has one."""


async def apply(
    projection: Projection[C, V], target: Container, page: Sequence[Document], turns: Turns | None = None
) -> Failures:
    """Project the changes of `page`; afterwards each is in the read documents once, but those of the keys returned.

    Feed ranges that are followed by one process share `turns`, so that they do not meet in a target partition. Raises
    StoreError with some partitions done and others not; applying the page again is in order, also after failures.
    """
    turns = turns or Turns()
    failures: Failures = {}
    work = _shared_out(projection, page, failures)
    places = asyncio.Semaphore(PARALLEL_PARTITIONS)

    async def one(partition: str, share: _Work[C]) -> None:
        async with places, turns.of((target.spec.name, partition)):
            await _apply_to_partition(projection, target, partition, share, failures)

    outcomes = await asyncio.gather(*(one(*share) for share in work.items()), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return failures


def key_of(projection: Projection[C, V], document: Document) -> str:
    """What the document is about; the document itself where even that cannot be told."""
    try:
        key = projection.key_of(document.decode(dict))
        check_ids(document.partition, [key])  # a dead letter's id it must be able to be
    except Exception:  # noqa: BLE001  whatever is wrong with it, it needs a key
        return document.id
    return key


def _shared_out(projection: Projection[C, V], page: Sequence[Document], failures: Failures) -> dict[str, _Work[C]]:
    work: dict[str, _Work[C]] = {}
    decode = decoding(projection.change)
    for document in page:
        if failures and key_of(projection, document) in failures:
            continue
        try:
            change: C = decode(document.body)
            routes: Iterable[Route] = list(projection.route(change))
            for route in routes:
                check_ids(route.partition, route.wanted)
        except Exception as error:  # noqa: BLE001  a fault of the document or of the projection, to be kept with it
            failures[key_of(projection, document)] = Failure(document, error)
            continue
        for route in routes:
            share = work.setdefault(route.partition, _Work())
            share.changes.append((document, change, route))
            share.wanted.update(dict.fromkeys(route.wanted))
            if trace := getattr(change, "traceparent", None):
                share.traces[key_of(projection, document)] = trace
    return work


async def _apply_to_partition(
    projection: Projection[C, V], target: Container, partition: str, share: _Work[C], failures: Failures
) -> None:
    """Fold and commit until no other worker came between; in smaller batches where one is too large."""
    batch, conflicts = MAX_WRITES, 0
    while True:
        try:
            return await _fold(projection, target, partition, share, batch, failures)
        except Unprojectable as failed:
            failures[key_of(projection, failed.failure.document)] = failed.failure
        except (Conflict, OutcomeUnknown):  # what may have been applied is found, and recognised, when it is read again
            conflicts += 1
            if conflicts == MAX_ATTEMPTS:
                raise
            await asyncio.sleep(random.uniform(0, PAUSE_S * conflicts))
        except TooLarge:
            batch //= 2


async def _fold(
    projection: Projection[C, V], target: Container, partition: str, share: _Work[C], batch: int, failures: Failures
) -> None:
    """Project the changes one after the other, and commit when `batch` documents have changed.

    Raises Unprojectable for a change that fails, also for one whose documents alone cannot be stored.
    """
    changes = [change for change in share.changes if not failures or key_of(projection, change[0]) not in failures]
    if not changes:
        return
    known, etags, broken = await _read(projection, target, partition, list(share.wanted))
    pending: dict[str, V] = {}
    traces: dict[str, str] = {}
    last = changes[0][0]

    async def commit() -> None:
        nonlocal pending
        try:
            etags.update(await _commit(target, partition, pending.values(), share, etags, traces))
        except TooLarge as error:
            if batch > 1:
                raise
            raise Unprojectable(last, error) from error
        pending = {}

    for document, change, route in changes:
        for id in route.wanted if broken else ():
            if id in broken:
                raise Unprojectable(document, broken[id])
        try:
            views = list(projection.project(change, partition, known))
            ids = {view.id for view in views}
            check_ids(partition, list(ids))
        except Exception as error:
            raise Unprojectable(document, error) from error
        if pending and len(pending.keys() | ids) > batch:
            await commit()
        if views:
            last = document
        for view in views:
            pending[view.id] = known[view.id] = view
            if share.traces and (trace := share.traces.get(key_of(projection, document))):
                traces[view.id] = trace
    if pending:
        await commit()


async def _read(
    projection: Projection[C, V], target: Container, partition: str, ids: Sequence[str]
) -> tuple[dict[str, V], dict[str, Etag], dict[str, ValidationError]]:
    """Those of the documents that exist, their etags, and what is wrong with those that are not what they should be."""
    if not ids:
        return {}, {}, {}
    if len(ids) == 1:
        found = await target.read(partition, ids[0])
        documents = [found] if found else []
    else:
        documents = (await target.query(Query(partition, (In("id", tuple(ids)),), limit=len(ids)))).documents
    known: dict[str, V] = {}
    broken: dict[str, ValidationError] = {}
    decode = decoding(projection.view)
    for document in documents:
        try:
            known[document.id] = decode(document.body)
        except ValidationError as error:
            broken[document.id] = error
    return known, {document.id: document.etag for document in documents}, broken


async def _commit(
    target: Container,
    partition: str,
    views: Iterable[V],
    share: _Work[C],
    etags: Mapping[str, Etag],
    traces: Mapping[str, str],
) -> dict[str, Etag]:
    """Write the views, each with the trace of what it shows if it has one; returns the etags that they have now."""
    writes: list[Write] = []
    for view in views:
        body = {**to_builtins(view), "traceparent": traces[view.id]} if view.id in traces else view
        if view.id not in share.wanted:
            writes.append(Upsert(view.id, body))
        elif view.id in etags:
            writes.append(Replace(view.id, body, etags[view.id]))
        else:
            writes.append(Create(view.id, body))
    committed = await target.commit(partition, writes)
    return {write.id: etag for write, etag in zip(writes, committed, strict=True) if etag}
