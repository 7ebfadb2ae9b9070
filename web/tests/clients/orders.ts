/** A customer's orders as a UI shows them: what the gateway said, and over it what is not answered yet. */
export type Order = { id: string; version: number; status: string; itemCount: number };
export type Frame = { kind: "SNAPSHOT" | "CHANGES" | "RESET"; cursor: string; orders: Order[] };
export type Outcome = {
  __typename: string;
  code?: string;
  replayed?: boolean;
  order?: Order;
  current?: Order;
};
export type Item = { sku: string; title: string; quantity: number; unitPrice: string };
export type Command = { query: string; input: object; id: string; predict(known?: Order): Order };

const ORDER = "__typename id version status itemCount";
const OUTCOME = `__typename
  ... on OrderCommandSucceeded { replayed order { ${ORDER} } }
  ... on CommandFailure { code }
  ... on VersionConflict { current: order { ${ORDER} } }`;

export const FOLLOW = `subscription Follow($customerId: ID!, $after: String) {
  frame: customerOrdersUpdated(customerId: $customerId, after: $after) { kind cursor orders { ${ORDER} } } }`;

export function createOrder(customerId: string, items: Item[]): Command {
  const orderUuid = crypto.randomUUID();
  const customer = { name: customerId, email: `${customerId}@example.com` };
  const id = `order:${customerId}:${orderUuid}`;
  return {
    query: `mutation Create($input: CreateOrderInput!) { outcome: createOrder(input: $input) { ${OUTCOME} } }`,
    input: { commandId: crypto.randomUUID(), customerId, orderUuid, customer, items },
    id,
    predict: (known) => known ?? { id, version: 0, status: "DRAFT", itemCount: items.length },
  };
}

export function submitOrder({ id, version }: Order): Command {
  return {
    query: `mutation Submit($input: SubmitOrderInput!) { outcome: submitOrder(input: $input) { ${OUTCOME} } }`,
    input: { commandId: crypto.randomUUID(), orderId: id, expectedVersion: version },
    id,
    predict: (known) => ({ itemCount: 0, ...known, id, version: known?.version ?? 0, status: "SUBMITTED" }),
  };
}

export class Orders {
  cursor?: string;
  #known = new Map<string, Order>();
  #pending = new Set<Command>();
  #changed: (shown: Order[]) => void;

  constructor(changed: (shown: Order[]) => void) {
    this.#changed = changed;
  }

  /** From a frame or an answer, in whatever order they come: the newest version stays. */
  take(orders: Order[], cursor = this.cursor): void {
    for (const order of orders) {
      const known = this.#known.get(order.id);
      if (!known || known.version < order.version) this.#known.set(order.id, order);
    }
    this.cursor = cursor;
    this.#changed(this.shown());
  }

  /** Shown as done until it is answered; a refusal takes back its own effect only. */
  async during(command: Command, answer: Promise<Outcome>): Promise<Outcome> {
    this.#pending.add(command);
    this.#changed(this.shown());
    try {
      const outcome = await answer;
      const order = outcome.order ?? outcome.current;
      if (order) this.take([order]);
      return outcome;
    } finally {
      this.#pending.delete(command);
      this.#changed(this.shown());
    }
  }

  shown(): Order[] {
    const shown = new Map(this.#known);
    for (const { id, predict } of this.#pending) shown.set(id, predict(shown.get(id)));
    return [...shown.values()];
  }
}
