import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, Observable, gql } from "@apollo/client";
import type { Cache, OperationVariables, Reference } from "@apollo/client";
import { RetryLink } from "@apollo/client/link/retry";
import { type FormattedExecutionResult, OperationTypeNode, print } from "graphql";
import { createClient } from "graphql-ws";
import { type Command, FOLLOW, type Frame, type Order, type Outcome } from "./orders";

type Listener = { shown(orders: Order[]): void; frame?(frame: Frame): void };
type List = { customerOrders: { __typename: "OrderConnection"; nodes: Order[] } };

const SHOWN = gql`
  fragment Shown on Order {
    id
    version
    status
    itemCount
  }
`;
const LIST = gql`
  query List($customerId: ID!) {
    customerOrders(customerId: $customerId) {
      nodes {
        ...Shown
      }
    }
  }
  ${SHOWN}
`;

/** No order is replaced by an older version, however answers and frames overtake each other. */
class VersionedCache extends InMemoryCache {
  override write<T = unknown, V extends OperationVariables = OperationVariables>(
    options: Cache.WriteOptions<T, V>,
  ): Reference | undefined {
    return super.write({ ...options, result: this.newest(options.result) as typeof options.result });
  }

  private newest(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((item) => this.newest(item));
    if (value === null || typeof value !== "object") return value;
    if (!("__typename" in value) || value.__typename !== "Order") {
      return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, this.newest(field)]));
    }
    const incoming = value as unknown as Order;
    const known = this.readFragment<Order>({ id: this.identify({ ...incoming }), fragment: SHOWN });
    return known && known.version > incoming.version ? { ...incoming, ...known } : incoming;
  }
}

const createCache = () =>
  new VersionedCache({
    possibleTypes: {
      CommandFailure: ["CommandRejected", "VersionConflict", "OrderNotFound", "CommandIdReused"],
    },
    typePolicies: {
      Query: {
        fields: {
          // Orders are never deleted: a page, a frame and an answer make their union, each order once.
          customerOrders: {
            keyArgs: ["customerId"],
            merge: (known: { nodes: Reference[] } | undefined, incoming: { nodes: Reference[] }) => ({
              ...incoming,
              nodes: [
                ...new Map(
                  [...(known?.nodes ?? []), ...incoming.nodes].map((node) => [node.__ref, node]),
                ).values(),
              ],
            }),
          },
        },
      },
    },
  });

/** Subscriptions over graphql-ws. After a cut, the list goes on behind the last frame. */
function liveLink(url: string) {
  const socket = createClient({ url, keepAlive: 10_000, retryAttempts: Infinity, shouldRetry: () => true });
  const link = new ApolloLink(
    ({ query, variables }) =>
      new Observable((observer) => {
        let after: string | undefined;
        const request = {
          query: print(query),
          // Read again at each connection.
          get variables() {
            return { ...variables, after };
          },
        };
        return socket.subscribe<FormattedExecutionResult>(request, {
          next(result) {
            after = (result.data as { frame?: Frame } | null)?.frame?.cursor ?? after;
            observer.next(result as ApolloLink.Result);
          },
          error: (error) => observer.error(error),
          complete: () => observer.complete(),
        });
      }),
  );
  return { socket, link };
}

export function connect(url: string, customerId: string, on: Listener) {
  const { socket, link } = liveLink(`${url.replace("http", "ws")}/graphql`);
  const client = new ApolloClient({
    cache: createCache(),
    link: ApolloLink.split(
      ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
      link,
      // A command may be sent again: its command id makes it one effect.
      new RetryLink({ attempts: { max: Infinity } }).concat(new HttpLink({ uri: `${url}/graphql` })),
    ),
  });

  const list = (nodes: Order[], cache = client.cache) =>
    cache.updateQuery<List>({ query: LIST, variables: { customerId } }, () => ({
      customerOrders: { __typename: "OrderConnection", nodes },
    }));

  const watching = client
    .watchQuery<List>({ query: LIST, variables: { customerId } })
    .subscribe(({ data, dataState }) => {
      if (dataState === "complete") on.shown(data.customerOrders.nodes);
    });
  const following = client
    .subscribe<{ frame: Frame }>({ query: gql(FOLLOW), variables: { customerId } })
    .subscribe(({ data }) => {
      if (!data) return;
      list(data.frame.orders);
      on.frame?.(data.frame);
    });

  return {
    async run({ query, input, id, predict }: Command): Promise<Outcome> {
      const known = client.cache.readFragment<Order>(
        { id: client.cache.identify({ __typename: "Order", id }), fragment: SHOWN },
        true,
      );
      const order = { __typename: "Order", ...predict(known ?? undefined) };
      const { data } = await client.mutate<{ outcome: Outcome }>({
        mutation: gql(query),
        variables: { input },
        optimisticResponse: { outcome: { __typename: "OrderCommandSucceeded", replayed: false, order } },
        update(cache, { data }) {
          if (data?.outcome.order) list([data.outcome.order], cache as typeof client.cache);
        },
      });
      return data!.outcome;
    },
    async close() {
      watching.unsubscribe();
      following.unsubscribe();
      client.stop();
      await socket.dispose();
    },
  };
}
