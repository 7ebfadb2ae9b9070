"""The inputs of questions, and what they mean to the read model."""

from enum import Enum

import strawberry

from read_model import orders as read
from read_model.questions import BadQuestion
from schema import ids
from schema.context import given
from schema.scalars import ConsistencyToken, DateTime


@strawberry.enum(description="What to do when the read model is late.")
class OnTimeout(Enum):
    RETURN_STALE = strawberry.enum_value("RETURN_STALE", description="Answer with what there is.")
    ERROR = strawberry.enum_value("ERROR", description="Answer with the error READ_MODEL_LAGGING.")


@strawberry.enum(description="What orders are sorted by.")
class OrderSortField(Enum):
    CREATED_AT = strawberry.enum_value("CREATED_AT", description="When they were begun.")
    UPDATED_AT = strawberry.enum_value("UPDATED_AT", description="When they last changed.")
    TOTAL = strawberry.enum_value("TOTAL", description="Their total in minor units, whatever the currency.")


@strawberry.enum(description="Which way.")
class Direction(Enum):
    ASC = strawberry.enum_value("ASC", description="Smallest or oldest first.")
    DESC = strawberry.enum_value("DESC", description="Largest or newest first.")


@strawberry.input(description="Which writes an answer must show, and how long to wait for them.")
class ConsistencyInput:
    after: list[ConsistencyToken] = strawberry.field(description="The tokens of the writes, at most 100.")
    wait_ms: int | None = strawberry.field(default=1000, description="How long to wait, at most 10000 milliseconds.")
    on_timeout: OnTimeout | None = strawberry.field(
        default=OnTimeout.RETURN_STALE, description="What to do when that was not long enough."
    )


@strawberry.input(description="Which orders: all that is given must hold.")
class OrderFilter:
    status: list[read.OrderStatus] | None = strawberry.field(
        default=strawberry.UNSET, description="At one of these; an empty list matches none."
    )
    created_from: DateTime | None = strawberry.field(default=strawberry.UNSET, description="Begun then or later.")
    created_to: DateTime | None = strawberry.field(default=strawberry.UNSET, description="Begun before then.")
    sku: str | None = strawberry.field(default=strawberry.UNSET, description="With this product in it.")


@strawberry.input(description="How orders are sorted.")
class OrderSort:
    field: OrderSortField = strawberry.field(description="By what.")
    direction: Direction = strawberry.field(default=Direction.DESC, description="Which way.")


BY_CREATION = OrderSort(field=OrderSortField.CREATED_AT, direction=Direction.DESC)


def order_filter(filter: OrderFilter | None) -> read.OrderFilter:
    """The filter as the read model takes it. Raises BadQuestion."""
    if filter is None:
        return read.OrderFilter()
    status, sku = given(filter.status), given(filter.sku)
    if status is not None and len(status) > len(read.OrderStatus):
        raise BadQuestion("BAD_INPUT", f"`status` has at most {len(read.OrderStatus)}, which is all there are")
    return read.OrderFilter(
        status=tuple(dict.fromkeys(status)) if status is not None else None,
        created_from=given(filter.created_from),
        created_to=given(filter.created_to),
        sku=ids.sku(sku) if sku is not None else None,
    )


def order_sort(sort: OrderSort | None) -> read.OrderSort:
    """The sort as the read model takes it."""
    sort = sort or BY_CREATION
    return read.OrderSort(sort.field.name, sort.direction is Direction.DESC)
