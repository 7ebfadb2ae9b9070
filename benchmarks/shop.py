"""What the servers are asked, and the orders that they are asked about: made through the gateway's own API."""

import asyncio
import itertools
import uuid
from collections.abc import Iterator
from pathlib import Path

from benchmarks.client import data, drive, graphql
from benchmarks.processes import Server, gateway

BY_ID = """query ById($id: ID!) {
  order(id: $id) {
    id customerId customerName customerEmail status statusDisplay version itemCount createdAt updatedAt
    shippingAddress { city country }
  }
}"""
LIST = """query List($customerId: ID!) {
  customerOrders(customerId: $customerId, first: 20) {
    nodes { id customerId customerName status statusDisplay version itemCount createdAt updatedAt shippingSummary }
  }
}"""
ADD_ITEM = """mutation AddItem($input: AddItemInput!) {
  addItem(input: $input) {
    ... on OrderCommandSucceeded { order { id version status itemCount total { amount currency } } }
    ... on CommandFailure { code message }
  }
}"""
CREATE = """mutation Create($input: CreateOrderInput!) {
  createOrder(input: $input) {
    ... on OrderCommandSucceeded { order { id version } }
    ... on CommandFailure { code message }
  }
}"""
FOLLOW = """subscription Follow($id: ID!) {
  orderUpdated(id: $id) { id status statusDisplay version itemCount updatedAt total { amount currency } }
}"""

PER_CUSTOMER = 20
AT_ONCE = 32
SUCCEEDED = b'"version":'
ADDRESS = {"name": "Ada Berg", "line1": "12 Mill Street", "city": "Berlin", "postalCode": "10115", "country": "DE"}
ITEMS = [
    {"sku": "TEA", "title": "Green tea, 100 g", "quantity": 2, "unitPrice": "4.50"},
    {"sku": "LAMP", "title": "Desk lamp of walnut", "quantity": 1, "unitPrice": "89.90"},
]


def customer(number: int) -> str:
    """The customer that an order belongs to, by the order's number."""
    return f"customer{number // PER_CUSTOMER:06}"


def order_id(number: int) -> str:
    """The id of an order, by its number."""
    return f"order:{customer(number)}:{uuid.UUID(int=number)}"


def create(number: int, items: list[dict[str, object]] | None = None) -> bytes:
    """The request that creates an order."""
    input = {
        "customerId": customer(number),
        "orderUuid": str(uuid.UUID(int=number)),
        "commandId": str(uuid.uuid4()),
        "currency": "EUR",
        "customer": {"name": "Ada Berg", "email": "ada.berg@example.com"},
        "shippingAddress": ADDRESS,
        "items": items or ITEMS,
    }
    return graphql(CREATE, input=input)


def adding(numbers: list[int], sku: str = "TEA") -> Iterator[bytes]:
    """Requests without end that add to one order after the other, each a command of its own."""
    mark = str(uuid.UUID(int=0))
    item = {"sku": sku, "title": "Green tea, 100 g", "quantity": 1, "unitPrice": "4.50"}
    requests = [graphql(ADD_ITEM, input={"commandId": mark, "orderId": order_id(n), "item": item}) for n in numbers]
    for head, tail in itertools.cycle(
        [(head, tail) for head, _, tail in (r.partition(mark.encode()) for r in requests)]
    ):
        yield head + str(uuid.uuid4()).encode() + tail


def reading(numbers: list[int]) -> list[bytes]:
    """Requests for one order each."""
    return [graphql(BY_ID, id=order_id(number)) for number in numbers]


def listing(numbers: list[int]) -> list[bytes]:
    """Requests for the first 20 orders of a customer each."""
    return [graphql(LIST, customerId=customer(number)) for number in numbers]


async def caught_up(server: Server, within_s: float = 120.0) -> None:
    """Wait until the gateway has projected all there is."""
    async with asyncio.timeout(within_s):
        while await _behind(server):  # noqa: ASYNC110  another process
            await asyncio.sleep(0.1)


async def _behind(server: Server) -> float:
    """Changes that are not projected yet."""
    rows = (await data(server.port, graphql("{ projections { behind } }")))["projections"]
    return float(sum(row["behind"] for row in rows))


async def fill(server: Server, orders: int) -> None:
    """Create so many orders by commands."""
    await drive(server.port, (create(number) for number in range(orders)), AT_ONCE, good=SUCCEEDED)


async def filled(folder: Path, orders: int, *options: str) -> Path:
    """A store of so many orders that was served once, and is projected unless the options say otherwise."""
    path = folder / f"orders{orders}{''.join(options)}.db"
    if not path.exists():
        async with gateway("--store", f"sqlite:///{path}", *options) as server:
            await fill(server, orders)
            if "--no-projector" not in options:
                await caught_up(server)
    return path
