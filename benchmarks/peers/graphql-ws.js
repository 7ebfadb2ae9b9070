// graphql-ws on ws: an order that changes when it is told to, followed by any number of subscribers.
import { once } from "node:events";
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { buildSchema } from "graphql";
import { useServer } from "graphql-ws/use/ws";
import { WebSocketServer } from "ws";

let order = null;
const waiting = new Set();

async function* orderUpdated() {
  while (true) {
    yield { orderUpdated: order };
    await new Promise((resolve) => waiting.add(resolve));
  }
}

const schema = buildSchema(readFileSync(process.env.SCHEMA, "utf8"));
schema.getSubscriptionType().getFields().orderUpdated.subscribe = orderUpdated;

const server = createServer(async (request, response) => {
  const chunks = await request.toArray();
  order = JSON.parse(Buffer.concat(chunks));
  for (const resolve of waiting) resolve();
  waiting.clear();
  const body = '{"data":null}';
  response.writeHead(200, { "content-length": body.length }).end(body);
});
useServer({ schema }, new WebSocketServer({ server, path: "/graphql", perMessageDeflate: false }));
server.listen({ port: 0, host: "127.0.0.1", backlog: 2048 });
await once(server, "listening");
console.log(`Serving http://127.0.0.1:${server.address().port}`);
process.on("SIGTERM", () => process.exit());
