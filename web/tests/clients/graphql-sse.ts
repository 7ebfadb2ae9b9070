import { createClient } from "graphql-sse";
import { type Command, FOLLOW, type Frame, type Order, Orders, type Outcome } from "./orders";

type Listener = { shown(orders: Order[]): void; frame?(frame: Frame): void };

export function connect(url: string, customerId: string, on: Listener) {
  const orders = new Orders(on.shown);
  const client = createClient({ url: `${url}/graphql/stream`, retryAttempts: Infinity });

  const follow = {
    query: FOLLOW,
    // Read again at each connection: after a cut the list goes on behind the last frame.
    get variables() {
      return { customerId, after: orders.cursor };
    },
  };
  client.subscribe<{ frame: Frame }>(follow, {
    next({ data }) {
      if (!data) return;
      orders.take(data.frame.orders, data.frame.cursor);
      on.frame?.(data.frame);
    },
    error: (error) => console.error("The subscription was refused.", error),
    complete() {},
  });

  // A command whose answer was lost in a cut is sent again by the client: the command id makes it one effect.
  const send = ({ query, input }: Command) =>
    new Promise<Outcome>((resolve, reject) => {
      client.subscribe<{ outcome: Outcome }>(
        { query, variables: { input } },
        {
          next: ({ data, errors }) => (data ? resolve(data.outcome) : reject(errors)),
          error: reject,
          complete() {},
        },
      );
    });

  return {
    run: (command: Command) => orders.during(command, send(command)),
    close: () => client.dispose(),
  };
}
