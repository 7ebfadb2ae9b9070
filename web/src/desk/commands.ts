/** Commands, what each will have done to an order, and what to call them. All of it pure. */
import type {
  AddItemInput,
  AddressInput,
  CancelOrderInput,
  ChangeItemQuantityInput,
  CreateOrderInput,
  DeliverOrderInput,
  OrderFieldsFragment,
  OrderItemInput,
  OrderStatus,
  PaymentMethod,
  RecordPaymentInput,
  RemoveItemInput,
  SetPaymentMethodInput,
  SetShippingAddressInput,
  ShipOrderInput,
  SubmitOrderInput,
} from "../generated";

export type Order = OrderFieldsFragment;
type Item = Order["items"][number];

export type Inputs = {
  createOrder: CreateOrderInput;
  addItem: AddItemInput;
  changeItemQuantity: ChangeItemQuantityInput;
  removeItem: RemoveItemInput;
  setShippingAddress: SetShippingAddressInput;
  setPaymentMethod: SetPaymentMethodInput;
  submitOrder: SubmitOrderInput;
  cancelOrder: CancelOrderInput;
  recordPayment: RecordPaymentInput;
  shipOrder: ShipOrderInput;
  deliverOrder: DeliverOrderInput;
};
export type CommandName = keyof Inputs;

/** `seen` is the order as it was shown to whoever decided on the command; null for a new one. */
export type Command = {
  [Name in CommandName]: {
    id: string;
    orderId: string;
    name: Name;
    input: Inputs[Name];
    seen: Order | null;
    issuedAt: number;
  };
}[CommandName];

/** The words of the projection, so that what is predicted reads as what will be there. */
export const STATUS: Record<OrderStatus, string> = {
  DRAFT: "Draft",
  SUBMITTED: "Awaiting payment",
  PAID: "Paid, to be shipped",
  SHIPPED: "On its way",
  DELIVERED: "Delivered",
  CANCELLED: "Cancelled",
};

export const PAYMENT: Record<PaymentMethod, string> = {
  CARD: "card",
  INVOICE: "invoice",
  TRANSFER: "bank transfer",
};

/**
 * The order as it will be once the command is carried out; null if that cannot be told.
 *
 * Applied to an order that has the command in it already, it changes nothing: the live list may be faster than the
 * command's own answer.
 */
export function predict(order: Order | null, command: Command): Order | null {
  if (command.name === "createOrder")
    return order ?? created(command.orderId, command.input, command.issuedAt);
  if (!order) return null;
  switch (command.name) {
    case "addItem": {
      const { item } = command.input;
      const quantity = quantityOf(command.seen, item.sku) + item.quantity;
      return withItem(order, { ...item, quantity: Math.max(quantityOf(order, item.sku), quantity) });
    }
    case "changeItemQuantity": {
      const { sku, quantity } = command.input;
      return withItems(
        order,
        order.items.map((item) => (item.sku === sku ? priced({ ...item, quantity }) : item)),
      );
    }
    case "removeItem":
      return withItems(
        order,
        order.items.filter((item) => item.sku !== command.input.sku),
      );
    case "setShippingAddress":
      return withAddress(order, command.input.address);
    case "setPaymentMethod":
      return { ...order, paymentMethod: command.input.method };
    case "submitOrder":
      return withStatus(order, "SUBMITTED");
    case "recordPayment":
      return withStatus(order, "PAID");
    case "shipOrder":
      return { ...withStatus(order, "SHIPPED"), trackingNumber: command.input.trackingNumber };
    case "deliverOrder":
      return withStatus(order, "DELIVERED");
    case "cancelOrder":
      return { ...withStatus(order, "CANCELLED"), cancelReason: command.input.reason };
  }
}

function created(id: string, input: CreateOrderInput, at: number): Order {
  const time = new Date(at).toISOString();
  const order: Order = {
    __typename: "Order",
    id,
    customerId: String(input.customerId),
    customerName: input.customer.name,
    customerEmail: input.customer.email,
    status: "DRAFT",
    statusDisplay: STATUS.DRAFT,
    version: 0,
    items: [],
    itemCount: 0,
    total: money("0.00", input.currency ?? "USD"),
    shippingAddress: null,
    shippingSummary: null,
    paymentMethod: null,
    trackingNumber: null,
    cancelReason: null,
    createdAt: time,
    updatedAt: time,
  };
  return (input.items ?? []).reduce(withItem, order);
}

const quantityOf = (order: Order | null, sku: string) =>
  order?.items.find((item) => item.sku === sku)?.quantity ?? 0;

function withItem(order: Order, { sku, title, quantity, unitPrice }: OrderItemInput): Order {
  const price = money(unitPrice, order.total.currency);
  const line = priced({ __typename: "OrderItem", sku, title, quantity, unitPrice: price, lineTotal: price });
  return order.items.some((item) => item.sku === sku)
    ? withItems(
        order,
        order.items.map((item) => (item.sku === sku ? priced({ ...item, quantity }) : item)),
      )
    : withItems(order, [...order.items, line]);
}

function withItems(order: Order, items: Item[]): Order {
  const total = items.reduce((sum, item) => sum + minor(item.lineTotal.amount), 0n);
  return {
    ...order,
    items,
    itemCount: items.length,
    total: money(decimal(total, digits(order.total.amount)), order.total.currency),
  };
}

function withAddress(order: Order, address: AddressInput): Order {
  const { name, city, country } = address;
  return {
    ...order,
    shippingAddress: {
      line2: null,
      region: null,
      ...address,
      __typename: "Address",
    } as Order["shippingAddress"],
    shippingSummary: `${name}, ${city}, ${country}`,
  };
}

const withStatus = (order: Order, status: OrderStatus): Order => ({
  ...order,
  status,
  statusDisplay: STATUS[status],
});

function priced(item: Item): Item {
  const { amount, currency } = item.unitPrice;
  return {
    ...item,
    lineTotal: money(decimal(minor(amount) * BigInt(item.quantity), digits(amount)), currency),
  };
}

// Amounts are exact: whole minor units, never a float.
const money = (amount: string, currency: string): Item["unitPrice"] => ({
  __typename: "Money",
  amount,
  currency,
});
const digits = (amount: string) => amount.split(".")[1]?.length ?? 0;
const minor = (amount: string) => BigInt(amount.replace(".", ""));

function decimal(units: bigint, digits: number): string {
  const text = String(units).padStart(digits + 1, "0");
  return digits ? `${text.slice(0, -digits)}.${text.slice(-digits)}` : text;
}

/** What is different about the order now, in words. */
export function changes(before: Order, after: Order): string[] {
  const found: string[] = [];
  if (before.status !== after.status) found.push(`${before.statusDisplay} → ${after.statusDisplay}`);
  for (const { sku, title, quantity } of after.items) {
    const was = quantityOf(before, sku);
    if (was !== quantity) found.push(was ? `${title}: ${was} → ${quantity}` : `${title}: ${quantity} added`);
  }
  for (const { sku, title } of before.items) if (!quantityOf(after, sku)) found.push(`${title}: removed`);
  const address = (order: Order) => JSON.stringify(Object.values(order.shippingAddress ?? {}));
  if (address(before) !== address(after)) found.push(`Ships to ${after.shippingSummary ?? "nowhere yet"}`);
  const payment = ({ paymentMethod }: Order) =>
    paymentMethod ? PAYMENT[paymentMethod] : "a method not chosen yet";
  if (payment(before) !== payment(after)) found.push(`Paid by ${payment(after)}`);
  return found;
}

/** The command in a few words. */
export function title({ name, input, seen }: Command): string {
  const item = (sku: string) => seen?.items.find((item) => item.sku === sku)?.title ?? sku;
  switch (name) {
    case "createOrder":
      return "New order";
    case "addItem":
      return `Add ${input.item.title}`;
    case "changeItemQuantity":
      return `${item(input.sku)}: ${input.quantity}`;
    case "removeItem":
      return `Remove ${item(input.sku)}`;
    case "setShippingAddress":
      return "Set address";
    case "setPaymentMethod":
      return `Pay by ${PAYMENT[input.method]}`;
    case "submitOrder":
      return "Submit";
    case "cancelOrder":
      return "Cancel";
    case "recordPayment":
      return "Record payment";
    case "shipOrder":
      return "Ship";
    case "deliverOrder":
      return "Deliver";
  }
}
