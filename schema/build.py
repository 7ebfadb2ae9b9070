"""The schema, put together from its domains."""

import strawberry
from graphql import GraphQLError
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from schema.errors import CodedErrors
from schema.orders.commands import OrderMutations
from schema.orders.queries import OrderQueries
from schema.orders.subscriptions import OrderSubscriptions
from schema.scalars import SCALARS

CACHED_DOCUMENTS = 1000


@strawberry.type(description="Everything that can be asked. Answers come from projections only.")
class Query(OrderQueries): ...


@strawberry.type(description="The commands. Each answers at once with its own result; the projections follow.")
class Mutation(OrderMutations): ...


@strawberry.type(description="Everything that can be followed.")
class Subscription(OrderSubscriptions): ...


class Schema(strawberry.Schema):
    """A schema whose errors are logged where they are coded, once."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Nothing: `CodedErrors` logs what nobody expected, and what a client did wrong is the client's."""


def build_schema() -> Schema:
    """The reference executor of the API."""
    return Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        extensions=[
            CodedErrors,
            lambda: ParserCache(maxsize=CACHED_DOCUMENTS),
            lambda: ValidationCache(maxsize=CACHED_DOCUMENTS),
        ],
        config=StrawberryConfig(scalar_map=SCALARS),
    )
