// GraphQL Yoga with better-sqlite3: the mutation, each in a transaction that is durable (synchronous FULL).
// It writes what the gateway writes: the command's document, the order's, and a number for the feed.
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import Database from "better-sqlite3";
import { createSchema, createYoga } from "graphql-yoga";
import { typeDefs } from "./rows.js";

const db = new Database(process.env.OWN);
db.pragma("journal_mode = WAL");
db.pragma("synchronous = FULL");
db.exec(`ATTACH '${process.env.ROWS}' AS gateway;
  CREATE TABLE feeds (name TEXT PRIMARY KEY, lsn INTEGER NOT NULL) STRICT;
  INSERT INTO feeds VALUES ('orders', 0);
  CREATE TABLE orders (
    partition TEXT NOT NULL, id TEXT NOT NULL, lsn INTEGER NOT NULL, body TEXT NOT NULL, UNIQUE (partition, id)) STRICT;
  CREATE INDEX feed ON orders (lsn);
  INSERT INTO orders SELECT partition, id, 0, body FROM gateway.${process.env.WRITE_TABLE} WHERE id GLOB 'order:*';
  DETACH gateway;`);

const find = db.prepare("SELECT body FROM orders WHERE partition = ? AND id = ?").pluck();
const next = db.prepare("UPDATE feeds SET lsn = lsn + 1 WHERE name = 'orders' RETURNING lsn").pluck();
const insert = db.prepare("INSERT INTO orders VALUES (?, ?, ?, ?)");
const replace = db.prepare("UPDATE orders SET lsn = ?, body = ? WHERE partition = ? AND id = ?");

const minor = (price) => Math.round(Number(price) * 100);
const money = (amount, currency) => ({ amount: (amount / 100).toFixed(2), currency });
const failure = (code) => ({ __typename: "CommandRejected", code, message: code, fields: [] });

const addItem = db.transaction(({ commandId, orderId, expectedVersion, item }) => {
  const partition = orderId.split(":", 2)[1];
  const id = `cmd:${commandId}`;
  const fingerprint = createHash("sha256")
    .update(JSON.stringify([orderId, expectedVersion, item]))
    .digest("hex");
  if (find.get(partition, id)) return failure("REPLAYED");
  const body = find.get(partition, orderId);
  if (!body) return failure("NOT_FOUND");
  const order = JSON.parse(body);
  if (expectedVersion != null && expectedVersion !== order.version) return failure("VERSION_CONFLICT");
  if (order.status !== "DRAFT") return failure("NOT_A_DRAFT");
  const added = { ...item, unitPrice: minor(item.unitPrice) };
  const line = order.items.find((one) => one.sku === item.sku);
  if (line) line.quantity += item.quantity;
  else order.items.push(added);
  order.version += 1;
  order.updatedAt = new Date().toISOString();
  const command = {
    kind: "command",
    id,
    name: "add_item",
    fingerprint,
    orderId,
    version: order.version,
    events: [{ type: "ItemAdded", item: added, at: order.updatedAt }],
    at: order.updatedAt,
  };
  const lsn = next.get();
  insert.run(partition, id, lsn, JSON.stringify(command));
  replace.run(lsn, JSON.stringify(order), partition, orderId);
  return { __typename: "OrderCommandSucceeded", order };
});

const schema = createSchema({
  typeDefs,
  resolvers: {
    Mutation: { addItem: (_, { input }) => addItem.immediate(input) },
    Order: {
      itemCount: (order) => order.items.length,
      total: (order) =>
        money(
          order.items.reduce((sum, one) => sum + one.quantity * one.unitPrice, 0),
          order.currency,
        ),
    },
  },
});
const server = createServer(createYoga({ schema, logging: false, graphiql: false }));
server.listen(0, "127.0.0.1", () => console.log(`Serving http://127.0.0.1:${server.address().port}`));
process.on("SIGTERM", () => process.exit());
