"""What runs behind the API, for those who run it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

import strawberry

from schema.access import allow
from schema.context import Info, Viewing
from schema.viewer import OPERATE

EVERY_S = 1.0
"""Seconds between looks while somebody follows them."""


@strawberry.type(description="A feed range of the write model.")
class ProjectedRange:
    id: str = strawberry.field(description="The range.")
    owner: str | None = strawberry.field(description="The worker that projects it; null if nobody does.")


@strawberry.type(description="A generation of read documents.")
class Projection:
    name: str = strawberry.field(description="Which projection.")
    generation: int = strawberry.field(description="Counts how often it was built anew.")
    version: int = strawberry.field(description="The version in code that it is of.")
    state: str = strawberry.field(description="Whether it serves, is being built, or was replaced.")
    applied: float = strawberry.field(description="Changes applied so far.")
    behind: float = strawberry.field(description="Changes not applied yet.")
    lag_seconds: float = strawberry.field(description="The age of the oldest change that is not applied; 0 if none.")
    rate: float = strawberry.field(description="Changes applied per second lately.")
    parked: int = strawberry.field(description="Keys that cannot be projected, and wait in the dead letters.")
    ranges: list[ProjectedRange] = strawberry.field(description="Who projects which part.")


@dataclass(frozen=True, kw_only=True)
class Operating(Viewing):
    """What is known of the projections; each call looks."""

    projections: Callable[[], Awaitable[list[Projection]]]


Asked = Info[Operating]


@strawberry.type
class OperationsQueries:
    @strawberry.field(description="Staff: how the projections are.")
    @allow(OPERATE)
    async def projections(self, info: Asked) -> list[Projection]:
        return await info.context.projections()


@strawberry.type
class OperationsSubscriptions:
    @strawberry.subscription(description="Staff: how the projections are, and again when that has changed.")
    @allow(OPERATE)
    async def projections(self, info: Asked) -> AsyncGenerator[list[Projection], None]:
        last: list[Projection] = []
        while True:
            rows = await info.context.projections()
            if rows != last:
                yield rows
            last = rows
            await asyncio.sleep(EVERY_S)
