"""What commands on orders take, and the typed results that they answer with."""

from typing import Annotated

import strawberry

from read_model import orders as read
from schema.orders.types import Order
from schema.scalars import UUID, ConsistencyToken, Decimal

# ---------------------------------------------------------------------------------------------------- results


@strawberry.type(
    description="The command is in the write model. `order` is what the projection will show, so a normalised cache "
    "can take it at once."
)
class OrderCommandSucceeded:
    command_id: UUID = strawberry.field(description="The command's id: the caller's, or one that was made for it.")
    order: read.OrderView = strawberry.field(graphql_type=Order, description="The order as the command left it.")
    message: str = strawberry.field(description="What was done, for people.")
    consistency_token: ConsistencyToken = strawberry.field(description="Given to a query, it shows this write.")
    replayed: bool = strawberry.field(
        description="True when this is the stored result of an earlier, identical command."
    )


@strawberry.interface(description="Why a command was not carried out; nothing was written.")
class CommandFailure:
    message: str = strawberry.field(description="What is wrong, for people.")
    code: str = strawberry.field(description="What is wrong, for programs.")


@strawberry.type(description="A rule forbids it.")
class CommandRejected(CommandFailure):
    fields: list[str] = strawberry.field(description="Input paths at fault.")
    order: read.OrderView | None = strawberry.field(
        graphql_type=Order | None, description="The order as it is, if there is one."
    )


@strawberry.type(description="The order is not at the version that the caller expected.")
class VersionConflict(CommandFailure):
    expected_version: int = strawberry.field(description="The caller's `expectedVersion`.")
    current_version: int = strawberry.field(description="The version that the order has.")
    order: read.OrderView = strawberry.field(graphql_type=Order, description="The order as it is.")


@strawberry.type(description="There is no such order.")
class OrderNotFound(CommandFailure):
    order_id: strawberry.ID = strawberry.field(description="The ID that was given.")


@strawberry.type(description="The command id was used before, for another command or with another input.")
class CommandIdReused(CommandFailure):
    command_id: UUID = strawberry.field(description="The id that was given.")


OrderCommandResult = Annotated[
    OrderCommandSucceeded | CommandRejected | VersionConflict | OrderNotFound | CommandIdReused,
    strawberry.union("OrderCommandResult", description="What became of a command."),
]

# ---------------------------------------------------------------------------------------------------- inputs


@strawberry.input(description="What every command has.")
class CommandInput:
    command_id: UUID | None = strawberry.field(
        default=strawberry.UNSET,
        description="Idempotency key: the same key and input give the same result again, once applied.",
    )


@strawberry.input(description="What every command on an order has.")
class OrderCommandInput(CommandInput):
    order_id: strawberry.ID = strawberry.field(description="The order's ID.")
    expected_version: int | None = strawberry.field(
        default=strawberry.UNSET, description="Refuse with VersionConflict unless the order is at this version."
    )


@strawberry.input(description="Who orders.")
class CustomerInput:
    name: str = strawberry.field(description="Name, at most 200 characters.")
    email: str = strawberry.field(description="E-mail address.")


@strawberry.input(description="A postal address.")
class AddressInput:
    name: str = strawberry.field(description="Who receives it, at most 200 characters.")
    line1: str = strawberry.field(description="Street and number, at most 200 characters.")
    line2: str | None = strawberry.field(default=strawberry.UNSET, description="More of the street address.")
    city: str = strawberry.field(description="The city, at most 100 characters.")
    region: str | None = strawberry.field(default=strawberry.UNSET, description="State, province or region.")
    postal_code: str = strawberry.field(description="The postal code, at most 20 characters.")
    country: str = strawberry.field(description="The ISO 3166-1 alpha-2 code, as in DE.")


@strawberry.input(description="A line to order.")
class OrderItemInput:
    sku: str = strawberry.field(description="1 to 64 letters, digits or any of . _ @ -")
    title: str = strawberry.field(description="The product's name, at most 200 characters.")
    quantity: int = strawberry.field(description="How many: 1 to 1000.")
    unit_price: Decimal = strawberry.field(description="The price of one, with at most the currency's digits.")


@strawberry.input(description="Begin an order.")
class CreateOrderInput(CommandInput):
    customer_id: strawberry.ID = strawberry.field(description="1 to 64 letters, digits or any of . _ @ -")
    order_uuid: UUID | None = strawberry.field(
        default=strawberry.UNSET, description="Chosen by the client, so that it knows the ID at once."
    )
    customer: CustomerInput = strawberry.field(description="Who orders.")
    currency: str = strawberry.field(default="USD", description="The ISO 4217 code of all its prices.")
    shipping_address: AddressInput | None = strawberry.field(default=strawberry.UNSET, description="Where it goes.")
    items: list[OrderItemInput] = strawberry.field(
        default_factory=list, description="What to begin with, at most 100 different skus."
    )


@strawberry.input(description="Add a line, or more pieces of the same sku at the same price.")
class AddItemInput(OrderCommandInput):
    item: OrderItemInput = strawberry.field(description="What to add.")


@strawberry.input(description="Set how many pieces a line has.")
class ChangeItemQuantityInput(OrderCommandInput):
    sku: str = strawberry.field(description="Which line.")
    quantity: int = strawberry.field(description="How many: 1 to 1000.")


@strawberry.input(description="Take a line out.")
class RemoveItemInput(OrderCommandInput):
    sku: str = strawberry.field(description="Which line.")


@strawberry.input(description="Say where the order goes.")
class SetShippingAddressInput(OrderCommandInput):
    address: AddressInput = strawberry.field(description="Where it goes.")


@strawberry.input(description="Say how the order will be paid.")
class SetPaymentMethodInput(OrderCommandInput):
    method: read.PaymentMethod = strawberry.field(description="How.")
    reference: str | None = strawberry.field(
        default=strawberry.UNSET, description="The customer's own reference, at most 100 characters."
    )


@strawberry.input(description="Order what is in it.")
class SubmitOrderInput(OrderCommandInput): ...


@strawberry.input(description="Record that the order was paid.")
class RecordPaymentInput(OrderCommandInput):
    amount: Decimal = strawberry.field(description="The order's total.")
    reference: str = strawberry.field(description="The payment's reference, at most 100 characters.")


@strawberry.input(description="Hand the order to a carrier.")
class ShipOrderInput(OrderCommandInput):
    carrier: str = strawberry.field(description="Who carries it, at most 100 characters.")
    tracking_number: str = strawberry.field(description="The carrier's number, at most 100 characters.")


@strawberry.input(description="The order has arrived.")
class DeliverOrderInput(OrderCommandInput): ...


@strawberry.input(description="Call the order off.")
class CancelOrderInput(OrderCommandInput):
    reason: str = strawberry.field(description="Why, at most 500 characters.")
