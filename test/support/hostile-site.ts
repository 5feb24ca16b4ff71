// A web site on this machine that plays other people's pages: to the browser of browser.ts `friend.example`, `evil.example` and
// `rebound.example` are 127.0.0.1, whatever the port.
import { createServer, type IncomingMessage } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";

export interface HostileSite {
  readonly port: number;
  /** `http://<name>:<port>` */
  origin(name: string): string;
  /** The headers of every request that came, in order. */
  readonly heard: IncomingMessage["headers"][];
  close(): Promise<void>;
}

/** Every address of it is an empty page. */
export async function openHostileSite(): Promise<HostileSite> {
  const heard: IncomingMessage["headers"][] = [];
  const server = createServer((request, response) => {
    heard.push(request.headers);
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.end("<!doctype html><title>A page</title><body></body>");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    port,
    heard,
    origin: (name) => `http://${name}:${port}`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
