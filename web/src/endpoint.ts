/** GraphQL over HTTP and over WebSocket, and the lab, beside this page wherever it is mounted. */
export const HTTP_URL = new URL("graphql", location.href).href;
export const LAB_URL = new URL("lab", location.href).href;
export const WS_URL = HTTP_URL.replace(/^http/, "ws");
