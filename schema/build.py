"""The schema, put together from its domains."""

from collections.abc import Mapping
from typing import Any

import strawberry
from graphql import GraphQLResolveInfo
from strawberry import Schema
from strawberry.schema.config import StrawberryConfig

from schema.access import access_of
from schema.context import Info
from schema.operations import OperationsQueries, OperationsSubscriptions
from schema.orders.commands import OrderMutations
from schema.orders.queries import OrderQueries
from schema.orders.subscriptions import OrderSubscriptions
from schema.scalars import SCALARS


@strawberry.type(description="Everything that can be asked. Answers come from projections only.")
class Query(OrderQueries, OperationsQueries): ...


@strawberry.type(description="The commands. Each answers at once with its own result; the projections follow.")
class Mutation(OrderMutations): ...


@strawberry.type(description="Everything that can be followed.")
class Subscription(OrderSubscriptions, OperationsSubscriptions): ...


def build_schema() -> Schema:
    """The API. Its root fields take it from the root value, by their keys, what was resolved already.

    Raises Undeclared for a field that does not say who may ask for it.
    """
    schema = Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        config=StrawberryConfig(scalar_map=SCALARS, info_class=Info),
    )
    access_of(schema)
    for root in (schema._schema.query_type, schema._schema.mutation_type):
        for field in root.fields.values() if root else ():
            field.resolve = _unless_resolved(field.resolve)
    return schema


def _unless_resolved(resolve: Any) -> Any:
    def resolved(root: Mapping[str, Any] | None, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        if root is None or str(info.path.key) not in root:
            return resolve(root, info, **arguments)
        outcome = root[str(info.path.key)]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return resolved
