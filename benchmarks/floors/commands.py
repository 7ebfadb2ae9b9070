"""The mutation written by hand: an item is added to an order, durable before it is answered, with all that wait.

    python -m benchmarks.floors.commands commit|project FILE

There is no GraphQL in it, and next to nothing is checked. It writes what the gateway writes, to the tables that FILE
has; with `project` the read documents too, in the same transaction, without a feed.
"""

import asyncio
import hashlib
import sqlite3
import sys
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec

from benchmarks.floors.serving import Receive, Scope, Send, answer, body_of, serve
from benchmarks.rows import READ_TABLE, WRITE_TABLE

Object = dict[str, Any]
decode, encode = msgspec.json.decode, msgspec.json.Encoder().encode
COLUMNS = "(partition, id, lsn, range, body) VALUES (?, ?, ?, ?, CAST(? AS TEXT))"
CHANGE = "SET lsn = ?, body = CAST(? AS TEXT) WHERE partition = ? AND id = ?"


class Shop:
    """The file's orders, each kept in memory once it was read."""

    def __init__(self, path: str, *, projects: bool) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript("PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32768")
        ((self._lsn,),) = self._db.execute("SELECT max(lsn) FROM containers")
        self._projects = projects
        self._orders: dict[str, tuple[int, Object]] = {}
        self._waiting: list[tuple[Object, asyncio.Future[Object]]] = []

    async def add(self, input: Object) -> Object:
        """Add an item: what the order is afterwards."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._commit)
        added: asyncio.Future[Object] = loop.create_future()
        self._waiting.append((input, added))
        return await added

    def _commit(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._db.execute("BEGIN IMMEDIATE")
        orders = [self._apply(input) for input, _ in waiting]
        self._db.execute("UPDATE containers SET lsn = ?", (self._lsn,))
        self._db.execute("COMMIT")
        for (_, added), order in zip(waiting, orders, strict=True):
            added.set_result(order)

    def _apply(self, input: Object) -> Object:
        id, item, at = input["orderId"], input["item"], f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        partition = id.split(":", 2)[1]
        range_, order = self._order(partition, id)
        assert order["status"] == "DRAFT"
        line = next((line for line in order["items"] if line["sku"] == item["sku"]), None)
        if line:
            line["quantity"] += item["quantity"]
        else:
            order["items"].append({**item, "unitPrice": round(float(item["unitPrice"]) * 100)})
        order["version"] += 1
        order["updatedAt"] = at
        command = {
            "kind": "command",
            "id": f"cmd:{uuid.UUID(input['commandId'])}",
            "name": "add_item",
            "fingerprint": hashlib.sha256(encode([id, item])).hexdigest(),
            "orderId": id,
            "version": order["version"],
            "events": [{"type": "ItemAdded", "at": at, "item": item}],
            "at": at,
        }
        self._lsn += 1
        self._insert(WRITE_TABLE, partition, range_, command)
        self._replace(WRITE_TABLE, partition, order)
        if self._projects:
            self._project(partition, range_, order, command)
        return order

    def _project(self, partition: str, range_: int, order: Object, command: Object) -> None:
        event = {
            "kind": "event",
            "id": f"event:{order['id']}:{order['version']}",
            "orderId": order["id"],
            "type": "ItemAdded",
            "version": order["version"],
            "at": command["at"],
            "commandId": command["id"].removeprefix("cmd:"),
            "summary": "Added",
            "actor": None,
        }
        summary = self._read(READ_TABLE, partition, f"customer:{partition}")[1]
        view = self._read(READ_TABLE, partition, order["id"])[1]
        items = [
            {**line, "unitPrice": money(line["unitPrice"]), "lineTotal": money(line["unitPrice"] * line["quantity"])}
            for line in order["items"]
        ]
        changed = {"version": order["version"], "items": items, "totalMinor": total(order)}
        amounts = {"total": money(total(order)), "itemCount": len(items), "updatedAt": order["updatedAt"]}
        self._insert(READ_TABLE, partition, range_, event)
        self._replace(READ_TABLE, partition, view | changed | amounts)
        self._replace(READ_TABLE, partition, summary | {"version": summary["version"] + 1})

    def _order(self, partition: str, id: str) -> tuple[int, Object]:
        if id not in self._orders:
            self._orders[id] = self._read(WRITE_TABLE, partition, id)
        return self._orders[id]

    def _read(self, table: str, partition: str, id: str) -> tuple[int, Object]:
        find = f"SELECT range, CAST(body AS BLOB) FROM {table} WHERE partition = ? AND id = ?"
        range_, body = self._db.execute(find, (partition, id)).fetchone()
        return range_, decode(body)

    def _insert(self, table: str, partition: str, range_: int, document: Object) -> None:
        values = (partition, document["id"], self._lsn, range_, encode(document))
        self._db.execute(f"INSERT INTO {table} {COLUMNS}", values)

    def _replace(self, table: str, partition: str, document: Object) -> None:
        self._db.execute(f"UPDATE {table} {CHANGE}", (self._lsn, encode(document), partition, document["id"]))


def total(order: Object) -> int:
    """In cents."""
    return sum(line["unitPrice"] * line["quantity"] for line in order["items"])


def money(cents: int) -> Object:
    """As the answer has it."""
    return {"amount": f"{cents // 100}.{cents % 100:02}", "currency": "EUR"}


def answered(order: Object) -> bytes:
    """The answer to the one mutation that there is."""
    picked = {
        "id": order["id"],
        "version": order["version"],
        "status": order["status"],
        "itemCount": len(order["items"]),
        "total": money(total(order)),
    }
    return encode({"data": {"addItem": {"order": picked}}})


if __name__ == "__main__":
    kind, path = sys.argv[1:]
    shop = Shop(path, projects=kind == "project")

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        """Add an item."""
        await answer(send, answered(await shop.add(decode(await body_of(receive))["variables"]["input"])))

    serve(app)
