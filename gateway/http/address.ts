// Who is at the other end, as far as it can be believed: of IPv6 the /64, which is one customer's.
import { BlockList, isIP } from "node:net";
import type { Context } from "hono";
import type { Limits } from "../protocol/limits.ts";
import type { Env } from "./env.ts";

/** An address to count by; "" without a socket, or when it is closed already. */
export type AddressOf = (c: Context<Env>) => string;

/**
 * Proxies by their addresses: of those that a request came through the nearest that is none of them. As a number: the one that the farthest of so
 * many proxies saw, whoever connects; somebody who comes past one of them then chooses what is believed.
 */
export function createAddresses(proxies: Limits["trusted_proxies"]): AddressOf {
  const forwarded = typeof proxies === "number" ? byCount(proxies) : byAddress(proxies);
  return (c) => {
    const socket = unmapped(c.env?.incoming?.socket.remoteAddress ?? "");
    const hops = (c.req.header("x-forwarded-for") ?? "").split(",").map((hop) => unmapped(hop.trim()));
    return network(forwarded(socket, hops));
  };
}

type Forwarded = (socket: string, hops: readonly string[]) => string;

function byCount(proxies: number): Forwarded {
  return (socket, hops) => {
    const named = proxies === 0 ? undefined : hops.at(-proxies);
    return named !== undefined && isIP(named) !== 0 ? named : socket;
  };
}

function byAddress(proxies: readonly string[]): Forwarded {
  const trusted = new BlockList();
  for (const proxy of proxies) {
    const [address = "", bits] = proxy.split("/");
    const isV6 = isIP(address) === 6;
    trusted.addSubnet(address, Number(bits ?? (isV6 ? 128 : 32)), isV6 ? "ipv6" : "ipv4");
  }
  const isTrusted = (address: string) => trusted.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
  return (socket, hops) => {
    let nearest = socket;
    for (const hop of hops.toReversed()) {
      if (isIP(hop) === 0 || isIP(nearest) === 0 || !isTrusted(nearest)) break;
      nearest = hop;
    }
    return nearest;
  };
}

/** An IPv4 address as a socket of both families names it. */
function unmapped(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "");
}

function network(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = "", tail = ""] = address.toLowerCase().split("%")[0]!.split("::");
  const [before, after] = [head, tail].map((part) => (part === "" ? [] : part.split(":")));
  const groups = [...before!, ...Array<string>(Math.max(0, 8 - before!.length - after!.length)).fill("0"), ...after!];
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":");
}
