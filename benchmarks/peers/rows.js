// The rows of the gateway's file, read by the statements that all servers are given.
import { readFileSync } from "node:fs";
import Database from "better-sqlite3";

const db = new Database(process.env.ROWS, { readonly: true });
const byId = db.prepare(process.env.BY_ID_SQL).pluck();
const list = db.prepare(process.env.LIST_SQL).pluck();
const parse = (body) => JSON.parse(body.toString());

export const typeDefs = readFileSync(process.env.SCHEMA, "utf8");

export const queries = {
  order: (_, { id }) => {
    const body = byId.get(id.split(":", 2)[1], id);
    return body ? parse(body) : null;
  },
  customerOrders: (_, { customerId }) => ({ nodes: list.all(customerId).map(parse) }),
};
