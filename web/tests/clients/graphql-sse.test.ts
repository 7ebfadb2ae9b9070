import { behaves } from "./behaviour";
import { connect } from "./graphql-sse";

behaves("graphql-sse", connect);
