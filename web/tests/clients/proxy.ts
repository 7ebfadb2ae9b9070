/** A TCP proxy in front of a gateway, whose connections a test can cut. */
import { once } from "node:events";
import { type AddressInfo, type Socket, connect, createServer } from "node:net";

export async function proxy(gateway: string) {
  const { hostname, port } = new URL(gateway);
  const sockets = new Set<Socket>();
  const state = { down: false, mute: false };
  const server = createServer((client) => {
    if (state.down) return client.destroy();
    const upstream = connect(Number(port), hostname);
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
      one.on("data", (data) => {
        if (one === client || !state.mute) other.write(data);
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    for (const socket of sockets) socket.destroy();
    return sockets.size;
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Cuts all connections, and every new one until `up`. */
    down() {
      state.down = true;
      return cut();
    },
    /** What the gateway says is lost until `up`. */
    mute() {
      state.mute = true;
    },
    up() {
      state.down = state.mute = false;
    },
    async close() {
      state.down = true;
      cut();
      server.close();
      await once(server, "close");
    },
  };
}
