"""A customer's orders with gql: commands over HTTP, the list over a WebSocket that finds back."""

import asyncio
import uuid
from collections.abc import Callable
from random import uniform
from typing import Any, Self

from gql import Client, GraphQLRequest
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportConnectionFailed
from gql.transport.websockets import WebsocketsTransport

SHOWN = "fragment Shown on Order { id version status itemCount }"
OUTCOME = (
    """
fragment Outcome on OrderCommandResult {
  __typename
  ... on OrderCommandSucceeded { replayed order { ...Shown } }
  ... on CommandFailure { code }
  ... on VersionConflict { current: order { ...Shown } }
}
"""
    + SHOWN
)
CREATE = "mutation ($input: CreateOrderInput!) { outcome: createOrder(input: $input) { ...Outcome } }" + OUTCOME
SUBMIT = "mutation ($input: SubmitOrderInput!) { outcome: submitOrder(input: $input) { ...Outcome } }" + OUTCOME
FOLLOW = (
    """subscription ($customerId: ID!, $after: String) {
  frame: customerOrdersUpdated(customerId: $customerId, after: $after) { kind cursor orders { ...Shown } } }"""
    + SHOWN
)

Order = dict[str, Any]
Outcome = dict[str, Any]


class Orders:
    """What the gateway said, and over it what is not answered yet."""

    def __init__(
        self,
        url: str,
        customer_id: str,
        changed: Callable[[list[Order]], None],
        came: Callable[[dict[str, Any]], None] = lambda frame: None,
    ) -> None:
        self._url, self._customer_id, self._changed, self._came = url, customer_id, changed, came
        self._known: dict[str, Order] = {}
        self._pending: dict[str, Order] = {}
        self._cursor: str | None = None

    async def __aenter__(self) -> Self:
        self._following = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._following.cancel()
        await asyncio.wait([self._following])

    def shown(self) -> list[Order]:
        """Each order once, as it will be when all that is pending is done."""
        orders = dict(self._known)
        for change in self._pending.values():
            orders[change["id"]] = {"version": 0, **orders.get(change["id"], {}), **change}
        return list(orders.values())

    async def create(self, items: list[dict[str, Any]]) -> Outcome:
        """The client chooses the order's UUID, so the order can be shown at once."""
        order_uuid = str(uuid.uuid4())
        customer = {"name": self._customer_id, "email": "customer@example.com"}
        values = {"customerId": self._customer_id, "orderUuid": order_uuid, "customer": customer, "items": items}
        change = {"id": f"order:{self._customer_id}:{order_uuid}", "status": "DRAFT", "itemCount": len(items)}
        return await self._run(CREATE, values, change)

    async def submit(self, order: Order) -> Outcome:
        """Refused if the order has changed since it was shown."""
        values = {"orderId": order["id"], "expectedVersion": order["version"]}
        return await self._run(SUBMIT, values, {"id": order["id"], "status": "SUBMITTED"})

    async def _run(self, document: str, values: dict[str, Any], change: Order) -> Outcome:
        command_id = str(uuid.uuid4())
        request = GraphQLRequest(document, variable_values={"input": {"commandId": command_id, **values}})
        self._pending[command_id] = change
        self._changed(self.shown())
        try:
            outcome: Outcome = (await self._send(request))["outcome"]
            if order := outcome.get("order") or outcome.get("current"):
                self._take([order])
            return outcome
        finally:
            del self._pending[command_id]
            self._changed(self.shown())

    async def _send(self, request: GraphQLRequest) -> dict[str, Any]:
        """Sent again until it is answered: the command id makes it one effect."""
        while True:
            try:
                async with Client(transport=AIOHTTPTransport(url=f"{self._url}/graphql")) as session:
                    return dict(await session.execute(request))
            except TransportConnectionFailed:
                await asyncio.sleep(uniform(0.25, 1))

    async def _follow(self) -> None:
        """After a cut, the list goes on behind the last frame."""
        url = self._url.replace("http", "ws", 1) + "/graphql"
        while True:
            variables = {"customerId": self._customer_id, "after": self._cursor}
            transport = WebsocketsTransport(url=url, subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL])
            try:
                async with Client(transport=transport) as session:
                    async for result in session.subscribe(GraphQLRequest(FOLLOW, variable_values=variables)):
                        frame = result["frame"]
                        self._cursor = frame["cursor"]
                        self._take(frame["orders"])
                        self._came(frame)
            except TransportConnectionFailed:
                await asyncio.sleep(uniform(0.25, 1))

    def _take(self, orders: list[Order]) -> None:
        """From a frame or an answer, in whatever order they come: the newest version stays."""
        for order in orders:
            if order["version"] > self._known.get(order["id"], {"version": 0})["version"]:
                self._known[order["id"]] = order
        self._changed(self.shown())
