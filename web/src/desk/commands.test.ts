import { expect, test } from "vitest";
import { changes, type Command, predict } from "./commands";
import { isPending, withPending, type Entry } from "./outbox";
import { command, ORDER } from "./sample";

const ADDRESS = { name: "Ada", line1: "1 Main Street", city: "Berlin", postalCode: "10115", country: "DE" };
const LAMP = { sku: "LAMP", title: "Lamp", quantity: 1, unitPrice: "19.90" };
const COMMANDS: Command[] = [
  command("addItem", ORDER, { item: LAMP }),
  command("addItem", ORDER, { item: { sku: "PEN", title: "Pen", quantity: 3, unitPrice: "0.05" } }),
  command("changeItemQuantity", ORDER, { sku: "LAMP", quantity: 7 }),
  command("removeItem", ORDER, { sku: "LAMP" }),
  command("setShippingAddress", ORDER, { address: ADDRESS }),
  command("submitOrder", ORDER, {}),
  command("recordPayment", ORDER, { amount: "39.80", reference: "r" }),
  command("shipOrder", ORDER, { carrier: "Post", trackingNumber: "t" }),
  command("deliverOrder", ORDER, {}),
  command("cancelOrder", ORDER, { reason: "why" }),
  command("setPaymentMethod", ORDER, { method: "INVOICE" }),
];

test.each(COMMANDS.map((command) => [command.name, command] as const))(
  "%s shows, keeps the version, and changes nothing where it is in the order already",
  (_, command) => {
    const once = predict(ORDER, command)!;
    expect(once).not.toEqual(ORDER);
    expect(once.version).toBe(ORDER.version);
    expect(predict(once, command)).toEqual(once);
  },
);

test("amounts are exact", () => {
  const added = predict(ORDER, COMMANDS[1]!)!;
  expect(added.total).toMatchObject({ amount: "39.95", currency: "USD" });
  expect(added.items.map(({ lineTotal }) => lineTotal.amount)).toEqual(["39.80", "0.15"]);
});

test("a command on an order that is not known predicts nothing", () => {
  expect(COMMANDS.map((command) => predict(null, command))).toEqual(COMMANDS.map(() => null));
});

const entry = (command: Command, stage: Entry["stage"]): Entry => ({ ...command, stage });

test("pending commands are folded into the orders; those that failed are not", () => {
  const entries = [
    entry(COMMANDS[0]!, "queued"),
    entry(COMMANDS[5]!, "rejected"),
    entry(COMMANDS[4]!, "sending"),
  ];
  expect(entries.map(isPending)).toEqual([true, false, true]);
  const [shown] = withPending([ORDER], entries);
  expect(shown).toMatchObject({ status: "DRAFT", shippingSummary: "Ada, Berlin, DE" });
  expect(shown!.items[0]!.quantity).toBe(3);
});

test("an order that is being created is there before the gateway knows it", () => {
  const create = command("createOrder", null, {
    customerId: "ada",
    customer: { name: "Ada", email: "a@example.com" },
  });
  expect(withPending([], [entry(create, "queued")]).map(({ id }) => id)).toEqual(["order:ada:1"]);
});

test("what changed is told in words", () => {
  const after = [COMMANDS[1]!, COMMANDS[2]!, COMMANDS[4]!, COMMANDS[5]!, COMMANDS[10]!].reduce(
    (order, command) => predict(order, command)!,
    ORDER,
  );
  expect(changes(ORDER, after)).toEqual([
    "Draft → Awaiting payment",
    "Lamp: 2 → 7",
    "Pen: 3 added",
    "Ships to Ada, Berlin, DE",
    "Paid by invoice",
  ]);
  expect(changes(after, ORDER)).toContain("Pen: removed");
  expect(changes(after, ORDER)).toContain("Paid by a method not chosen yet");
  expect(changes(ORDER, ORDER)).toEqual([]);
});
