// Where a gateway listens, and what that address is called.
import type { AddressInfo, Server } from "node:net";
import { SetupError } from "./protocol/errors.ts";

/** Resolves with `http://host:port`; rejects with a `SetupError`. */
export function listen(server: Server, { host, port }: { host: string; port: number }): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once("error", ({ code }: NodeJS.ErrnoException) => {
      const fault =
        code === "EADDRINUSE"
          ? new SetupError(
              "port_taken",
              `${host}:${port} is in use.`,
              "Set SLUICE_PORT to another port (0 takes a free one), or end what uses it.",
            )
          : new SetupError(
              "address_not_available",
              `${host}:${port} cannot be listened on (${code ?? "unknown error"}).`,
              "Set SLUICE_HOST to an address of this machine, and SLUICE_PORT to a port that you may use.",
            );
      reject(fault);
    });
    server.listen(port, host, () => {
      const { address, family, port: taken } = server.address() as AddressInfo;
      resolve(`http://${family === "IPv6" ? `[${address}]` : address}:${taken}`);
    });
  });
}

/** The name that a client gives which calls the address listened on; all of a machine's addresses at once have none. */
export function ownHost(host: string): string[] {
  if (host === "0.0.0.0" || host === "::") return [];
  return [host.includes(":") ? `[${host}]` : host];
}

/** The same address for those on this machine: listening on all addresses is no address that could be called. */
export function localAddress(address: string): string {
  return address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:");
}

/** Where a gateway of this configuration would be called, by those on this machine. */
export function configuredAddress({ host, port }: { host: string; port: number }): string {
  return localAddress(`http://${host.includes(":") ? `[${host}]` : host}:${port}`);
}

/** The same for the gateway's own processes: by a name that it answers to, which an address that was looked up need not be. */
export function ownAddress(host: string, address: string): string {
  const local = new URL(localAddress(address));
  const [name = local.hostname] = ownHost(host);
  return `http://${name}:${local.port}`;
}

/** What answers there: a gateway that wants a key, the demo, which wants none, or nothing that is Sluice. */
export async function whoAnswers(address: string): Promise<"gateway" | "demo" | undefined> {
  const json = async (path: string) => {
    const reply = await fetch(`${address}${path}`, { signal: AbortSignal.timeout(lookMs) });
    return [reply.status, (await reply.json()) as { status?: unknown; type?: unknown }] as const;
  };
  try {
    const [, health] = await json("/healthz");
    if (health.status !== "ok") return undefined;
    const [status, { type }] = await json("/api/turns?limit=1");
    if (status === 200) return "demo";
    return String(type).startsWith(problemType) ? "gateway" : undefined;
  } catch {
    // Nobody, or somebody who says something else.
    return undefined;
  }
}

const lookMs = 5000;
/** What the type of every refusal of ours begins with. */
const problemType = "urn:sluice:error:";

/** Whether a gateway answers there. */
export function isAnswering(address: string): Promise<boolean> {
  return fetch(`${address}/healthz`).then(
    (reply) => reply.ok,
    () => false,
  );
}
