import { WebSocket } from "ws";

// Node has one of its own from version 22 on.
Object.assign(globalThis, { WebSocket: globalThis.WebSocket ?? WebSocket });
