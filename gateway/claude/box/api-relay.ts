// [A9] The one way out of a box without a network: a socket behind which is the model's API, and nothing else. It carries bytes, which for https are
// not ours to read.
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface ApiRelay {
  /** The socket. Whoever can reach its folder may use it. */
  readonly path: string;
  close(): void;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

const defaultApi = "https://api.anthropic.com";

/** Longer than any pause of a stream. */
const idleMs = 15 * 60_000;

/** At once, of all boxes: each is two descriptors of the gateway's, and a tool can open as many as it likes. */
const maxConnections = 1000;

/** What a proxy may say before it lets bytes through. */
const maxProxyHead = 8 * 1024;

/** Opens the socket. `environment` says where the API is, and by which proxy it is reached. */
export async function openApiRelay(environment: Readonly<Record<string, string | undefined>>): Promise<ApiRelay> {
  const api = new URL(environment["ANTHROPIC_BASE_URL"] || defaultApi);
  const target = addressOf(api);
  const proxy = proxyFor(api, environment);
  // Short: the path of a socket ends at some 100 bytes.
  const folder = mkdtempSync(join(tmpdir(), "sluice-api-"));
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (inside) => {
    const outside = connect({ ...(proxy ?? target), allowHalfOpen: true });
    for (const socket of [inside, outside]) {
      open.add(socket);
      socket.setTimeout(idleMs, () => socket.destroy());
      socket.once("close", () => open.delete(socket));
    }
    endTogether(inside, outside);
    if (proxy) throughProxy(inside, outside, target);
    else {
      inside.pipe(outside);
      outside.pipe(inside);
    }
  });
  server.maxConnections = maxConnections;
  const path = join(folder, "api.sock");
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  // Its folder is closed to others, and a box that has it runs as another user than a gateway that is root.
  chmodSync(path, 0o666);
  return {
    path,
    close() {
      server.close();
      for (const socket of open) socket.destroy();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What is gone on one side goes on the other, once that has all that was on its way. */
function endTogether(inside: Socket, outside: Socket): void {
  for (const [socket, other] of [
    [inside, outside],
    [outside, inside],
  ] as const)
    // Its `close` follows.
    socket.once("error", () => {}).once("close", () => other.destroySoon());
}

function throughProxy(inside: Socket, outside: Socket, { host, port }: Address): void {
  let head = Buffer.alloc(0);
  outside.write(`CONNECT ${host}:${port} HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`);
  const listen = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0 && head.length < maxProxyHead) return;
    outside.off("data", listen);
    if (!/^HTTP\/1\.[01] 200/.test(head.subarray(0, 16).toString("latin1")) || end < 0) return void outside.destroy();
    inside.write(head.subarray(end + 4));
    inside.pipe(outside);
    outside.pipe(inside);
  };
  outside.on("data", listen);
}

/** For https alone, as the CLI uses one; an API on the way to which no proxy lies is named in NO_PROXY. */
function proxyFor(api: URL, environment: Readonly<Record<string, string | undefined>>): Address | undefined {
  if (api.protocol !== "https:") return undefined;
  const named = environment["HTTPS_PROXY"] || environment["https_proxy"];
  const without = (environment["NO_PROXY"] ?? environment["no_proxy"] ?? "").split(",").map((host) => host.trim());
  const isExempt = without.some(
    (host) => host === "*" || (host !== "" && api.hostname.endsWith(host.replace(/^\*/, ""))),
  );
  return named === undefined || named === "" || isExempt ? undefined : addressOf(new URL(named));
}

function addressOf({ hostname, port, protocol }: URL): Address {
  const host = hostname.replace(/^\[|\]$/g, "");
  return { host, port: port === "" ? (protocol === "https:" ? 443 : 80) : Number(port) };
}
