"""Plans answer as the reference executor does, to the byte, or leave it to that."""

import re
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import msgspec
import pytest
from graphql import ExecutionResult, GraphQLError
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.execution import Executor, Operation, Result
from gateway.execution.documents import Prepared
from gateway.execution.plans import Plan
from gateway.execution.reference import Reference, formatted
from gateway.json import encode
from gateway.limits.bounds import Bounds
from read_model.signing import Signer
from schema.errors import coded
from tests.engines import Engine, on_engines, opened
from tests.gateway.execution.operations import operations
from tests.schema.api import SCHEMA, UUIDS, Api, new_order, open_api
from tests.schema.conftest import api as api
from write_model import orders
from write_model.commands import Applied

EXECUTOR = Executor(SCHEMA, bounds=Bounds(cost=10**9))  # what is generated may cost anything
REFERENCE = Reference(SCHEMA)


@asynccontextmanager
async def a_shop(engine: Engine) -> AsyncIterator[Api]:
    """A gateway whose commands are the same each time, with a few orders in its read model."""
    ids = count(1000)
    async with open_api(engine, projector=False) as api:
        context = replace(
            api.context,
            new_id=lambda: f"00000000-0000-4000-8000-{next(ids):012}",
            now=lambda: f"2026-01-01T00:00:00.{next(ids):06}Z",
            signer=Signer(b"key"),
        )
        shop = Api(replace(api.gateway, context=context))
        await shop.submitted()
        await shop.created("bob", 2)
        await shop.created("ada", 4, currency="EUR")
        await shop.project()
        yield shop


def compared(result: Result) -> bytes:
    """What must be equal: all but how fresh it is, and the ids that unexpected errors have in the log."""
    told = encode({key: value for key, value in result.items() if key != "extensions"})
    return re.sub(rb"[0-9a-f]{16}", b"ID", told)


def prepared(operation: Operation) -> Prepared | None:
    """The operation, unless its document is not valid: then nothing of it is executed."""
    document = EXECUTOR.document(operation)
    return None if document.errors else document.operation(operation.operation_name)


@on_engines(st.lists(operations("query"), min_size=5, max_size=25), memory=30, cosmos=2)
async def test_queries_are_answered_as_by_the_reference_executor(engine: Engine, asked: list[Operation]) -> None:
    async with a_shop(engine) as shop:
        for operation in asked:
            if one := prepared(operation):
                expected = compared(await REFERENCE.execute(one, operation.variables, shop.context))
                assert compared(await EXECUTOR.execute(operation, shop.context)) == expected, operation


@on_engines(st.lists(operations("mutation"), min_size=3, max_size=15), memory=30)
async def test_commands_are_answered_as_by_the_reference_executor(engine: Engine, asked: list[Operation]) -> None:
    async with a_shop(engine) as shop, opened("memory") as other, a_shop(other) as twin:
        for operation in asked:
            if one := prepared(operation):
                expected = compared(await REFERENCE.execute(one, operation.variables, twin.context))
                assert compared(await EXECUTOR.execute(operation, shop.context)) == expected, operation


@on_engines(st.lists(operations("subscription"), min_size=3, max_size=15), memory=30, cosmos=2)
async def test_frames_are_those_of_the_reference_executor(engine: Engine, asked: list[Operation]) -> None:
    async with a_shop(engine) as shop:
        shop.context.live.drain()  # so that each subscription ends
        for operation in asked:
            if one := prepared(operation):
                results = await REFERENCE.subscribe(one, operation.variables, shop.context)
                frames = [compared(result) async for result in EXECUTOR.stream(operation, shop.context)]
                assert frames == [frame async for frame in expected(results)], operation


async def expected(results: AsyncGenerator[ExecutionResult, None] | ExecutionResult) -> AsyncGenerator[bytes, None]:
    if isinstance(results, ExecutionResult):
        yield compared(formatted(results))
        return
    try:
        async for result in results:
            yield compared(formatted(result))
    except Exception as error:  # noqa: BLE001  # as the executor does
        yield compared({"data": None, "errors": [coded(GraphQLError(str(error), original_error=error)).formatted]})


@pytest.mark.parametrize("kind", ["query", "mutation", "subscription"])
def test_most_operations_have_a_plan(kind: str) -> None:
    planned: Counter[bool] = Counter()

    @settings(max_examples=200, deadline=None, database=None, derandomize=True)
    @given(operations(kind))
    def count_plans(operation: Operation) -> None:
        if one := prepared(operation):
            planned[isinstance(one.plan(operation.variables or {}), Plan)] += 1

    count_plans()
    assert planned[True] > planned[False] > 0


async def test_a_command_whose_result_cannot_be_shown_is_executed_once(api: Api) -> None:
    executed = 0

    async def execute(aggregates: Any, command: Any) -> Applied[orders.Order]:
        nonlocal executed
        executed += 1
        applied = await api.context.execute(aggregates, command)
        return Applied(msgspec.structs.replace(applied.state, version=2**31), replayed=False)

    broken = Api(replace(api.gateway, context=replace(api.context, execute=execute)))
    selection = "{ ... on OrderCommandSucceeded { commandId order { id version } } }"
    document = f"mutation($input: CreateOrderInput!) {{ createOrder(input: $input) {selection} }}"
    result = await broken.execute(document, {"input": new_order()})
    (error,) = result.errors or []
    assert (executed, error.path, result.data) == (1, ["createOrder", "order", "version"], None)


async def test_a_question_whose_wait_was_in_vain_is_not_asked_again(api: Api) -> None:
    """The reference executor tells the error; the wait is over."""
    token = (await api.submitted())["consistencyToken"]
    waited = 0

    async def parked(container: str, key: str) -> bool:
        nonlocal waited
        waited += 1
        return True

    waiting = Api(replace(api.gateway, context=replace(api.context, parked=parked)))
    variables = {"id": f"order:ada:{UUIDS[1]}", "consistency": {"after": [token], "onTimeout": "ERROR"}}
    document = "query($id: ID!, $consistency: ConsistencyInput) { order(id: $id, consistency: $consistency) { id } }"
    assert (await waiting.refused(document, variables))[0] == "READ_MODEL_LAGGING"
    assert waited == 1


async def test_what_is_resolved_below_a_frame_is_resolved_for_each(api: Api) -> None:
    id = await api.created()
    await api.project()
    document = "subscription($id: ID!) { orderUpdated(id: $id) { version history { nodes { type } } } }"
    async with api.follow(document, {"id": id}) as stream:
        frame = await stream.next()
        assert (frame["version"], frame["history"]) == (1, {"nodes": [{"type": "OrderCreated"}]})
