// What a request's body costs before it is known whether it is wanted: over sockets, by clients that send a head and wait.
import type { Server } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import * as fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { routeScopes } from "../../../gateway/http/auth/route-scopes.ts";
import { bodyRules } from "../../../gateway/http/body-gate.ts";
import { checkJsonText } from "../../../gateway/http/json-text.ts";
import { GatewayError } from "../../../gateway/protocol/errors.ts";
import { sendRaw } from "../../support/raw-http.ts";
import { readAgent } from "../../support/real-cli.ts";
import { until } from "../../support/wait.ts";
import { bossKey, host, mainKey, openWholeApp, type WholeApp, type WholeAppOptions } from "../../support/whole-app.ts";

const origin = "https://page.example";
const agents = [readAgent({ name: "default" }), readAgent({ name: "open", public: { origins: [origin] } })];
const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function open(limits: WholeAppOptions["limits"] = {}): Promise<{ app: WholeApp; address: string }> {
  const app = await openWholeApp({ agents, limits });
  cleanups.push(() => app.close());
  const server = createAdaptorServer({ fetch: app.app.fetch }) as Server;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { app, address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const megabyte = 1024 * 1024;
const id = "00000000-0000-7000-8000-000000000000";
/** Routes that may be sent a body, each with an address of its own. */
const routes = Object.keys(routeScopes)
  .filter((route) => !route.startsWith("GET "))
  .map((route) => {
    const [method, path] = route.split(" ") as [string, string];
    return { route, method, path: path.replace(":name", "default").replace(/:\w+/, id) };
  });

function headOf(
  { method, path }: { method: string; path: string },
  length: number | "chunked",
  headers: Readonly<Record<string, string>> = {},
): string {
  const all = {
    Host: host,
    "Content-Type": path === "/api/attachments" ? "image/png" : "application/json",
    ...(length === "chunked" ? { "Transfer-Encoding": "chunked" } : { "Content-Length": String(length) }),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return `${[`${method} ${path} HTTP/1.1`, ...lines].join("\r\n")}\r\n\r\n`;
}

const bearer = (key: string) => ({ Authorization: `Bearer ${key}` });
const turns = { method: "POST", path: "/api/turns" };

test("every route that may be sent a body has its rule", () => {
  expect(Object.keys(bodyRules).toSorted()).toEqual(routes.map(({ route }) => route).toSorted());
});

describe("a body that is announced and never sent", () => {
  test.each(["chunked", 33_000_000] as const)(
    "is not waited for if its sender may not call the route at all (%s)",
    async (length) => {
      const { app, address } = await open();
      const nobody = await app.addKey("nobody", { scopes: [] });
      const asked = routes.flatMap((route) => [
        { route, headers: bearer("unknown"), status: route.path === "/api/tokens" ? undefined : 401 },
        { route, headers: bearer(nobody), status: route.path === "/mcp" ? undefined : 403 },
        { route, headers: { Origin: "https://evil.example", ...bearer(mainKey) }, status: 403 },
      ]);
      const wanted = asked.filter(({ status }) => status !== undefined);
      const replies = await Promise.all(
        wanted.map(({ route, headers }) => sendRaw(address, [headOf(route, length, headers)])),
      );
      expect(replies.map(({ status }, at) => [wanted[at]!.route.route, status])).toEqual(
        wanted.map(({ route, status }) => [route.route, status]),
      );
    },
  );

  test("[T6] is not waited for if its sender's rate is used up", async () => {
    const rate = { turns_per_minute: 1, tokens_per_minute: 1 };
    const { app, address } = await open({ rates: { key: rate } });
    const json = (path: string, body: unknown) => app.request(path, { key: mainKey, json: body });
    const image = Buffer.from("89504e470d0a1a0a", "hex");
    const used = await Promise.all([
      json("/api/turns", { prompt: "x", agent: "default" }),
      json("/api/sessions", { agent: "default" }),
      json("/api/tokens", { user: "ann" }),
      app.request("/api/attachments", {
        key: mainKey,
        method: "POST",
        body: image,
        headers: { "content-type": "image/png" },
      }),
    ]);
    expect(used.map(({ status }) => status)).toEqual([202, 201, 201, 201]);
    const counted = routes.filter(({ route }) => bodyRules[route]!.counted !== undefined);
    expect(counted.length).toBeGreaterThan(5);
    const replies = await Promise.all(counted.map((route) => sendRaw(address, [headOf(route, 1000, bearer(mainKey))])));
    expect(replies.map(({ status }) => status)).toEqual(counted.map(() => 429));
    for (const { text } of replies) expect(text).toMatch(/"limit":"rates\.key\.(?:turns|tokens)_per_minute","value":1/);
  });

  test("is not waited for if it is longer than its sender may send there: less with a token, least for a visitor", async () => {
    const { app, address } = await open();
    const { token } = await app.json<{ token: string }>("/api/tokens", { key: mainKey, json: { user: "ann" } });
    const { token: visitor } = await app.json<{ token: string }>("/api/tokens", {
      json: { agent: "open" },
      headers: { origin },
    });
    const limitOf = async (route: { method: string; path: string }, key: string, length: number) => {
      const { status, text } = await sendRaw(address, [
        headOf(route, length, { ...bearer(key), ...(key === visitor ? { Origin: origin } : {}) }),
      ]);
      return [status, /"limit":"(\w+)","value":(\d+)/.exec(text)?.slice(1).join(" ")];
    };
    const of = (name: string, megabytes: number) => [413, `${name} ${megabytes * megabyte}`];
    expect(await limitOf(turns, mainKey, 32 * megabyte + 1)).toEqual(of("body_bytes", 32));
    expect(await limitOf(turns, token, 4 * megabyte + 1)).toEqual(of("token_body_bytes", 4));
    expect(await limitOf(turns, visitor, megabyte + 1)).toEqual(of("visitor_body_bytes", 1));
    const upload = { method: "POST", path: "/api/attachments" };
    for (const key of [mainKey, token])
      expect(await limitOf(upload, key, 20 * megabyte + 1)).toEqual(of("attachment_bytes", 20));
    const others = routes.filter(({ route }) => bodyRules[route]!.holds === "other");
    const replies = await Promise.all(others.map((route) => limitOf(route, bossKey, megabyte + 1)));
    expect(replies).toEqual(others.map(() => of("other_body_bytes", 1)));
  });

  test("takes its room until it has come or its sender is gone; one caller has at most half of it", async () => {
    const { app, address } = await open({ bodies_mb: 8 });
    const other = await app.addKey("other");
    const begin = (key: string) => {
      const socket = connect(Number(new URL(address).port), "127.0.0.1");
      socket.on("error", () => {});
      let text = "";
      socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
      cleanups.push(() => void socket.destroy());
      socket.write(headOf(turns, 2 * megabyte, bearer(key)));
      return { socket, status: () => Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0), text: () => text };
    };
    /** Three at once, in whatever order they are looked at. */
    const beginThree = async (key: string) => {
      const begun = [begin(key), begin(key), begin(key)];
      await until("one is refused", () => begun.some(({ status }) => status() !== 0));
      return begun;
    };
    const mine = await beginThree(mainKey);
    const others = await beginThree(other);
    for (const three of [mine, others])
      expect(three.map(({ status }) => status()).toSorted((a, b) => a - b)).toEqual([0, 0, 429]);
    const refused = others.find(({ status }) => status() === 429)!;
    expect(refused.text()).toContain('"limit":"bodies_mb","value":8');
    expect(refused.text()).toMatch(/retry-after: 1\r\n/i);
    for (const { socket } of [...mine, ...others]) socket.destroy();
    const large = JSON.stringify({ prompt: "x", agent: "default", metadata: { filling: " ".repeat(3 * megabyte) } });
    const headers = { ...bearer(mainKey), "content-type": "application/json" };
    await until("there is room again", async () => {
      const reply = await fetch(`${address}/api/turns`, { method: "POST", headers, body: large });
      // Too much of something else, but it was read.
      return reply.status !== 429;
    });
  });
});

describe("a body of many small values", () => {
  const post = (body: string, path = "/api/turns"): Parameters<typeof sendRaw>[1] => [
    headOf({ method: "POST", path }, body.length, {
      ...bearer(mainKey),
      Accept: "application/json, text/event-stream",
    }),
    body,
  ];

  test.each(["/api/turns", "/mcp", "/api/agents/default/message"])(
    "is refused by a look at its text, and is never parsed: 33 MB of `[],` (%s)",
    async (path) => {
      const { address } = await open();
      const parse = vi.spyOn(JSON, "parse");
      const body = `{"prompt":"x","context":[${"[],".repeat(11_000_000 - 20)}1]}`;
      const [reply, health] = await Promise.all([
        sendRaw(address, post(body, path)),
        fetch(`${address}/healthz`).then(({ status }) => status),
      ]);
      expect([reply.status, health]).toEqual([413, 200]);
      expect(reply.text).toContain('"limit":"json_values","value":100000');
      expect(parse.mock.calls.filter(([text]) => text.length > 1000)).toEqual([]);
    },
    60_000,
  );

  test("is taken up to the limit, whatever its strings hold", async () => {
    const { app } = await open({ json_values: 100 });
    const send = async (context: unknown) =>
      (await app.request("/api/turns", { key: mainKey, json: { prompt: "x", agent: "default", context } })).status;
    expect(await send(Array(90).fill(1))).toBe(202);
    expect(await send({ text: '[],{}"\\'.repeat(500) })).toBe(202);
    expect(await send(Array(101).fill(1))).toBe(413);
    expect(await send(Array(101).fill("\\"))).toBe(413);
  });

  test("a look finds every value and level, and none in a string", () => {
    const scalars = (value: unknown): number =>
      typeof value === "object" && value !== null
        ? Object.values(value).reduce((sum: number, child) => sum + scalars(child), 0)
        : 1;
    const containers = (value: unknown): number =>
      typeof value === "object" && value !== null
        ? Object.values(value).reduce((sum: number, child) => sum + containers(child), 1)
        : 0;
    const isRefused = (text: string, maxValues: number) => {
      try {
        checkJsonText(text, { maxValues, maxDepth: 1000 });
        return false;
      } catch (error) {
        if (error instanceof GatewayError) return true;
        throw error;
      }
    };
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        const [least, most] = [scalars(value), scalars(value) + 2 * containers(value) + 1];
        expect(isRefused(text, most)).toBe(false);
        expect(isRefused(text, least - 1)).toBe(true);
      }),
    );
    const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;
    expect(() => checkJsonText(nested(100), { maxValues: 1e6, maxDepth: 100 })).not.toThrow();
    expect(() => checkJsonText(nested(101), { maxValues: 1e6, maxDepth: 100 })).toThrow("more than 100 deep");
  });
});
