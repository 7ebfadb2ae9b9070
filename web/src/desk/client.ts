/** Apollo Client on the gateway: commands and queries over HTTP, what is live over a WebSocket that finds back. */
import { ApolloClient, ApolloLink, HttpLink, Observable } from "@apollo/client";
import { type Client, createClient } from "graphql-ws";
import { type FormattedExecutionResult, OperationTypeNode, print } from "graphql";
import { HTTP_URL, WS_URL } from "../endpoint";
import { CustomerOrdersDocument } from "../generated";
import { createCache } from "./cache";
import type { Order } from "./commands";
import { Outbox } from "./outbox";

const LONGEST_WAIT_MS = 4000;

const socket = createClient({
  url: WS_URL,
  keepAlive: 10_000,
  retryAttempts: Infinity,
  shouldRetry: () => true,
  retryWait: (tries) =>
    new Promise((resolve) => {
      const wait = Math.min(250 * 2 ** tries, LONGEST_WAIT_MS) * (0.75 + Math.random() / 2);
      setTimeout(resolve, wait);
      addEventListener("online", () => resolve(), { once: true });
    }),
});

/** Subscriptions over the socket. After a cut, one whose frames have a cursor goes on behind the last it has seen. */
export function liveLink(socket: Client): ApolloLink {
  return new ApolloLink(
    ({ operationName, query, variables }) =>
      new Observable((observer) => {
        let after: string | undefined;
        const request = {
          operationName,
          query: print(query),
          // Read again at each connection.
          get variables() {
            return after ? { ...variables, after } : variables;
          },
        };
        return socket.subscribe<FormattedExecutionResult>(request, {
          next(result) {
            after = (result.data as { frame?: { cursor?: string } } | null)?.frame?.cursor ?? after;
            observer.next(result as ApolloLink.Result);
          },
          error: (error) => observer.error(error),
          complete: () => observer.complete(),
        });
      }),
  );
}

export const client = new ApolloClient({
  cache: createCache(),
  link: ApolloLink.split(
    ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
    liveLink(socket),
    new HttpLink({ uri: HTTP_URL }),
  ),
});

export const outbox = new Outbox(client, (order) => listOrders(order.customerId, [order]));

/**
 * Have the orders in the customer's list, and the views know it by the time that this returns: the client's own write
 * tells them, the cache's does so a moment later, when a command that was answered is not folded in any more.
 */
export function listOrders(customerId: string, orders: readonly Order[]): void {
  const list = { query: CustomerOrdersDocument, variables: { customerId } };
  client.writeQuery({
    ...list,
    data: {
      customerOrders: {
        __typename: "OrderConnection" as const,
        pageInfo: { __typename: "PageInfo" as const, hasNextPage: false, endCursor: null },
        ...client.readQuery(list)?.customerOrders,
        nodes: [...orders],
      },
    },
  });
}

/** Whether the socket is up, for whoever shows it. */
export const connection = {
  live: false,
  subscribe(listener: () => void): () => void {
    const set = (live: boolean) => () => {
      connection.live = live;
      listener();
    };
    const ends = [socket.on("connected", set(true)), socket.on("closed", set(false))];
    addEventListener("online", listener);
    addEventListener("offline", listener);
    return () => {
      for (const end of ends) end();
      removeEventListener("online", listener);
      removeEventListener("offline", listener);
    };
  },
  state: (): "live" | "connecting" | "offline" =>
    !navigator.onLine ? "offline" : connection.live ? "live" : "connecting",
};

socket.on("connected", outbox.flush);
addEventListener("online", outbox.flush);
outbox.flush(); // what waits from before
