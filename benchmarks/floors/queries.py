"""The two queries written by hand: the variables are taken, the rows read, the fields picked, JSON written.

    python -m benchmarks.floors.queries bare|starlette FILE

There is no GraphQL in it: it knows the two documents. As in hand-written code, documents are decoded to dictionaries.
"""

import sqlite3
import sys
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.floors.serving import App, Receive, Scope, Send, answer, body_of, serve
from benchmarks.rows import BY_ID_SQL, LIST_SQL, opened

Object = dict[str, Any]
decode, encode = msgspec.json.decode, msgspec.json.Encoder().encode


def by_id(db: sqlite3.Connection, id: str) -> Object:
    """The order of that id, 12 fields."""
    ((body,),) = db.execute(BY_ID_SQL, (id.split(":", 2)[1], id)).fetchall()
    order = decode(body)
    address = order["shippingAddress"]
    picked = {
        "id": order["id"],
        "customerId": order["customerId"],
        "customerName": order["customerName"],
        "customerEmail": order["customerEmail"],
        "status": order["status"],
        "statusDisplay": order["statusDisplay"],
        "version": order["version"],
        "itemCount": order["itemCount"],
        "createdAt": order["createdAt"],
        "updatedAt": order["updatedAt"],
        "shippingAddress": address and {"city": address["city"], "country": address["country"]},
    }
    return {"data": {"order": picked}}


def listed(db: sqlite3.Connection, customer_id: str) -> Object:
    """The customer's newest 20 orders, 10 fields each."""
    nodes = [
        {
            "id": order["id"],
            "customerId": order["customerId"],
            "customerName": order["customerName"],
            "status": order["status"],
            "statusDisplay": order["statusDisplay"],
            "version": order["version"],
            "itemCount": order["itemCount"],
            "createdAt": order["createdAt"],
            "updatedAt": order["updatedAt"],
            "shippingSummary": order["shippingSummary"],
        }
        for order in (decode(body) for (body,) in db.execute(LIST_SQL, (customer_id,)).fetchall())
    ]
    return {"data": {"customerOrders": {"nodes": nodes}}}


def asked(db: sqlite3.Connection, body: bytes) -> bytes:
    """The answer to a request's body."""
    variables = decode(body)["variables"]
    return encode(by_id(db, variables["id"]) if "id" in variables else listed(db, variables["customerId"]))


def bare(db: sqlite3.Connection) -> App:
    """On ASGI itself."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, asked(db, await body_of(receive)))

    return app


def starlette(db: sqlite3.Connection) -> App:
    """With Starlette's router, request and response."""

    async def endpoint(request: Request) -> Response:
        return Response(asked(db, await request.body()), media_type="application/json")

    return Starlette(routes=[Route("/graphql", endpoint, methods=["POST"])])


if __name__ == "__main__":
    kind, path = sys.argv[1:]
    serve({"bare": bare, "starlette": starlette}[kind](opened(path)))
