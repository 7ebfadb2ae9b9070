import "./workers";
import "@graphiql/react/style.css";
import "@graphiql/plugin-doc-explorer/style.css";
import "@graphiql/plugin-history/style.css";
import "graphiql/graphiql.css";
import "./playground.css";

import { type Fetcher, createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import { type DocumentNode, Kind, getOperationAST, parse } from "graphql";
import { createClient } from "graphql-ws";
import { createRoot } from "react-dom/client";
import { HTTP_URL, WS_URL } from "../endpoint";
import { JOURNEY } from "./journey";

let known: { headers: string; send: Fetcher } | undefined;

/** What sends with these headers. Over a socket they go into its first message: with other ones it is another socket. */
function sender(headers: Record<string, unknown> = {}): Fetcher {
  const wanted = JSON.stringify(headers);
  if (known?.headers !== wanted) {
    const wsClient = createClient({ url: WS_URL, connectionParams: headers });
    known = { headers: wanted, send: createGraphiQLFetcher({ url: HTTP_URL, wsClient }) };
  }
  return known.send;
}

/** GraphiQL learns which operation a tab has a moment after it has shown it, and until then names the last one. */
const fetcher: Fetcher = (request, options) => {
  const documentAST = parseOrNothing(request.query);
  const operation = getOperationAST(documentAST, request.operationName) ?? getOperationAST(documentAST);
  return sender(options?.headers)(
    { ...request, operationName: operation?.name?.value },
    { ...options, documentAST },
  );
};

function parseOrNothing(query: string): DocumentNode {
  try {
    return parse(query);
  } catch {
    return { kind: Kind.DOCUMENT, definitions: [] };
  }
}

createRoot(document.getElementById("root")!).render(
  <GraphiQL
    fetcher={fetcher}
    defaultTabs={JOURNEY.map((query) => ({ query }))}
    defaultEditorToolsVisibility={false}
    inputValueDeprecation
    schemaDescription
  >
    <GraphiQL.Logo>
      <nav className="pages" aria-label="Pages">
        <strong>Playground</strong>
        <a href="./desk">Order desk</a>
      </nav>
    </GraphiQL.Logo>
  </GraphiQL>,
);
