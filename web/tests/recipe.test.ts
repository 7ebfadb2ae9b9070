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
