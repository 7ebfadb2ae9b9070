import { expect, test } from "vitest";
import { CustomerOrdersDocument, OrderFieldsFragmentDoc } from "../generated";
import { createCache, keepNewest, newest } from "./cache";
import type { Order } from "./commands";
import { ORDER } from "./sample";

const at = (version: number, id = "order:ada:1"): Order => ({
  ...ORDER,
  id,
  version,
  customerName: `of version ${version}`,
});

test("of two versions the newer is kept, whichever comes first", () => {
  expect(newest(at(2), at(1)).customerName).toBe("of version 2");
  expect(newest(at(1), at(2)).customerName).toBe("of version 2");
});

test("the same version may be written again, and what is not known is taken", () => {
  const again = at(1);
  expect(newest(at(1), again)).toBe(again);
  expect(newest(null, again)).toBe(again);
});

test("older entities are replaced wherever they are in a result", () => {
  const result = { frame: { kind: "CHANGES", orders: [at(1), at(3, "order:ada:2")] }, none: null };
  expect(keepNewest(result, ({ id }) => (id === "order:ada:1" ? at(2) : at(2, id)))).toEqual({
    frame: { kind: "CHANGES", orders: [at(2), at(3, "order:ada:2")] },
    none: null,
  });
});

const variables = { customerId: "ada" };
const page = (...nodes: Order[]) => ({
  customerOrders: {
    __typename: "OrderConnection" as const,
    nodes,
    pageInfo: { __typename: "PageInfo" as const, hasNextPage: false, endCursor: null },
  },
});

test("the cache never goes back, and a list is the union of what came", () => {
  const cache = createCache();
  const write = (...nodes: Order[]) =>
    cache.writeQuery({ query: CustomerOrdersDocument, variables, data: page(...nodes) });
  write(at(2));
  write(at(1), at(1, "order:ada:2"));
  write(at(4, "order:ada:2"));
  const shown = cache.readQuery({ query: CustomerOrdersDocument, variables })!.customerOrders.nodes;
  expect(shown.map(({ id, version, customerName }) => [id, version, customerName])).toEqual([
    ["order:ada:1", 2, "of version 2"],
    ["order:ada:2", 4, "of version 4"],
  ]);
});

test("versions in any order end at the latest", () => {
  const cache = createCache();
  for (const version of [3, 1, 5, 4, 2, 5]) {
    cache.writeQuery({ query: CustomerOrdersDocument, variables, data: page(at(version)) });
  }
  const fragment = { fragment: OrderFieldsFragmentDoc, fragmentName: "OrderFields" };
  expect(cache.readFragment<Order>({ id: "Order:order:ada:1", ...fragment })).toEqual(at(5));
});
