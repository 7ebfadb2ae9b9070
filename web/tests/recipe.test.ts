import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");
const CODE = ["cache", "outbox", "client"].map((name) => read(`../src/desk/${name}.ts`)).join("\n");
const BLOCKS = [...read("../../docs/optimistic-ui.md").matchAll(/```ts\n(.*?)```/gs)].map(
  (match) => match[1]!,
);

test.each(BLOCKS)("the recipe is the code: %s", (block) => {
  expect(CODE).toContain(block);
});

test.each([
  ["README", "orders"],
  ["apollo", "apollo"],
  ["graphql-sse", "graphql-sse"],
  ["graphql-ws", "graphql-ws"],
  ["urql", "urql"],
])("the code of docs/clients/%s.md is all of %s.ts", (page, source) => {
  const blocks = [...read(`../../docs/clients/${page}.md`).matchAll(/```ts\n(.*?)```/gs)];
  expect(blocks.map((match) => match[1]).join("\n")).toBe(read(`clients/${source}.ts`));
});
