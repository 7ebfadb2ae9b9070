"""Where every transport has its operations executed: for one result, or for a stream of results."""

import dataclasses
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec
from graphql import DocumentNode, GraphQLError, OperationDefinitionNode
from strawberry.exceptions import MissingQueryError
from strawberry.extensions import ParserCache
from strawberry.schema.exceptions import CannotGetOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from gateway.wiring import Context
from projector.tasks import to_the_end
from schema.build import CACHED_DOCUMENTS, Schema

Result = Mapping[str, Any]
"""`data`, `errors`, `extensions` as in GraphQL's specification (7.1): no `data` where nothing was executed."""


class Operation(msgspec.Struct, frozen=True, rename="camel"):
    """What a client asks for, on whatever transport; as it is written in JSON."""

    query: str
    operation_name: str | None = None
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None


class NotExecutable(Exception):
    """There is no operation to be executed; the message says why."""


class Executor:
    """The reference executor, and its extensions around all that it does."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._parse = ParserCache(maxsize=CACHED_DOCUMENTS).cached_parse_document

    def parsed(self, operation: Operation) -> tuple[DocumentNode, OperationDefinitionNode] | None:
        """The document, and the one of its operations that is asked for; None where there is none."""
        try:
            document = self._parse(operation.query)
        except (GraphQLError, RecursionError):
            return None
        definitions = (one for one in document.definitions if isinstance(one, OperationDefinitionNode))
        wanted = operation.operation_name
        found = (one for one in definitions if wanted is None or (one.name and one.name.value == wanted))
        definition = next(found, None)
        return (document, definition) if definition else None

    def kind(self, operation: Operation) -> OperationType | None:
        """Whether it is a query, a mutation or a subscription; None for what cannot be executed."""
        parsed = self.parsed(operation)
        return OperationType(parsed[1].operation.value) if parsed else None

    async def execute(self, operation: Operation, context: Context) -> Result:
        """The result of a query or a mutation. A mutation is finished, also if the caller is cancelled.

        Raises NotExecutable where the document has no operation, or none of that name.
        """
        executed = partial(self._execute, operation, context)
        if self.kind(operation) is OperationType.MUTATION:
            return await to_the_end(executed())
        return await executed()

    async def stream(self, operation: Operation, context: Context) -> AsyncGenerator[Result, None]:
        """The results of any operation as they come: of a query or a mutation one. Ends its source when it is closed.

        A document that cannot be executed has one result, of errors.
        """
        if self.kind(operation) is OperationType.MUTATION:
            yield await self.execute(operation, context)
            return
        results = await self.schema.stream(
            operation.query,
            variable_values=operation.variables,
            context_value=dataclasses.replace(context),
            operation_name=operation.operation_name,
            operation_extensions=operation.extensions,
        )
        async with aclosing(results):
            async for result in results:
                assert isinstance(result, ExecutionResult)
                yield _formatted(result)

    async def _execute(self, operation: Operation, context: Context) -> Result:
        try:
            result = await self.schema.execute(
                operation.query,
                variable_values=operation.variables,
                context_value=dataclasses.replace(context),
                operation_name=operation.operation_name,
                operation_extensions=operation.extensions,
            )
        except CannotGetOperationTypeError as error:
            raise NotExecutable("The document has no operation of that name.") from error
        except MissingQueryError as error:
            raise NotExecutable("The request has no document.") from error
        return _formatted(result)


def _formatted(result: ExecutionResult) -> Result:
    told: dict[str, Any] = {}
    if not isinstance(result, PreExecutionError):
        told["data"] = result.data
    if result.errors:
        told["errors"] = [error.formatted for error in result.errors]
    if result.extensions:
        told["extensions"] = result.extensions
    return told
