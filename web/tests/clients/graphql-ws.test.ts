import { behaves } from "./behaviour";
import { connect } from "./graphql-ws";

behaves("graphql-ws", connect);
