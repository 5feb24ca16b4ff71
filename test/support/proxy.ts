// A TCP proxy in front of a gateway: a network that can break.
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

export interface Proxy {
  /** What clients use instead of the gateway's address. */
  readonly address: string;
  /** How many connections there have been. */
  readonly connections: number;
  /** Breaks every connection there is; new ones work. */
  cut(): void;
  close(): void;
}

export async function startProxy(target: string): Promise<Proxy> {
  const sockets = new Set<Socket>();
  const { port, hostname } = new URL(target);
  let connections = 0;
  const server = createServer((client) => {
    connections += 1;
    const upstream = connect(Number(port), hostname);
    client.pipe(upstream).pipe(client);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get connections() {
      return connections;
    },
    cut,
    close() {
      server.close();
      cut();
    },
  };
}
