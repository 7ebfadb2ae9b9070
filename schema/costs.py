"""What fields cost: about one for each document that is read, or row that is written into an answer.

A field that is not named here costs 1, or nothing if it is a scalar. What a page of rows selects is multiplied by the
size of the page, as its arguments say; of a list without a page the field's own cost is meant to cover all of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """`own` is what the field costs; `page` the argument that says how many rows it has, where that is not a page's."""

    own: int
    page: str | None = None


MUTATION = Cost(10)
"""Of each command: it writes."""
SUBSCRIPTION = Cost(10)
"""Of each subscription, once: it is followed for as long as the client likes."""

COSTS: Mapping[str, Cost] = {
    "Query.orders": Cost(20),  # asks every partition
    "Query.customerOrders": Cost(2),
    "Query.customerOrderSummary": Cost(1),
    "Query.productSales": Cost(1),
    "Query.order": Cost(1),
    "Query.node": Cost(1),
    "Query.projections": Cost(100),  # looks at every lease and feed range
    "Subscription.customerOrdersUpdated": Cost(10, page="snapshot"),
    "Subscription.ordersUpdated": Cost(10, page="snapshot"),
    "Order.items": Cost(5),
    "Order.history": Cost(5),  # a question for each order
}
