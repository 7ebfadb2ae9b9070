import { connect } from "./apollo";
import { behaves } from "./behaviour";

behaves("Apollo Client", connect);
