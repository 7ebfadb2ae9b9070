import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";

const LIMIT = 250_000;
const STATIC = new URL("../../gateway/static/", import.meta.url);

/** The scripts that a built page loads before it works, and what those import. */
function scripts(page: string): string[] {
  const html = readFileSync(new URL(page, STATIC), "utf8");
  const found = new Set([...html.matchAll(/\.\/(assets\/[^"]+\.js)/g)].map((match) => match[1]!));
  for (const name of found) {
    const source = readFileSync(new URL(name, STATIC), "utf8");
    for (const [, imported] of source.matchAll(/(?:from|import)\s*["']\.\/([^"']+\.js)["']/g)) {
      found.add(`assets/${imported}`);
    }
  }
  return [...found];
}

test("the desk's scripts are small", () => {
  const sizes = scripts("desk.html").map((name) => gzipSync(readFileSync(new URL(name, STATIC))).length);
  expect(sizes.length).toBeGreaterThan(0);
  expect(sizes.reduce((sum, size) => sum + size)).toBeLessThan(LIMIT);
});
