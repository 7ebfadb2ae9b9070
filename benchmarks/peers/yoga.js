// GraphQL Yoga on node:http, which caches what it has parsed and validated.
import { createServer } from "node:http";
import { createSchema, createYoga } from "graphql-yoga";
import { queries, typeDefs } from "./rows.js";

const schema = createSchema({ typeDefs, resolvers: { Query: queries } });
const server = createServer(createYoga({ schema, logging: false, graphiql: false }));
server.listen(0, "127.0.0.1", () => console.log(`Serving http://127.0.0.1:${server.address().port}`));
process.on("SIGTERM", () => process.exit());
