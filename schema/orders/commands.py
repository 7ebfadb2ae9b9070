"""The commands on orders: an input becomes a decision, and its outcome a typed result."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

import strawberry

from projector.orders import order_view
from read_model.consistency import token
from read_model.signing import Signer
from schema.access import Arguments, allow
from schema.context import Info, Viewing, given
from schema.ids import ORDER_ID
from schema.orders import command_types as api
from schema.orders.command_types import OrderCommandResult
from schema.scalars import UUID, ConsistencyToken
from schema.viewer import FULFIL, WRITE
from write_model import orders
from write_model.commands import Applied, Command
from write_model.handler import Aggregates, execute
from write_model.refusals import CommandIdReused, NotFound, Rejected, VersionConflict

Execute = Callable[
    [Aggregates[orders.Order, orders.Event], Command[orders.Order, orders.Event]], Awaitable[Applied[orders.Order]]
]


@dataclass(frozen=True, kw_only=True)
class Writing(Viewing):
    """What commands are carried out with. `now` gives RFC 3339 in UTC, `new_id` a UUID.

    `signer` signs consistency tokens. `execute` is the write model's, or one that wraps it.
    """

    orders: Aggregates[orders.Order, orders.Event]
    now: Callable[[], str]
    new_id: Callable[[], str]
    signer: Signer
    execute: Execute = execute


Asked = Info[Writing]
WHAT = strawberry.argument(description="Which order, and what to do with it.")

DONE = {
    "create": "Order created.",
    "add_item": "Item added.",
    "change_item_quantity": "Quantity changed.",
    "remove_item": "Item removed.",
    "set_shipping_address": "Shipping address set.",
    "set_payment_method": "Payment method set.",
    "submit": "Order submitted.",
    "record_payment": "Payment recorded.",
    "ship": "Order shipped.",
    "deliver": "Order delivered.",
    "cancel": "Order cancelled.",
}


def _customer(_: object, arguments: Arguments) -> str:
    """The customer that an order is to be begun for."""
    customer_id: str = arguments["input"].customer_id
    return customer_id.removeprefix("customer:")


def _owner(_: object, arguments: Arguments) -> str | None:
    """The customer whose order a command is about; None for an ID that cannot be."""
    match = ORDER_ID.fullmatch(arguments["input"].order_id)
    return match[1] if match else None


async def _not_found(ask: Callable[..., Any], arguments: Arguments) -> OrderCommandResult:
    """What is answered for somebody else's order, as for one that there is not."""
    order_id: str = arguments["input"].order_id
    return _no_order(order_id) if ORDER_ID.fullmatch(order_id) else _no_id()


@strawberry.type
class OrderMutations:
    @strawberry.mutation(description="Begin an order.")
    @allow(WRITE, _customer)
    async def create_order(self, info: Asked, input: Annotated[api.CreateOrderInput, WHAT]) -> OrderCommandResult:
        customer_id = input.customer_id.removeprefix("customer:")
        uuid = given(input.order_uuid) or info.context.new_id()
        try:
            id = orders.order_id(customer_id, uuid)
        except Rejected as refusal:
            return _rejected(refusal)
        address = given(input.shipping_address)
        arguments = {
            "id": id,
            "customer_id": customer_id,
            "name": input.customer.name,
            "email": input.customer.email,
            "currency": input.currency,
            "shipping_address": _address(address) if address else None,
            "items": [_item(item) for item in input.items],
        }
        return await _run(info, orders.create, id, customer_id, arguments, given(input.command_id))

    @strawberry.mutation(description="Add a line, or more pieces of the same sku at the same price.")
    @allow(WRITE, _owner, _not_found)
    async def add_item(self, info: Asked, input: Annotated[api.AddItemInput, WHAT]) -> OrderCommandResult:
        return await _on_order(info, input, orders.add_item, item=_item(input.item))

    @strawberry.mutation(description="Set how many pieces a line has.")
    @allow(WRITE, _owner, _not_found)
    async def change_item_quantity(
        self, info: Asked, input: Annotated[api.ChangeItemQuantityInput, WHAT]
    ) -> OrderCommandResult:
        return await _on_order(info, input, orders.change_item_quantity, sku=input.sku, quantity=input.quantity)

    @strawberry.mutation(description="Take a line out.")
    @allow(WRITE, _owner, _not_found)
    async def remove_item(self, info: Asked, input: Annotated[api.RemoveItemInput, WHAT]) -> OrderCommandResult:
        return await _on_order(info, input, orders.remove_item, sku=input.sku)

    @strawberry.mutation(description="Say where the order goes; possible until it is paid.")
    @allow(WRITE, _owner, _not_found)
    async def set_shipping_address(
        self, info: Asked, input: Annotated[api.SetShippingAddressInput, WHAT]
    ) -> OrderCommandResult:
        return await _on_order(info, input, orders.set_shipping_address, address=_address(input.address))

    @strawberry.mutation(description="Say how the order will be paid; possible until it is paid.")
    @allow(WRITE, _owner, _not_found)
    async def set_payment_method(
        self, info: Asked, input: Annotated[api.SetPaymentMethodInput, WHAT]
    ) -> OrderCommandResult:
        method = orders.PaymentMethod(input.method)
        return await _on_order(info, input, orders.set_payment_method, method=method, reference=given(input.reference))

    @strawberry.mutation(description="Order what is in it: not empty, and with an address.")
    @allow(WRITE, _owner, _not_found)
    async def submit_order(self, info: Asked, input: Annotated[api.SubmitOrderInput, WHAT]) -> OrderCommandResult:
        return await _on_order(info, input, orders.submit)

    @strawberry.mutation(description="Staff: record that the order's total was paid.")
    @allow(FULFIL)
    async def record_payment(self, info: Asked, input: Annotated[api.RecordPaymentInput, WHAT]) -> OrderCommandResult:
        return await _on_order(info, input, orders.record_payment, amount=input.amount, reference=input.reference)

    @strawberry.mutation(description="Staff: hand a paid order to a carrier.")
    @allow(FULFIL)
    async def ship_order(self, info: Asked, input: Annotated[api.ShipOrderInput, WHAT]) -> OrderCommandResult:
        return await _on_order(info, input, orders.ship, carrier=input.carrier, tracking_number=input.tracking_number)

    @strawberry.mutation(description="Staff: a shipped order has arrived.")
    @allow(FULFIL)
    async def deliver_order(self, info: Asked, input: Annotated[api.DeliverOrderInput, WHAT]) -> OrderCommandResult:
        return await _on_order(info, input, orders.deliver)

    @strawberry.mutation(description="Call the order off; possible until it is shipped.")
    @allow(WRITE, _owner, _not_found)
    async def cancel_order(self, info: Asked, input: Annotated[api.CancelOrderInput, WHAT]) -> OrderCommandResult:
        return await _on_order(info, input, orders.cancel, reason=input.reason)


async def _on_order(
    info: Asked, input: api.OrderCommandInput, decide: Callable[..., list[orders.Event]], **arguments: Any
) -> OrderCommandResult:
    match = ORDER_ID.fullmatch(input.order_id)
    if not match:
        return _no_id()
    return await _run(
        info, decide, input.order_id, match[1], arguments, given(input.command_id), given(input.expected_version)
    )


async def _run(
    info: Asked,
    decide: Callable[..., list[orders.Event]],
    order_id: str,
    customer_id: str,
    arguments: dict[str, Any],
    command_id: str | None,
    expected_version: int | None = None,
) -> OrderCommandResult:
    command: Command[orders.Order, orders.Event] = Command(
        decide=decide,
        aggregate_id=order_id,
        partition=customer_id,
        arguments=arguments,
        id=command_id or info.context.new_id(),
        given=command_id is not None,
        at=info.context.now(),
        expected_version=expected_version,
        actor=info.context.viewer.actor,
    )
    try:
        applied = await info.context.execute(info.context.orders, command)
    except Rejected as refusal:
        return _rejected(refusal)
    except VersionConflict as conflict:
        return api.VersionConflict(
            message=f"The order is at version {conflict.state.version}, not {conflict.expected}.",
            code="VERSION_CONFLICT",
            expected_version=conflict.expected,
            current_version=conflict.state.version,
            order=order_view(conflict.state),
        )
    except NotFound:
        return _no_order(order_id)
    except CommandIdReused:
        return api.CommandIdReused(
            message="This command id was used for another command, or with another input.",
            code="COMMAND_ID_REUSED",
            command_id=UUID(command.id),
        )
    return api.OrderCommandSucceeded(
        command_id=UUID(command.id),
        order=order_view(applied.state),
        message=DONE[command.name],
        consistency_token=ConsistencyToken(token(info.context.signer, order_id, applied.state.version)),
        replayed=applied.replayed,
    )


def _no_order(order_id: str) -> api.OrderNotFound:
    return api.OrderNotFound(
        message="There is no such order.", code="ORDER_NOT_FOUND", order_id=strawberry.ID(order_id)
    )


def _no_id() -> api.CommandRejected:
    return _rejected(Rejected("ID_INVALID", "an order's ID reads order:<customerId>:<uuid>", "orderId"))


def _rejected(refusal: Rejected) -> api.CommandRejected:
    order = order_view(refusal.state) if refusal.state else None
    return api.CommandRejected(message=refusal.message, code=refusal.code, fields=list(refusal.fields), order=order)


def _item(item: api.OrderItemInput) -> orders.NewItem:
    return orders.NewItem(item.sku, item.title, item.quantity, item.unit_price)


def _address(address: api.AddressInput) -> orders.Address:
    return orders.Address(
        name=address.name,
        line1=address.line1,
        line2=given(address.line2),
        city=address.city,
        region=given(address.region),
        postal_code=address.postal_code,
        country=address.country,
    )
