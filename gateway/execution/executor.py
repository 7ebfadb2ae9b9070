"""Where every transport has its operations executed: by a plan where there is one, else by the reference executor."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, suppress
from typing import Any

from graphql import ExecutionResult, GraphQLError, OperationType
from strawberry import Schema

from gateway.eager import watched
from gateway.execution.documents import Document, Documents, Prepared
from gateway.execution.operation import NotExecutable, Operation, Result
from gateway.execution.plans import Bail, Plan, SendNow
from gateway.execution.reference import Reference, formatted
from gateway.limits.bounds import Bounds
from gateway.limits.persisted import Persisted
from gateway.limits.running import Running
from gateway.limits.shed import Shed
from gateway.telemetry import ObservedOperation, Telemetry
from gateway.wiring import Context
from projector.tasks import NotYet
from read_model.asked import ASKED, Asked
from schema.errors import coded

PLAN, BAILED, REFERENCE, REFUSED = ("plan",), ("bailed",), ("reference",), ("refused",)
"""What executed an operation, as the metrics have it."""
LATE = "The operation takes too long."
UNKNOWN = "The command takes too long, and goes on. Send it again with the same `commandId`: it has one effect."


class Executor:
    """Executes operations; tells metrics and traces of each, and in the answer to a query how fresh it is."""

    def __init__(
        self,
        schema: Schema,
        telemetry: Telemetry | None = None,
        bounds: Bounds = Bounds(),  # noqa: B008  frozen
        running: Running | None = None,
        persisted: Persisted | None = None,
    ) -> None:
        """`running` bounds how many operations run at a time, and for how long; `persisted` keeps their documents."""
        self.schema = schema
        self._telemetry = telemetry or Telemetry()
        self.frames = self._telemetry.metrics.frames.counts
        """Counts what subscribers were sent; whoever sends something past `stream` counts it."""
        self._running = running or Running()
        self._persisted = persisted or Persisted()
        self._documents = Documents(schema, bounds)
        self._reference = Reference(schema, suggestions=bounds.suggestions)

    @property
    def is_traced(self) -> bool:
        """Whether requests have spans."""
        return self._telemetry.tracing.on

    def document(self, operation: Operation) -> Document:
        """The document of an operation, parsed and validated. Raises NotExecutable for none."""
        return self._documents.get(operation.query)

    def prepared(self, operation: Operation) -> Prepared | None:
        """The operation of a valid document that is asked for; None where there is none."""
        document = self._documents.get(operation.query) if operation.query else None
        return document.prepared(operation.operation_name) if document else None

    def kind(self, operation: Operation) -> OperationType | None:
        """Whether it is a query, a mutation or a subscription; None for what cannot be told."""
        return self.document(operation).kind(operation.operation_name) if operation.query else None

    def trust(self, documents: Mapping[str, str]) -> Iterator[tuple[str, GraphQLError]]:
        """Keep documents for ever; the first fault of each that has any, by its id."""
        for id, text in documents.items():
            if errors := self._documents.pin(text).errors:
                yield id, errors[0]

    def known(self, operation: Operation) -> Document | None:
        """The document of an operation, if it was asked for lately."""
        return self._documents.known(operation.query)

    async def execute(self, operation: Operation, context: Context, prepared: Prepared | None = None) -> Result:
        """The result of a query or a mutation, `prepared` if it is. A mutation is finished, also without its caller.

        Raises NotExecutable where the document has no operation, or not the one that is asked for, and Shed.
        """
        prepared = prepared or self.prepared(operation)
        if prepared is None:
            with ObservedOperation(self._telemetry, "invalid") as observed:
                observed.told(result := self._invalid(operation))
            return result
        is_command = prepared.kind is OperationType.MUTATION
        self._running.admit(command=is_command)  # who was let in before may have waited since, as others have
        if operation.extensions:
            self._persisted.keep(operation)
        if is_command:
            try:
                return await self._running.finished(self._execute(prepared, operation.variables, context))
            except NotYet:
                return _refused(GraphQLError(UNKNOWN, extensions={"code": "OPERATION_TIMEOUT", "outcome": "UNKNOWN"}))
        return await watched(self._execute(prepared, operation.variables, context), self._running.query)

    async def stream(
        self, operation: Operation, context: Context, send: SendNow | None = None
    ) -> AsyncGenerator[Result, None]:
        """The results of any operation as they come: of a query or a mutation one. Ends its source when it is closed.

        A result that `send` has sent is not yielded. What cannot be executed has one result, of errors.
        """
        prepared = self.prepared(operation)
        if prepared is None or prepared.kind is not OperationType.SUBSCRIPTION:
            try:
                yield await self.execute(operation, context, prepared)
            except NotExecutable as error:
                yield _refused(GraphQLError(str(error), extensions={"code": error.code}))
            except Shed as shed:
                yield _refused(GraphQLError(str(shed), extensions=shed.extensions))
            return
        try:
            self._running.admit()
        except Shed as shed:
            yield _refused(GraphQLError(str(shed), extensions=shed.extensions))
            return
        if operation.extensions:
            self._persisted.keep(operation)
        with ObservedOperation(self._telemetry, prepared.type) as observed:
            cost = prepared.price.told(operation.variables or {})
            if cost["requested"] > cost["limit"]:
                observed.told(result := _too_costly(cost))
                yield result
                return
            if self._telemetry.tracing.on:  # each delivery has a span of its own
                send = None
            async with aclosing(self._results(prepared, operation.variables or {}, context, send)) as results:
                async for result in results:
                    observed.told(result)
                    with self._telemetry.tracing.delivery():
                        yield result
                    self.frames[()] += 1
                    del result  # who waits keeps nothing of what it was sent

    def _invalid(self, operation: Operation) -> Result:
        """What is wrong with a document. Raises NotExecutable."""
        document = self.document(operation)
        if not document.errors:
            document.operation(operation.operation_name)
        return _refused(*document.errors)

    async def _execute(self, prepared: Prepared, given: dict[str, Any] | None, context: Context) -> Result:
        """The result, what it cost, and if it was read from projections how fresh they are."""
        variables = given or {}
        cost = prepared.price.told(variables)
        asked = Asked()
        token = ASKED.set(asked)
        try:
            with ObservedOperation(self._telemetry, prepared.type) as observed:
                try:
                    if cost["requested"] > cost["limit"]:
                        result, by = _too_costly(cost), REFUSED
                    elif isinstance(plan := prepared.plan(variables), Plan):
                        try:
                            result, by = {"data": await plan.execute(variables, context)}, PLAN
                        except Bail as bail:
                            result, by = await self._reference.execute(prepared, given, context, bail.resolved), BAILED
                    else:
                        result, by = await self._reference.execute(prepared, given, context), REFERENCE
                except asyncio.CancelledError:
                    if not self._running.is_late():
                        raise
                    result, by = _refused(GraphQLError(LATE, extensions={"code": "OPERATION_TIMEOUT"})), REFUSED
                self._telemetry.metrics.executions.counts[by] += 1
                if by is not PLAN:  # which only succeeds
                    observed.told(result)
        finally:
            ASKED.reset(token)
        extensions = result["extensions"] = {"cost": cost}
        if asked.containers:
            projections = context.freshness(asked.containers)
            extensions["freshness"] = {"satisfied": asked.satisfied, "projections": projections}
        return result

    async def _results(
        self, prepared: Prepared, variables: dict[str, Any], context: Context, send: SendNow | None
    ) -> AsyncGenerator[Result, None]:
        """The results of a subscription. The last one tells why it failed, if it does."""
        plan = prepared.plan(variables)
        try:
            if isinstance(plan, Plan):
                with suppress(Bail):
                    async with aclosing(plan.stream(variables, context, send)) as events:
                        async for event, data in events:
                            if data is None:
                                yield await self._reference.execute(prepared, variables, context, event)
                            else:
                                yield {"data": data}
                            del event, data
                    return
            results = await self._reference.subscribe(prepared, variables, context)
            if isinstance(results, ExecutionResult):
                yield formatted(results)
                return
            async with aclosing(results):
                async for result in results:
                    yield formatted(result)
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told
            yield {"data": None, **_refused(GraphQLError(str(error), original_error=error))}


def _too_costly(cost: dict[str, int]) -> Result:
    message = (
        f"The operation costs {cost['requested']}, and may cost {cost['limit']}. Ask for smaller pages, or for less."
    )
    return _refused(GraphQLError(message, extensions={"code": "COST_LIMIT", **cost}))


def _refused(*errors: GraphQLError) -> Result:
    return {"errors": [coded(error).formatted for error in errors]}
