import { readFileSync } from "node:fs";
import { buildSchema, parse, validate } from "graphql";
import { expect, test } from "vitest";
import { JOURNEY } from "../src/playground/journey";

const schema = buildSchema(readFileSync(new URL("../../schema.graphql", import.meta.url), "utf8"));

test.each(JOURNEY)("a tab of the journey is valid: %s", (tab) => {
  expect(validate(schema, parse(tab))).toEqual([]);
});
