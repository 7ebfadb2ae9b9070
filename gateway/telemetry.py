"""What this process tells of itself: metrics always, spans where they are wanted; wrapped around what it watches."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter, time
from types import TracebackType
from typing import Any, Self

import msgspec

from gateway.logs import bound
from gateway.metrics import Metrics
from gateway.observed import ObservedContainer, ObservedStore
from gateway.settings import Settings
from gateway.tracing import Tracing, open_tracing
from projector.observe import LeaseMove, Observer
from schema.viewer import Viewer
from store import Document, OutcomeUnknown, Store, StoreError, Throttled
from write_model.commands import Applied, Command, E, S
from write_model.handler import Aggregates, execute
from write_model.refusals import CommandIdReused, Contended, NotFound, Rejected, VersionConflict

log = logging.getLogger(__name__)

SUBSCRIPTION = "subscription"


@dataclass(frozen=True)
class Telemetry:
    """Metrics and spans of one gateway or projector."""

    metrics: Metrics = field(default_factory=Metrics)
    tracing: Tracing = field(default_factory=Tracing)

    def store(self, store: Store) -> Store:
        """The store as requests should see it."""
        return ObservedStore(store, self.tracing) if self.tracing.on else store

    async def execute(self, aggregates: Aggregates[S, E], command: Command[S, E]) -> Applied[S]:
        """As the write model's `execute`: counted, timed and traced, and the trace stored with the command."""
        outcome, commits, started = "CANCELLED", 0, perf_counter()
        actor = {"actor": command.actor} if command.actor else {}

        def committing() -> None:
            nonlocal commits
            commits += 1

        with (
            bound(command_id=command.id, order_id=command.aggregate_id, **actor),
            self.tracing.span("command", command=command.name) as tell,
        ):
            if self.tracing.on:
                aggregates = replace(aggregates, container=ObservedContainer(aggregates.container, self.tracing))
                command = msgspec.structs.replace(command, traceparent=self.tracing.traceparent)
            try:
                applied = await execute(aggregates, command, committing)
                outcome = "REPLAYED" if applied.replayed else "SUCCESS"
                return applied
            except Exception as error:
                outcome = outcome_of(error)
                log.info("the command %s was not carried out: %s", command.name, outcome)
                raise
            finally:
                self.metrics.commands.counts[command.name, outcome] += 1
                self.metrics.command_seconds.observe(command.name, perf_counter() - started)
                self.metrics.command_retries.counts[(command.name,)] += max(0, commits - 1)
                tell({"outcome": outcome, "attempts": commits})

    def denied(self, field: str, viewer: Viewer, code: str) -> None:
        """Take note of who may not ask for a field, and of the code that says why."""
        self.metrics.denied.labels(field, viewer.kind, code).inc()
        with bound(actor=viewer.actor or viewer.kind, field=field, code=code):
            log.warning("denied")

    def unauthenticated(self, reason: str) -> None:
        """Take note of credentials that proved nothing."""
        self.metrics.unauthenticated.labels(reason).inc()
        with bound(reason=reason):
            log.warning("credentials were refused")

    @property
    def observer(self) -> Observer:
        """What a projector of this process tells of itself to."""
        return _ProjectorTold(self)

    async def close(self) -> None:
        """Send what is left."""
        await asyncio.to_thread(self.tracing.close)


class ObservedOperation(msgspec.Struct):
    """A GraphQL operation, counted, timed and traced while in the context; it is told results."""

    telemetry: Telemetry
    kind: str
    outcome: str = "SUCCESS"
    started: float = msgspec.field(default_factory=perf_counter)
    span: Any = None
    tell: Any = None

    def __enter__(self) -> Self:
        if self.kind == SUBSCRIPTION:
            self.telemetry.metrics.subscribers.inc()
        if self.telemetry.tracing.on:
            self.span = self.telemetry.tracing.span("graphql")
            self.tell = self.span.__enter__()
        return self

    def told(self, result: Mapping[str, Any]) -> None:
        """Take note of a result; the last one says what became of the operation, unless it is ended from outside."""
        errors = result.get("errors")
        self.outcome = str(errors[0].get("extensions", {}).get("code", "INVALID")) if errors else "SUCCESS"

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is not None:
            self.outcome = "INVALID" if isinstance(error, Exception) else "CANCELLED"
        if self.telemetry.tracing.on:
            self.tell({"graphql.operation.type": self.kind, "outcome": self.outcome})
            self.span.__exit__(kind, error, at)
        metrics = self.telemetry.metrics
        metrics.operations.counts[self.kind, self.outcome] += 1
        if self.kind == SUBSCRIPTION:
            metrics.subscribers.dec()
        else:
            metrics.operation_seconds.observe(self.kind, perf_counter() - self.started)


def open_telemetry(settings: Settings) -> Telemetry:
    """Telemetry as it is configured."""
    return Telemetry(tracing=open_tracing(settings))


def outcome_of(error: Exception) -> str:
    """The code of a command that was not applied, or whose outcome nobody knows."""
    match error:
        case Rejected(code=code):
            return code
        case NotFound():
            return "ORDER_NOT_FOUND"
        case VersionConflict():
            return "VERSION_CONFLICT"
        case CommandIdReused():
            return "COMMAND_ID_REUSED"
        case Contended() | Throttled():
            return "BUSY"
        case OutcomeUnknown():
            return "UNKNOWN"
        case StoreError():
            return "UNAVAILABLE"
        case _:
            return "INTERNAL"


class _ProjectorTold(Observer):
    def __init__(self, telemetry: Telemetry) -> None:
        self._metrics = telemetry.metrics
        self._tracing = telemetry.tracing

    def applied(self, projection: str, page: Sequence[Document], seconds: float) -> None:
        metrics = self._metrics
        metrics.applied.counts[(projection,)] += len(page)
        metrics.batch_changes.observe(projection, len(page))
        metrics.batch_seconds.observe(projection, seconds)
        self._tracing.projected(projection, page, seconds)

    def lag(self, projection: str, range: str, seconds: float) -> None:
        self._metrics.lag.values[projection, range] = seconds
        self._metrics.checked.values[projection, range] = time()

    def retried(self, projection: str, reason: str) -> None:
        self._metrics.projection_retries.labels(projection, reason).inc()

    def parked(self, projection: str) -> None:
        self._metrics.dead_letters.labels(projection).inc()

    def lease_moved(self, projection: str, range: str, how: LeaseMove) -> None:
        """Of a range that is followed elsewhere, this process knows no lag."""
        self._metrics.lease_moves.labels(projection, how).inc()
        if how in ("released", "lost"):
            for levels in (self._metrics.lag, self._metrics.checked):
                levels.values.pop((projection, range), None)
