"""The API in-process: documents executed on a running gateway, and the selections that tests ask for."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from graphql import GraphQLObjectType, get_named_type, is_leaf_type

from gateway.execution import Executor, Operation, Result
from gateway.json import encode
from gateway.settings import read_settings
from gateway.wiring import CONTAINERS, Context, Gateway, running_gateway
from projector.orders import PROJECTIONS
from projector.worker import drain
from schema.build import build_schema
from tests.engines import Engine
from tests.projector.world import PATIENCE_S

Json = dict[str, Any]

SCHEMA = build_schema()
EXECUTOR = Executor(SCHEMA)
UUIDS = [f"123e4567-e89b-12d3-a456-{number:012}" for number in range(200)]


def everything(name: str) -> str:
    """The selection of all fields of a type that need no arguments, all the way down."""
    type_ = SCHEMA._schema.type_map[name]
    assert isinstance(type_, GraphQLObjectType)
    selected = []
    for field_name, field in type_.fields.items():
        inner = get_named_type(field.type)
        if not field.args:
            selected.append(field_name if is_leaf_type(inner) else f"{field_name} {everything(inner.name)}")
    return f"{{ {' '.join(selected)} }}"


ORDER = everything("Order")
RESULT = f"""{{
  __typename
  ... on OrderCommandSucceeded {{ commandId message consistencyToken replayed order {ORDER} }}
  ... on CommandFailure {{ message code }}
  ... on CommandRejected {{ fields asItIs: order {ORDER} }}
  ... on VersionConflict {{ expectedVersion currentVersion order {ORDER} }}
  ... on OrderNotFound {{ orderId }}
  ... on CommandIdReused {{ commandId }}
}}"""

ADDRESS = {"name": "Ada", "line1": "Main Street 1", "city": "Berlin", "postalCode": "10115", "country": "DE"}
CUSTOMER = {"name": "Ada", "email": "ada@example.com"}


def line(sku: str = "tea", quantity: Any = 2, price: Any = "5.00", title: str = "Tea") -> Json:
    return {"sku": sku, "title": title, "quantity": quantity, "unitPrice": price}


def new_order(customer: str = "ada", **more: Any) -> Json:
    return {"customerId": customer, "customer": CUSTOMER, **more}


class Fault(msgspec.Struct):
    """An error of a result."""

    message: str
    path: list[str | int] | None = None
    locations: list[dict[str, int]] | None = None
    extensions: Json | None = None


class Told(msgspec.Struct):
    """A result."""

    data: Json | None = None
    errors: list[Fault] | None = None
    extensions: Json | None = None

    @classmethod
    def of(cls, result: Result) -> "Told":
        return msgspec.convert(json.loads(encode(result)), cls)


@dataclass(frozen=True)
class Api:
    """What a client sees of a running gateway; `project` lets the read model catch up where no projector runs."""

    gateway: Gateway

    @property
    def context(self) -> Context:
        return self.gateway.context

    @property
    def watchers(self) -> int:
        return self.context.live.watchers

    async def execute(self, document: str, variables: Json | None = None) -> Told:
        """The result, as a client that reads JSON has it."""
        return Told.of(await EXECUTOR.execute(Operation(document, variables=variables), self.context))

    async def ask(self, document: str, variables: Json | None = None) -> Json:
        """The data of an answer without errors."""
        result = await self.execute(document, variables)
        assert not result.errors, result.errors
        assert result.data is not None
        return result.data

    async def refused(self, document: str, variables: Json | None = None) -> tuple[str | None, str]:
        """The code and the message of the one error of an answer."""
        result = await self.execute(document, variables)
        return the_error(result)

    async def command(self, mutation: str, input: Json) -> Json:
        """The typed result of a mutation."""
        name = SCHEMA._schema.mutation_type.fields[mutation].args["input"].type  # type: ignore[union-attr]
        data = await self.ask(f"mutation($input: {name}) {{ {mutation}(input: $input) {RESULT} }}", {"input": input})
        result: Json = data[mutation]
        return result

    async def done(self, mutation: str, input: Json) -> Json:
        """The payload of a mutation that succeeded."""
        result = await self.command(mutation, input)
        assert result["__typename"] == "OrderCommandSucceeded", result
        return result

    async def order(self, id: str) -> Json | None:
        order: Json | None = (await self.ask(f"query($id: ID!) {{ order(id: $id) {ORDER} }}", {"id": id}))["order"]
        return order

    async def project(self) -> None:
        await drain(self.gateway.store, PROJECTIONS)

    async def created(self, customer: str = "ada", number: int = 1, **more: Any) -> str:
        """The ID of a new order with two boxes of tea and an address."""
        input = {"orderUuid": UUIDS[number], "items": [line()], "shippingAddress": ADDRESS} | more
        result = await self.done("createOrder", new_order(customer, **input))
        id: str = result["order"]["id"]
        return id

    async def submitted(self, customer: str = "ada", number: int = 1, **more: Any) -> Json:
        """The payload of submitting a new order."""
        return await self.done("submitOrder", {"orderId": await self.created(customer, number, **more)})

    @asynccontextmanager
    async def follow(self, document: str, variables: Json | None = None) -> AsyncIterator["Stream"]:
        """A subscription, closed at the end."""
        source = EXECUTOR.stream(Operation(document, variables=variables), self.context)
        try:
            yield Stream(source)
        finally:
            await source.aclose()


@dataclass(frozen=True)
class Stream:
    """What a subscription sends."""

    source: AsyncGenerator[Any, None]

    async def next_result(self) -> Told:
        async with asyncio.timeout(PATIENCE_S):
            return Told.of(await anext(self.source))

    async def next(self) -> Any:
        """The value of the one field in the next frame."""
        result = await self.next_result()
        assert not result.errors, result.errors
        assert result.data is not None
        (value,) = result.data.values()
        return value


def the_error(result: Told) -> tuple[str | None, str]:
    """The code and the message of the one error of a result."""
    assert result.errors, result.data
    (error,) = result.errors
    code = (error.extensions or {}).get("code")
    assert code is None or isinstance(code, str)
    return code, error.message


@asynccontextmanager
async def open_api(engine: Engine, *, projector: bool) -> AsyncIterator[Api]:
    settings = read_settings(**await engine.provisioned(CONTAINERS), projector=projector)
    async with running_gateway(settings) as gateway:
        yield Api(gateway)
