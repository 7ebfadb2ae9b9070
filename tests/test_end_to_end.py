"""The product as a user meets it: a process, a client over HTTP, a client over a WebSocket."""

import asyncio
import signal
import uuid
from typing import Any

import pytest
from gql import gql

from tests.served import ask, ask_until, http, served, websocket

pytestmark = pytest.mark.usefixtures("store_url")

ORDER = f"order:alice:{uuid.uuid4()}"
ADDRESS = {"name": "Alice", "line1": "1 Main Street", "city": "Berlin", "postalCode": "10115", "country": "DE"}
LAMP = {"sku": "LAMP-1", "title": "Desk lamp", "quantity": 2, "unitPrice": "19.90"}

CREATE = """mutation ($input: CreateOrderInput!) { createOrder(input: $input) { __typename
  ... on OrderCommandSucceeded { order { id version } consistencyToken } ... on CommandFailure { code } } }"""
STEP = """mutation ($input: %sInput!) { result: %s(input: $input) {
  __typename ... on OrderCommandSucceeded { order { version status } } ... on CommandFailure { code message } } }"""
STEPS: list[tuple[str, str, dict[str, Any], str]] = [
    ("AddItem", "addItem", {"item": LAMP}, "DRAFT"),
    ("SetShippingAddress", "setShippingAddress", {"address": ADDRESS}, "DRAFT"),
    ("SubmitOrder", "submitOrder", {}, "SUBMITTED"),
    ("RecordPayment", "recordPayment", {"amount": "39.80", "reference": "PAY-1"}, "PAID"),
    ("ShipOrder", "shipOrder", {"carrier": "Post", "trackingNumber": "T-1"}, "SHIPPED"),
    ("DeliverOrder", "deliverOrder", {"orderId": ORDER}, "DELIVERED"),
]
SUMMARY = """query { customerOrderSummary(customerId: "alice") {
  totalOrders totalSpent { amount currency } ordersByStatus { status count } } }"""
SPENT = {
    "customerOrderSummary": {
        "totalOrders": 1,
        "totalSpent": [{"amount": "39.80", "currency": "USD"}],
        "ordersByStatus": [{"status": "DELIVERED", "count": 1}],
    }
}


async def create(session: Any, order_id: str) -> dict[str, Any]:
    _, customer_id, order_uuid = order_id.split(":")
    customer = {"name": "Alice", "email": "alice@example.com"}
    values = {"customerId": customer_id, "orderUuid": order_uuid, "customer": customer}
    result: dict[str, Any] = (await ask(session, CREATE, input=values))["createOrder"]
    assert result["__typename"] == "OrderCommandSucceeded", result
    return result


async def test_an_order_lives_its_life_and_is_seen_at_every_step_and_after_a_restart() -> None:
    async with served() as gateway, http(gateway) as client, websocket(gateway) as live:
        await create(client, ORDER)
        follow = gql("subscription ($id: ID!) { orderUpdated(id: $id) { version status } }")
        follow.variable_values = {"id": ORDER}
        updates = live.subscribe(follow)
        assert (await anext(updates))["orderUpdated"] == {"version": 1, "status": "DRAFT"}
        for version, (name, field, values, status) in enumerate(STEPS, start=2):
            answer = await ask(client, STEP % (name, field), input={"orderId": ORDER, **values})
            at = {"version": version, "status": status}
            assert answer["result"] == {"__typename": "OrderCommandSucceeded", "order": at}
            assert (await anext(updates))["orderUpdated"] == at
        await updates.aclose()
        await ask_until(client, SUMMARY, SPENT)

    async with served() as gateway, http(gateway) as client:
        assert await ask(client, SUMMARY) == SPENT
        order = await ask(client, "query ($id: ID!) { order(id: $id) { version trackingNumber } }", id=ORDER)
        assert order == {"order": {"version": 7, "trackingNumber": "T-1"}}
        sales = await ask(client, '{ productSales(sku: "LAMP-1") { unitsSold revenue { amount } } }')
        assert sales == {"productSales": {"unitsSold": 2, "revenue": [{"amount": "39.80"}]}}


async def test_what_was_acknowledged_before_a_sudden_death_is_there_and_projected_after_it() -> None:
    ids = [f"order:alice:{uuid.uuid4()}" for _ in range(20)]
    async with served("--no-projector") as gateway, http(gateway) as client:
        for id in ids:
            await create(client, id)
        await gateway.stop(signal.SIGKILL)
    async with served() as gateway, http(gateway) as client:
        count = {"customerOrderSummary": {"totalOrders": len(ids)}}
        await ask_until(client, '{ customerOrderSummary(customerId: "alice") { totalOrders } }', count)


async def test_a_query_with_the_commands_token_sees_the_command() -> None:
    async with served() as gateway, http(gateway) as client:
        for _ in range(10):
            created = await create(client, f"order:bob:{uuid.uuid4()}")
            answer = await ask(
                client,
                """query ($id: ID!, $token: ConsistencyToken!) {
                  order(id: $id, consistency: {after: [$token], waitMs: 10000, onTimeout: ERROR}) { version } }""",
                id=created["order"]["id"],
                token=created["consistencyToken"],
            )
            assert answer == {"order": {"version": 1}}


async def test_several_workers_share_the_port_and_the_store() -> None:
    async with (
        served("--workers", "2") as gateway,
        http(gateway) as client,
        websocket(gateway) as live,
    ):
        frames = live.subscribe(
            gql('subscription { customerOrdersUpdated(customerId: "alice") { kind orders { id } } }')
        )
        assert (await anext(frames))["customerOrdersUpdated"] == {"kind": "SNAPSHOT", "orders": []}
        ids = {(await create(client, f"order:alice:{uuid.uuid4()}"))["order"]["id"] for _ in range(10)}
        seen: set[str] = set()
        async with asyncio.timeout(90):
            while seen != ids:
                seen |= {order["id"] for order in (await anext(frames))["customerOrdersUpdated"]["orders"]}
        await frames.aclose()
