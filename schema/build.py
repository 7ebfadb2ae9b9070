"""The schema, put together from its domains."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import strawberry
from graphql import GraphQLError
from strawberry.extensions import ParserCache, SchemaExtension, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from schema.errors import CodedErrors
from schema.freshness import FreshnessExtension
from schema.operations import OperationsQueries, OperationsSubscriptions
from schema.orders.commands import OrderMutations
from schema.orders.queries import OrderQueries
from schema.orders.subscriptions import OrderSubscriptions
from schema.scalars import SCALARS

CACHED_DOCUMENTS = 1000


@strawberry.type(description="Everything that can be asked. Answers come from projections only.")
class Query(OrderQueries, OperationsQueries): ...


@strawberry.type(description="The commands. Each answers at once with its own result; the projections follow.")
class Mutation(OrderMutations): ...


@strawberry.type(description="Everything that can be followed.")
class Subscription(OrderSubscriptions, OperationsSubscriptions): ...


class CachedParser(ParserCache):
    """Parses a document once. One that cannot be parsed is left to the executor, which answers on every transport."""

    def on_parse(self) -> Iterator[None]:
        """Have the document parsed, if it can be, before the executor looks."""
        context = self.execution_context
        with suppress(GraphQLError):
            context.graphql_document = self.cached_parse_document(context.query, **context.parse_options)
        yield


class Schema(strawberry.Schema):
    """A schema whose errors are logged where they are coded, once."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Nothing: `CodedErrors` logs what nobody expected, and what a client did wrong is the client's."""


def build_schema(*around: Callable[[], SchemaExtension]) -> Schema:
    """The reference executor of the API, with extensions `around` all that it does, made for each operation."""
    return Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        extensions=[
            *around,
            FreshnessExtension,
            CodedErrors,
            lambda: CachedParser(maxsize=CACHED_DOCUMENTS),
            lambda: ValidationCache(maxsize=CACHED_DOCUMENTS),
        ],
        config=StrawberryConfig(scalar_map=SCALARS),
    )
