import { type Command, type CommandName, type Inputs, type Order, predict } from "./commands";

/** An order for tests: a draft with two lamps. */
export const ORDER: Order = {
  ...predict(
    null,
    command("createOrder", null, {
      customerId: "ada",
      customer: { name: "Ada", email: "ada@example.com" },
      items: [{ sku: "LAMP", title: "Lamp", quantity: 2, unitPrice: "19.90" }],
    }),
  )!,
  version: 1,
};

export function command<Name extends CommandName>(
  name: Name,
  seen: Order | null,
  input: Omit<Inputs[Name], "orderId">,
): Command {
  const orderId = "order:ada:1";
  return { id: "c1", orderId, name, seen, issuedAt: 0, input: { orderId, ...input } } as unknown as Command;
}
