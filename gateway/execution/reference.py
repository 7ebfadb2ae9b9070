"""The reference executor: graphql-core, with the resolvers that Strawberry made of the schema.

What it answers is right by definition, errors, their paths and their nulls included.
"""

from collections.abc import AsyncGenerator
from inspect import isawaitable
from typing import Any

from graphql import ExecutionResult, execute, subscribe
from strawberry import Schema

from gateway.execution.documents import Prepared
from gateway.execution.operation import Result
from schema.errors import coded


class Reference:
    """Executes operations field by field."""

    def __init__(self, schema: Schema, *, suggestions: bool = True) -> None:
        """`suggestions`: whether clients are told what they may have meant."""
        self._schema = schema._schema
        self._hide = not suggestions

    async def execute(
        self, prepared: Prepared, variables: dict[str, Any] | None, context: Any, root: Any = None
    ) -> Result:
        """The result of a query or a mutation, or of one event of a subscription, which then is the `root`.

        Of a query or a mutation the `root` says by keys what some of its fields have returned or raised already.
        """
        result = execute(
            self._schema,
            prepared.document,
            root_value=root,
            context_value=context,
            variable_values=variables,
            operation_name=prepared.name,
            hide_suggestions=self._hide,
        )
        return formatted(result if isinstance(result, ExecutionResult) else await result)

    async def subscribe(
        self, prepared: Prepared, variables: dict[str, Any] | None, context: Any
    ) -> AsyncGenerator[ExecutionResult, None] | ExecutionResult:
        """The results of a subscription, or why there are none."""
        results = subscribe(
            self._schema,
            prepared.document,
            context_value=context,
            variable_values=variables,
            operation_name=prepared.name,
            hide_suggestions=self._hide,
        )
        if isawaitable(results):
            results = await results
        assert isinstance(results, ExecutionResult | AsyncGenerator)
        return results


def formatted(result: ExecutionResult) -> Result:
    """The result as it is sent."""
    told: dict[str, Any] = {}
    if result.data is not None or any(error.path for error in result.errors or ()):
        told["data"] = result.data
    if result.errors:
        told["errors"] = [coded(error).formatted for error in result.errors]
    return told
