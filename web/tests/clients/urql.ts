import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { createClient } from "graphql-ws";
import { type Command, FOLLOW, type Frame, type Order, Orders, type Outcome } from "./orders";

type Listener = { shown(orders: Order[]): void; frame?(frame: Frame): void };

export function connect(url: string, customerId: string, on: Listener) {
  const orders = new Orders(on.shown);
  const socket = createClient({
    url: `${url.replace("http", "ws")}/graphql`,
    keepAlive: 10_000,
    retryAttempts: Infinity,
    shouldRetry: () => true,
  });

  const live = subscriptionExchange({
    forwardSubscription: ({ query, variables }) => ({
      subscribe(sink) {
        const request = {
          query: query ?? "",
          // Read again at each connection: after a cut the list goes on behind the last frame.
          get variables() {
            return { ...variables, after: orders.cursor };
          },
        };
        return { unsubscribe: socket.subscribe(request, sink) };
      },
    }),
  });
  const client = new Client({
    url: `${url}/graphql`,
    exchanges: [fetchExchange, live],
    preferGetMethod: false,
  });

  const following = client
    .subscription<{ frame: Frame }>(FOLLOW, { customerId })
    .subscribe(({ data, error }) => {
      if (error) console.error("The subscription was refused.", error);
      if (!data) return;
      orders.take(data.frame.orders, data.frame.cursor);
      on.frame?.(data.frame);
    });

  /** Sent again until it is answered: the command id makes it one effect. */
  async function send({ query, input }: Command): Promise<Outcome> {
    for (let wait = 250; ; wait = Math.min(2 * wait, 4_000)) {
      const { data, error } = await client.mutation<{ outcome: Outcome }>(query, { input }).toPromise();
      if (data) return data.outcome;
      if (!error?.networkError) throw error;
      await new Promise((resolve) => setTimeout(resolve, wait * (0.75 + Math.random() / 2)));
    }
  }

  return {
    run: (command: Command) => orders.during(command, send(command)),
    async close() {
      following.unsubscribe();
      await socket.dispose();
    },
  };
}
