// curl as a client of a gateway.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import type { Client } from "./gateway.ts";

export interface CurlOptions {
  readonly accept: string;
  /** Posted as JSON. */
  readonly body?: unknown;
  readonly args?: readonly string[];
}

/** Resolves with what curl wrote and its exit code. */
export async function curl(
  { address, headers }: Client,
  path: string,
  { accept, body, args = [] }: CurlOptions,
): Promise<[output: string, code: number]> {
  const sent = Object.entries({
    ...headers,
    accept,
    ...(body === undefined ? {} : { "content-type": "application/json" }),
  });
  const child = spawn("curl", [
    "-sN",
    new URL(path, address).href,
    ...sent.flatMap(([name, value]) => ["-H", `${name}: ${value}`]),
    ...(body === undefined ? [] : ["-d", JSON.stringify(body)]),
    ...args,
  ]);
  const closed = once(child, "close") as Promise<[number]>;
  const output = await text(child.stdout);
  return [output, (await closed)[0]];
}
