"""Everybody who may ask, and a question for each field with a resolver."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Any

from graphql import ExecutionResult, GraphQLError

from gateway.execution import Operation
from gateway.execution.reference import Reference, formatted
from schema.errors import coded
from schema.viewer import FULFIL, NOBODY, OPERATE, READ, WRITE, Viewer
from tests.schema.api import ADDRESS, EXECUTOR, SCHEMA, UUIDS, Api, Json, Told, line, new_order

REFERENCE = Reference(SCHEMA)


def service(*scopes: str) -> Viewer:
    return Viewer("service", "robot", scopes=frozenset(scopes))


ROLES = {
    "nobody": NOBODY,
    "its customer": Viewer("customer", "user|1", customer="ada"),
    "another customer": Viewer("customer", "user|2", customer="bob"),
    "staff": Viewer("staff", "carol"),
    "service": service("something:else"),
    **{f"`{scope}`": service(scope) for scope in (READ, WRITE, FULFIL, OPERATE)},
}
"""By the names of the columns in docs/security/access.md."""

ID = f"order:ada:{UUIDS[1]}"
ITEM = line("cup", 1, "3.00", "Cup")

INPUTS: dict[str, Json] = {
    "createOrder": new_order("ada", orderUuid=UUIDS[2]),
    "addItem": {"item": ITEM},
    "changeItemQuantity": {"sku": "tea", "quantity": 3},
    "removeItem": {"sku": "nothing"},
    "setShippingAddress": {"address": ADDRESS},
    "setPaymentMethod": {"method": "CARD"},
    "submitOrder": {},
    "cancelOrder": {"reason": "no"},
    "recordPayment": {"amount": "10.00", "reference": "r"},
    "shipOrder": {"carrier": "c", "trackingNumber": "t"},
    "deliverOrder": {},
}
QUESTIONS = {
    "Query.node": "query($id: ID!) { it: node(id: $id) { id } }",
    "Query.order": "query($id: ID!) { it: order(id: $id) { id customerEmail } }",
    "Query.customerOrders": '{ it: customerOrders(customerId: "ada") { nodes { id } } }',
    "Query.customerOrderSummary": '{ it: customerOrderSummary(customerId: "ada") { totalOrders } }',
    "Query.productSales": '{ it: productSales(sku: "tea") { unitsSold } }',
    "Query.orders": "{ it: orders { nodes { id } } }",
    "Query.projections": "{ it: projections { name } }",
    "Order.history": "query($id: ID!) { it: order(id: $id) { history { nodes { summary actor } } } }",
    "Subscription.orderUpdated": "subscription($id: ID!) { it: orderUpdated(id: $id) { version } }",
    "Subscription.customerOrdersUpdated": 'subscription { it: customerOrdersUpdated(customerId: "ada") { kind } }',
    "Subscription.customerOrderSummaryUpdated": (
        'subscription { it: customerOrderSummaryUpdated(customerId: "ada") { version } }'
    ),
    "Subscription.productSalesUpdated": 'subscription { it: productSalesUpdated(sku: "tea") { unitsSold } }',
    "Subscription.ordersUpdated": "subscription { it: ordersUpdated { kind orders { id } } }",
    "Subscription.projections": "subscription { it: projections { name } }",
} | {
    f"Mutation.{name}": f"mutation($input: {name[0].upper()}{name[1:]}Input!) {{ it: {name}(input: $input) "
    "{ __typename ... on CommandFailure { code message } } }"
    for name in INPUTS
}


def question(field: str, id: str = ID) -> Operation:
    """What asks for a field, about an order of Ada's."""
    name = field.partition(".")[2]
    if name in INPUTS:
        about = {} if name == "createOrder" else {"orderId": id}
        return Operation(QUESTIONS[field], variables={"input": INPUTS[name] | about})
    return Operation(QUESTIONS[field], variables={"id": id} if "$id" in QUESTIONS[field] else None)


@dataclass(frozen=True)
class As:
    """Somebody who asks, of a plan where there is one, or of the reference executor."""

    api: Api
    viewer: Viewer
    by_plan: bool = True

    async def ask(self, operation: Operation) -> Told | None:
        """The result; of a subscription the first one, or None where none comes before the live view is drained."""
        context = replace(self.api.context, viewer=self.viewer)
        prepared = EXECUTOR.prepared(operation)
        assert prepared, EXECUTOR.document(operation).errors
        if prepared.kind.value != "subscription":
            if self.by_plan:
                return Told.of(await EXECUTOR.execute(operation, context))
            return Told.of(await REFERENCE.execute(prepared, operation.variables, context))
        results: AsyncGenerator[Any, None] | ExecutionResult
        if self.by_plan:
            results = EXECUTOR.stream(operation, context)
        else:
            results = await REFERENCE.subscribe(prepared, operation.variables, context)
            if isinstance(results, ExecutionResult):
                return Told.of(formatted(results))
        try:
            first: Any = await anext(results, None)
        except Exception as error:  # noqa: BLE001  # as the executor takes it
            cause = getattr(error, "original_error", None) or error
            return Told.of({"errors": [coded(GraphQLError(str(error), original_error=cause)).formatted]})
        finally:
            await results.aclose()
        if first is None:
            return None
        return Told.of(formatted(first) if isinstance(first, ExecutionResult) else first)


def outcome(told: Told | None) -> str:
    """What a result comes to, as docs/security/access.md has it."""
    if told is None:
        return "absent"
    if told.errors:
        return str((told.errors[0].extensions or {})["code"])
    it = (told.data or {})["it"]
    return "absent" if it is None or (isinstance(it, dict) and it.get("code") == "ORDER_NOT_FOUND") else "yes"
