// Mercurius on fastify, each document compiled by graphql-jit when it comes the first time.
import Fastify from "fastify";
import mercurius from "mercurius";
import { queries, typeDefs } from "./rows.js";

const app = Fastify();
app.register(mercurius, { schema: typeDefs, resolvers: { Query: queries }, jit: 1 });
await app.listen({ host: "127.0.0.1", port: 0 });
console.log(`Serving http://127.0.0.1:${app.server.address().port}`);
process.on("SIGTERM", () => process.exit());
