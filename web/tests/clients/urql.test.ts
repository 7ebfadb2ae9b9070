import { behaves } from "./behaviour";
import { connect } from "./urql";

behaves("urql", connect);
