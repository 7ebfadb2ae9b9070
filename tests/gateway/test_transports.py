"""What a subscriber may expect, on whatever transport."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from tests.gateway.edge import Edge, open_edge
from tests.gateway.subscribers import OVER, Answer, Subscriber
from tests.projector.world import until
from tests.schema.api import UUIDS, line, new_order

ORDER_ID = f"order:ada:{UUIDS[1]}"
CREATE = "mutation($input: CreateOrderInput!) { createOrder(input: $input) { __typename } }"
CHANGE = "mutation($input: ChangeItemQuantityInput!) { changeItemQuantity(input: $input) { __typename } }"
ONE = "subscription($id: ID!) { orderUpdated(id: $id) { id version } }"
LIST = """subscription($after: String) {
  customerOrdersUpdated(customerId: "ada", after: $after) { kind cursor orders { id version } } }"""

Over = Callable[..., AbstractAsyncContextManager[Subscriber]]
EVERY = pytest.mark.parametrize("over", OVER.values(), ids=OVER)


async def create(edge: Edge, number: int = 1) -> None:
    answer = await edge.ask(CREATE, {"input": new_order(orderUuid=UUIDS[number], items=[line()])})
    assert answer == {"createOrder": {"__typename": "OrderCommandSucceeded"}}


async def change(edge: Edge, quantity: int) -> None:
    answer = await edge.ask(CHANGE, {"input": {"orderId": ORDER_ID, "sku": "tea", "quantity": quantity}})
    assert answer == {"changeItemQuantity": {"__typename": "OrderCommandSucceeded"}}


def frame(result: dict[str, Any]) -> tuple[str, list[tuple[str, int]]]:
    (told,) = result["data"].values()
    assert told["cursor"]
    return told["kind"], [(order["id"], order["version"]) for order in told["orders"]]


def watchers(edge: Edge) -> int:
    return edge.gateway.context.live.watchers


@EVERY
async def test_a_list_begins_with_a_snapshot_and_goes_on_with_changes(edge: Edge, over: Over) -> None:
    async with over(edge.url, LIST) as client:
        assert frame(await client.next()) == ("SNAPSHOT", [])
        await create(edge)
        assert frame(await client.next()) == ("CHANGES", [(ORDER_ID, 1)])
        await change(edge, 7)
        assert frame(await client.next()) == ("CHANGES", [(ORDER_ID, 2)])


@EVERY
async def test_an_order_that_does_not_exist_yet_is_waited_for_and_followed(edge: Edge, over: Over) -> None:
    async with over(edge.url, ONE, {"id": ORDER_ID}) as client:
        await until(lambda: watchers(edge) == 1)
        await create(edge)
        assert await client.next() == {"data": {"orderUpdated": {"id": ORDER_ID, "version": 1}}}
        await change(edge, 7)
        assert await client.next() == {"data": {"orderUpdated": {"id": ORDER_ID, "version": 2}}}


INVALID = ["subscription { nothing }", "subscription { orderUpdated { id } }"]


@EVERY
@pytest.mark.parametrize("query", INVALID)
async def test_a_document_that_is_not_valid_is_answered_with_errors_and_no_data(
    edge: Edge, over: Over, query: str
) -> None:
    async with over(edge.url, query) as client:
        result = await client.next()
        assert list(result) == ["errors"]
        assert result["errors"][0]["message"]


@EVERY
async def test_an_argument_that_makes_no_sense_is_an_error_with_a_code_and_the_end(edge: Edge, over: Over) -> None:
    async with over(edge.url, ONE, {"id": "x"}) as client:
        (error,) = (await client.next())["errors"]
        assert error["extensions"]["code"] == "BAD_ID"
        assert await client.end() == "complete"


@EVERY
async def test_a_client_that_cancels_leaves_no_watcher(edge: Edge, over: Over) -> None:
    async with over(edge.url, LIST) as client:
        await client.next()
        assert watchers(edge) == 1
        await client.cancel()
        await until(lambda: watchers(edge) == 0)


@EVERY
async def test_a_client_that_vanishes_leaves_no_watcher(edge: Edge, over: Over) -> None:
    async with over(edge.url, LIST) as client:
        await client.next()
        client.vanish()
        await until(lambda: watchers(edge) == 0)


@pytest.mark.parametrize("over", [OVER["events"], OVER["parts"]])
async def test_a_stream_that_has_nothing_to_say_shows_that_it_lives(over: Over) -> None:
    async with open_edge(keep_alive_s=0.01) as edge, over(edge.url, LIST) as client:
        await client.next()
        await until(lambda: watchers(edge) == 1)
        for quantity in range(3, 6):
            await (create(edge) if quantity == 3 else change(edge, quantity))
            assert frame(await client.next())[0] == "CHANGES"
        assert isinstance(client, Answer)
        assert client.heartbeats > 0


async def test_what_nobody_expected_is_told_by_an_id(
    edge: Edge, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(headers: Any) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(edge.gateway.callers, "of", broken)
    for path in ("/graphql", "/graphql/stream"):
        async with edge.http.post(edge.url + path, json={"query": "{ __typename }"}) as answer:
            error = (await answer.json())["errors"][0]
            assert (answer.status, error["extensions"]["code"]) == (500, "INTERNAL")
            assert error["extensions"]["id"] in caplog.text
            assert "secret" not in error["message"]
    async with edge.websocket() as socket:
        await socket.send_json({"type": "connection_init"})
        closed = await socket.receive()
        assert (closed.data, "Unexpected error" in (closed.extra or ""), "secret" in (closed.extra or "")) == (
            4500,
            True,
            False,
        )
