"""What the read documents must be, recomputed at one go from the write documents and without the projector."""

from collections import Counter, defaultdict
from typing import Any

from read_model.orders import CUSTOMER_VIEWS, PRODUCT_VIEWS
from store import Document
from tests.projector.world import Bodies
from tests.store.notes import content

DIGITS = {"USD": 2, "JPY": 0, "KWD": 3}
DISPLAY = {
    "DRAFT": "Draft",
    "SUBMITTED": "Awaiting payment",
    "PAID": "Paid, to be shipped",
    "SHIPPED": "On its way",
    "DELIVERED": "Delivered",
    "CANCELLED": "Cancelled",
}
STATUSES = list(DISPLAY)

Json = dict[str, Any]


def views_of(feed: list[Document]) -> Bodies:
    """All read documents. A history's sentences are left out: see `without_sentences`."""
    documents = [(document.partition, content(document)) for document in feed]
    orders = [(customer, body) for customer, body in documents if body["kind"] == "order"]
    commands = [(customer, body) for customer, body in documents if body["kind"] == "command"]
    views: Bodies = {}
    for customer, order in orders:
        views[CUSTOMER_VIEWS.name, customer, order["id"]] = _order(order)
    for customer in {customer for customer, _ in orders}:
        id = f"customer:{customer}"
        views[CUSTOMER_VIEWS.name, customer, id] = _summary(id, customer, [o for c, o in orders if c == customer])
    for customer, command in commands:
        for number, event in enumerate(command["events"], command["version"] - len(command["events"]) + 1):
            entry = _entry(customer, command, number, event)
            views[CUSTOMER_VIEWS.name, customer, entry["id"]] = entry
    return views | _sales([command for _, command in commands])


def without_sentences(views: Bodies) -> Bodies:
    return {key: {k: v for k, v in body.items() if k != "summary"} for key, body in views.items()}


def _money(minor: int, currency: str) -> Json:
    digits = DIGITS[currency]
    whole, rest = divmod(minor, int(10**digits))
    return {"amount": f"{whole}.{rest:0{digits}}" if digits else str(whole), "currency": currency}


def _total(order: Json) -> int:
    return sum(line["quantity"] * line["unitPrice"] for line in order["items"])


def _order(order: Json) -> Json:
    address, currency = order["shippingAddress"], order["currency"]
    copied = ("id", "customerId", "customerName", "customerEmail", "status", "version", "createdAt", "updatedAt")
    optional = ("shippingAddress", "paymentMethod", "trackingNumber", "cancelReason", "submittedAt")
    return {key: order[key] for key in (*copied, *optional)} | {
        "kind": "order",
        "statusDisplay": DISPLAY[order["status"]],
        "items": [
            {key: line[key] for key in ("sku", "title", "quantity")}
            | {"unitPrice": _money(line["unitPrice"], currency)}
            | {"lineTotal": _money(line["unitPrice"] * line["quantity"], currency)}
            for line in order["items"]
        ],
        "itemCount": len(order["items"]),
        "total": _money(_total(order), currency),
        "totalMinor": _total(order),
        "productIds": [line["sku"] for line in order["items"]],
        "shippingSummary": f"{address['name']}, {address['city']}, {address['country']}" if address else None,
    }


def _summary(id: str, customer: str, orders: list[Json]) -> Json:
    spent: Counter[str] = Counter()
    for order in orders:
        if order["status"] not in ("DRAFT", "CANCELLED"):
            spent[order["currency"]] += _total(order)
    counts = Counter(order["status"] for order in orders)
    return {
        "kind": "customer",
        "id": id,
        "customerId": customer,
        "totalOrders": len(orders),
        "totalSpent": [_money(minor, currency) for currency, minor in sorted(spent.items()) if minor],
        "ordersByStatus": [{"status": s, "count": counts[s]} for s in STATUSES if counts[s]],
        "lastOrderAt": max(order["createdAt"] for order in orders),
        "version": sum(order["version"] for order in orders),
    }


def _entry(customer: str, command: Json, number: int, event: Json) -> Json:
    return {
        "kind": "event",
        "customerId": customer,
        "id": f"event:{command['orderId']}:{number}",
        "orderId": command["orderId"],
        "type": event["type"],
        "version": number,
        "at": event["at"],
        "commandId": command["id"].removeprefix("cmd:"),
        "summary": "",
        "actor": command["actor"],
    }


def _sales(commands: list[Json]) -> Bodies:
    moves: dict[str, list[tuple[int, Json, Json, Json]]] = defaultdict(list)
    for command in commands:
        for event in command["events"]:
            sign = {"OrderSubmitted": 1, "OrderCancelled": -1}.get(event["type"], 0)
            for line in event["items"] if sign else ():
                moves[line["sku"]].append((sign, command, event, line))
    views: Bodies = {}
    for sku, of_sku in moves.items():
        revenue: Counter[str] = Counter()
        for sign, _, event, line in of_sku:
            revenue[event["currency"]] += sign * line["quantity"] * line["unitPrice"]
        latest = max((event["at"], c["orderId"], line["title"]) for sign, c, event, line in of_sku if sign == 1)
        views[PRODUCT_VIEWS.name, sku, f"product:{sku}"] = {
            "kind": "product",
            "id": f"product:{sku}",
            "sku": sku,
            "title": latest[2],
            "unitsSold": sum(sign * line["quantity"] for sign, _, _, line in of_sku),
            "revenue": [_money(minor, currency) for currency, minor in sorted(revenue.items()) if minor],
            "orderCount": sum(sign for sign, _, _, _ in of_sku),
            "lastSoldAt": latest[0],
            "lastSoldIn": latest[1],
            "version": len(of_sku),
        }
        for order in {command["orderId"] for _, command, _, _ in of_sku}:
            last = max((c["version"], sign) for sign, c, _, _ in of_sku if c["orderId"] == order)
            mark = {"kind": "sale", "id": f"sale:{order}", "sku": sku, "version": last[0], "cancelled": last[1] < 0}
            views[PRODUCT_VIEWS.name, sku, f"sale:{order}"] = mark
    return views
