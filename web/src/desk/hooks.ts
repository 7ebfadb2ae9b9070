/** What the components know: orders with what is pending folded in, sums, and how the connection is. */
import { useQuery, useSubscription } from "@apollo/client/react";
import { useSyncExternalStore } from "react";
import {
  CustomerOrdersDocument,
  CustomerOrdersLiveDocument,
  CustomerSummaryDocument,
  CustomerSummaryLiveDocument,
  type OrderStatus,
  SalesDocument,
  SalesLiveDocument,
  StaffOrdersDocument,
  StaffOrdersLiveDocument,
} from "../generated";
import { client, connection, listOrders, outbox } from "./client";
import type { Order } from "./commands";
import { withPending } from "./outbox";

export const useConnection = () => useSyncExternalStore(connection.subscribe, connection.state);
export const useEntries = () => useSyncExternalStore(outbox.subscribe, () => outbox.entries);

const newestFirst = (orders: Order[]) => orders.sort((a, b) => b.createdAt.localeCompare(a.createdAt));

/** A customer's orders, live, newest first; `more` loads the next page if there is one. */
export function useCustomerOrders(customerId: string) {
  const variables = { customerId };
  const { data, loading, fetchMore } = useQuery(CustomerOrdersDocument, { variables });
  useSubscription(CustomerOrdersLiveDocument, {
    variables,
    ignoreResults: true,
    onData({ data }) {
      const orders = data.data?.frame.orders ?? [];
      listOrders(customerId, orders);
      for (const order of orders) outbox.observed(order);
    },
  });
  const entries = useEntries().filter(({ orderId }) => orderId.startsWith(`order:${customerId}:`));
  const page = data?.customerOrders.pageInfo;
  return {
    loading,
    orders: newestFirst(withPending(data?.customerOrders.nodes ?? [], entries)),
    more: page?.hasNextPage ? () => void fetchMore({ variables: { after: page.endCursor } }) : null,
  };
}

export function useCustomerSummary(customerId: string) {
  const variables = { customerId };
  const { data } = useQuery(CustomerSummaryDocument, { variables });
  useSubscription(CustomerSummaryLiveDocument, {
    variables,
    ignoreResults: true,
    onData({ data }) {
      const customerOrderSummary = data.data?.customerOrderSummaryUpdated;
      if (customerOrderSummary) {
        client.writeQuery({ query: CustomerSummaryDocument, variables, data: { customerOrderSummary } });
      }
    },
  });
  return data?.customerOrderSummary;
}

export function useSales(sku: string) {
  const variables = { sku };
  const { data } = useQuery(SalesDocument, { variables });
  useSubscription(SalesLiveDocument, {
    variables,
    ignoreResults: true,
    onData({ data }) {
      const productSales = data.data?.productSalesUpdated;
      if (productSales) client.writeQuery({ query: SalesDocument, variables, data: { productSales } });
    },
  });
  return data?.productSales;
}

const OPEN: OrderStatus[] = ["SUBMITTED", "PAID", "SHIPPED"];

/** Everybody's orders that staff has yet to do something about, live, newest first. */
export function useOpenOrders(): Order[] {
  const variables = { status: OPEN };
  const { data } = useQuery(StaffOrdersDocument, { variables });
  useSubscription(StaffOrdersLiveDocument, {
    variables,
    ignoreResults: true,
    onData({ data }) {
      const orders = data.data?.frame.orders ?? [];
      client.cache.updateQuery({ query: StaffOrdersDocument, variables }, (known) => ({
        orders: {
          __typename: "OrderConnection" as const,
          pageInfo: { __typename: "PageInfo" as const, hasNextPage: false, endCursor: null },
          ...known?.orders,
          nodes: orders,
        },
      }));
      for (const order of orders) outbox.observed(order);
    },
  });
  const orders = data?.orders.nodes ?? [];
  const listed = new Set(orders.map(({ id }) => id));
  const entries = useEntries().filter(({ orderId }) => listed.has(orderId));
  return newestFirst(withPending(orders, entries));
}
