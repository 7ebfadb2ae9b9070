"""The only loop that writes: load, decide, commit; on a lost race decide again on fresh state.

A command is applied exactly once, whatever is retried: its document is created in the batch that replaces the
aggregate. Only a commit on an etag proves that the state was not stale, so whatever is answered without one (a
refusal, an aim already fulfilled) is decided on state read for it.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic

import msgspec

from store import (
    Conflict,
    Container,
    Create,
    Eq,
    Etag,
    Order,
    OutcomeUnknown,
    Query,
    Range,
    Replace,
    Throttled,
    Turns,
    Write,
)
from write_model.cache import AggregateCache
from write_model.commands import Applied, Command, CommandDocument, E, Model, S
from write_model.refusals import CommandIdReused, Contended, NotFound, Refused, VersionConflict

ATTEMPTS = 8
PAUSE_S = 0.01

Loaded = tuple[S | None, Etag | None]
"""An aggregate and its etag; (None, None) where there is none."""


@dataclass(frozen=True, slots=True)
class Aggregates(Generic[S, E]):
    """Where the aggregates of one model live: their container, and what this process knows of them.

    Commands of this process on one aggregate take turns, rather than lose races to each other. `retention`: seconds
    until the store drops a command's document; None keeps it. A command id that is dropped is a new one.
    """

    model: Model[S, E]
    container: Container
    cache: AggregateCache = field(default_factory=AggregateCache)
    turns: Turns = field(default_factory=Turns)
    retention: int | None = None


async def execute(
    aggregates: Aggregates[S, E], command: Command[S, E], committing: Callable[[], None] = lambda: None
) -> Applied[S]:
    """Apply `command` exactly once and return the aggregate after it; `committing` is called before each try to commit.

    Raises a Refused, when nothing was written, or a StoreError. After OutcomeUnknown or Unavailable the caller may
    send the command again under the same id.
    """
    cache, id = aggregates.cache, command.aggregate_id
    async with aggregates.turns.of(id):
        for attempt in range(ATTEMPTS):
            # A creating command takes it that there is nothing yet; the commit proves it or not.
            assumed = (None, None) if attempt == 0 and command.decide is aggregates.model.create else cache.get(id)
            state, etag = assumed or await _load(aggregates, command)
            try:
                events = _decide(aggregates, state, command)
            except Refused as refusal:
                cache.drop(id)
                if assumed:
                    continue
                if command.given and (stored := await _find(aggregates, command)):
                    return await _replay(aggregates, command, stored)
                refusal.state = state
                raise
            if assumed and not events:
                cache.drop(id)
                continue
            committing()
            try:
                return await _commit(aggregates, command, (state, etag), events)
            except Conflict as conflict:
                cache.drop(id)
                if conflict.index == 0 and (stored := await _find(aggregates, command)):
                    return await _replay(aggregates, command, stored)
            except OutcomeUnknown:
                cache.drop(id)
                if stored := await _find(aggregates, command):
                    return await _replay(aggregates, command, stored, replayed=False)
                if attempt == ATTEMPTS - 1:
                    raise  # it may still land, so nobody must be told that nothing was written
            except Throttled as busy:
                await asyncio.sleep(busy.retry_after)
            await asyncio.sleep(random.uniform(0, PAUSE_S * 2**attempt))
        raise Contended(f"{ATTEMPTS} attempts were not enough; try again")


async def _load(aggregates: Aggregates[S, E], command: Command[S, E]) -> Loaded[S]:
    document = await aggregates.container.read(command.partition, command.aggregate_id)
    if document is None:
        return None, None
    state = document.decode(aggregates.model.state)
    aggregates.cache.put(command.aggregate_id, state, document.etag)
    return state, document.etag


def _decide(aggregates: Aggregates[S, E], state: S | None, command: Command[S, E]) -> list[E]:
    if state is None and command.decide is not aggregates.model.create:
        raise NotFound
    if command.expected_version is not None and state is not None and state.version != command.expected_version:
        raise VersionConflict(command.expected_version)
    return command.decide(state, **command.arguments, at=command.at)


async def _commit(
    aggregates: Aggregates[S, E], command: Command[S, E], loaded: Loaded[S], events: list[E]
) -> Applied[S]:
    """One batch: the command's document first, so that a conflict tells which of the two it is about."""
    state, etag = loaded
    for event in events:
        state = aggregates.model.evolve(state, event)
    assert state is not None, "a creating decision returns events"
    document = CommandDocument(
        id=command.document_id,
        name=command.name,
        fingerprint=command.fingerprint,
        order_id=command.aggregate_id,
        version=state.version,
        events=tuple(events),
        at=command.at,
        actor=command.actor,
        traceparent=command.traceparent or msgspec.UNSET,
    )
    writes: list[Write] = [Create(command.document_id, document, aggregates.retention)]
    if events:
        id = command.aggregate_id
        writes.append(Create(id, state) if etag is None else Replace(id, state, etag))
    etags = await aggregates.container.commit(command.partition, writes)
    if events and etags[1]:
        aggregates.cache.put(command.aggregate_id, state, etags[1])
    return Applied(state, replayed=False)


async def _find(aggregates: Aggregates[S, E], command: Command[S, E]) -> CommandDocument[E] | None:
    document = await aggregates.container.read(command.partition, command.document_id)
    return document.decode(aggregates.model.command) if document else None


async def _replay(
    aggregates: Aggregates[S, E], command: Command[S, E], stored: CommandDocument[E], *, replayed: bool = True
) -> Applied[S]:
    """The stored result again: the aggregate as the command left it, folded from events if it has moved on since.

    Where events that this takes have been dropped, it is the aggregate as it is now. Nobody is told the result of a
    command that somebody else gave.
    """
    if stored.fingerprint != command.fingerprint or stored.actor not in (None, command.actor):
        raise CommandIdReused(f"the command id {command.id} was used for another command")
    state, _ = await _load(aggregates, command)
    if state is None or state.version != stored.version:
        state = await _fold(aggregates, command, stored.version) or state
    if state is None:
        raise NotFound
    return Applied(state, replayed)


async def _fold(aggregates: Aggregates[S, E], command: Command[S, E], version: int) -> S | None:
    """The aggregate as it was at `version`, from the events of its commands; None if not all of them are there."""
    state: S | None = None
    folded = 0
    where = (Eq("kind", "command"), Eq("orderId", command.aggregate_id), Range("version", high=version + 1))
    after: tuple[int, str] | None = None
    more = True
    while more:
        page = await aggregates.container.query(Query(command.partition, where, (Order("version"),), after=after))
        for document in (found.decode(aggregates.model.command) for found in page.documents):
            after = (document.version, document.id)
            folded += len(document.events)
            if document.events and folded != document.version:
                return None
            for event in document.events:
                state = aggregates.model.evolve(state, event)
        more = page.more
    return state if folded == version else None
