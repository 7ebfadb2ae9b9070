/** The cache: normalised orders and summaries that never go back to an older version, and lists that only grow. */
import {
  type Cache,
  type DocumentNode,
  type FieldPolicy,
  InMemoryCache,
  type OperationVariables,
  type Reference,
} from "@apollo/client";
import { OrderFieldsFragmentDoc, possibleTypes, SummaryFieldsFragmentDoc } from "../generated";

export type Versioned = { __typename: string; id: string; version: number };

/** Of two states of one entity, the one to keep: never the older. Fields that only `incoming` has are kept from it. */
export function newest<T extends Versioned>(known: T | null, incoming: T): T {
  return known && known.version > incoming.version ? { ...incoming, ...known } : incoming;
}

/** A result in which no entity is older than what is known of it. */
export function keepNewest(result: unknown, known: (entity: Versioned) => Versioned | null): unknown {
  if (Array.isArray(result)) return result.map((item) => keepNewest(item, known));
  if (result === null || typeof result !== "object") return result;
  if (isVersioned(result)) return newest(known(result), result);
  return Object.fromEntries(Object.entries(result).map(([name, value]) => [name, keepNewest(value, known)]));
}

function isVersioned(value: object): value is Versioned {
  return "id" in value && "version" in value && typeof value.version === "number" && "__typename" in value;
}

/** How what is known of an entity is read back, by type. */
const FRAGMENTS: Record<string, { fragment: DocumentNode; fragmentName: string }> = {
  Order: { fragment: OrderFieldsFragmentDoc, fragmentName: "OrderFields" },
  CustomerOrderSummary: { fragment: SummaryFieldsFragmentDoc, fragmentName: "SummaryFields" },
};

/** Answers and frames may overtake each other on their way. Whatever is written, the newest version stays. */
export class VersionedCache extends InMemoryCache {
  override write<TData = unknown, TVariables extends OperationVariables = OperationVariables>(
    options: Cache.WriteOptions<TData, TVariables>,
  ): Reference | undefined {
    const result = keepNewest(options.result, (entity) => this.known(entity)) as typeof options.result;
    return super.write({ ...options, result });
  }

  private known(entity: Versioned): Versioned | null {
    const how = FRAGMENTS[entity.__typename];
    const id = this.identify(entity);
    return how && id ? this.readFragment<Versioned>({ id, ...how }) : null;
  }
}

type List = { nodes: Reference[] };

/** An order is never deleted, so a page, a frame and a command's result may come in any order: the list is their union. */
const union = (keyArgs: FieldPolicy["keyArgs"]): FieldPolicy<List> => ({
  keyArgs,
  merge: (known, incoming) => ({
    ...known,
    ...incoming,
    nodes: [
      ...new Map([...(known?.nodes ?? []), ...incoming.nodes].map((node) => [node.__ref, node])).values(),
    ],
  }),
});

export const createCache = () =>
  new VersionedCache({
    possibleTypes,
    typePolicies: {
      Query: { fields: { customerOrders: union(["customerId"]), orders: union(false) } },
      // Lines and amounts belong to their order, and are replaced with it.
      Order: {
        fields: { items: { merge: false }, total: { merge: false }, shippingAddress: { merge: false } },
      },
    },
  });
