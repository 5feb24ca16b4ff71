import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { array, assert, constantFrom, oneof, property, string, tuple } from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { sse } from "../../../../gateway/formats/sse.ts";
import { routeScopes } from "../../../../gateway/http/auth/route-scopes.ts";
import type { WireEvent } from "../../../support/reader.ts";
import { sseParser } from "../../../support/reader.ts";
import { bossKey, openWholeApp, type WholeApp } from "../../../support/whole-app.ts";

const root = resolve(import.meta.dirname, "../../../..");
const apps: WholeApp[] = [];
const open = async () => {
  const app = await openWholeApp({
    limits: { rates: { key: { turns_per_minute: 100_000, streams: 100, tokens_per_minute: 100_000 } } },
  });
  apps.push(app);
  return app;
};
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close();
});

describe("[CVE-2026-31949] a body with anything missing or wrong", () => {
  const junk = [
    "",
    "{}",
    "null",
    "[]",
    "0",
    '"x"',
    "{",
    "\u0000",
    '{"__proto__":{"admin":true}}',
    '{"constructor":null,"toString":1}',
    `{"prompt":null,"user":null,"agent":null,"title":null,"decision":null}`,
    `{"prompt":{},"user":[],"agents":{},"expires_in":{},"rating":[]}`,
    `{"prompt":[null],"answers":[null],"agents":[null],"origins":[null]}`,
    `{"prompt":[{"type":"image","source":null}]}`,
    `{"prompt":[{"type":"document","source":{"type":"attachment"}}]}`,
    `{"decision":"allow","input":null,"scope":{}}`,
    `{"expires_in":1e999,"user":"u"}`,
    `{"metadata":${"[".repeat(5000)}${"]".repeat(5000)}}`,
    `{"prompt":"x","context":${"[".repeat(5000)}${"]".repeat(5000)}}`,
    '{"user":"\\ud800","prompt":"\\ud800"}',
  ];

  test.each(Object.keys(routeScopes))("is refused by %s, and the process goes on", async (route) => {
    const app = await open();
    const [method, template] = route.split(" ") as [string, string];
    const made = await app.json("/api/turns", { key: bossKey, json: { prompt: "x", agent: "default" } });
    const path = template
      .replace(":session", made["session"]!)
      .replace(":turn", made["turn"]!)
      .replaceAll(/:\w+/g, randomUUID());
    const queries = [
      "",
      "?limit=&cursor=&after=x&user=",
      "?limit=-1",
      "?after=1e9&format=%00",
      "?since=x&until=[]",
      "?q=%22%20AND%20(",
      "?__proto__=1",
    ];
    const sent = method === "GET" || method === "DELETE" ? [undefined] : junk;
    for (const body of sent)
      for (const query of queries.slice(0, body === undefined ? undefined : 1)) {
        const reply = await app.request(path + query, {
          method,
          key: bossKey,
          headers: { "content-type": "application/json", accept: "*/*" },
          ...(body === undefined ? {} : { body }),
        });
        await reply.body?.cancel();
        expect([route, query, body?.slice(0, 60), reply.status < 500]).toEqual([
          route,
          query,
          body?.slice(0, 60),
          true,
        ]);
      }
    expect((await app.request("/healthz")).status).toBe(200);
  });
});

test("[A5] [CVE-2026-25593] no request sets the binary, its flags, its folder, its environment or its rights", async () => {
  const app = await open();
  const wishes = {
    binary: "/bin/sh",
    claude: "/bin/sh",
    path: "/bin/sh",
    command: "sh",
    args: ["--dangerously-skip-permissions"],
    flags: [],
    cwd: "/",
    workspace: "/",
    env: { ANTHROPIC_BASE_URL: "https://evil.example" },
    environment: {},
    allowed_tools: ["Bash"],
    disallowed_tools: [],
    hooks: {},
    mcp_servers: {},
    setting_sources: ["user"],
    subagents: {},
    instructions: "obey",
    slash_commands: true,
    file_mentions: true,
    billing: "any",
  };
  for (const [field, value] of Object.entries(wishes))
    for (const [path, body] of [
      ["/api/turns", { prompt: "x", agent: "default" }],
      ["/api/sessions", { agent: "default" }],
      ["/api/tokens", { user: "ann" }],
    ] as const) {
      const reply = await app.request(path, { key: bossKey, json: { ...body, [field]: value } });
      expect([path, reply.status, await reply.json()]).toMatchObject([path, 400, { code: "invalid_request", field }]);
    }
  for (const wish of [
    { permission_mode: "bypassPermissions" },
    { permission_mode: "acceptEdits" },
    { model: "another" },
  ]) {
    const reply = await app.request("/api/turns", { key: bossKey, json: { prompt: "x", agent: "default", ...wish } });
    expect([reply.status, await reply.json()]).toMatchObject([403, { code: "forbidden" }]);
  }
  expect(app.drivers.size).toBe(0);
});

test("[CVE-2026-29085] no text of a model or a caller makes a field or an event of its own in a stream", () => {
  const breaks = constantFrom(
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    "\u2028",
    "\u2029",
    "\u0085",
    "\0",
    "data: ",
    "event: ping",
    "id: 9",
    "retry: 1",
    ":",
  );
  const hostile = array(oneof(breaks, string({ unit: "binary" })), { maxLength: 12 }).map((parts) => parts.join(""));
  assert(
    property(array(tuple(hostile, hostile), { minLength: 1, maxLength: 5 }), (texts) => {
      const events = texts.map(([text, kind], at) => {
        const json = JSON.stringify({ type: "notice", kind, text });
        return { seq: at + 1, first: at + 1, turn: null, at: 0, type: "notice", json } as const;
      });
      const read: WireEvent[] = [];
      sseParser((event) => read.push(event))(sse.encode(events));
      expect(read.map(({ seq, type, text, kind }) => [seq, type, text, kind])).toEqual(
        texts.map(([text, kind], at) => [at + 1, "notice", text, kind]),
      );
    }),
    { numRuns: 500 },
  );
});

test("[GHSA-cxm3-wv7p-598c] [CVE-2026-45321] dependencies are pinned exactly and locked by hash, and three alone may run scripts", () => {
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
    devDependencies: Record<string, string>;
    allowScripts: Record<string, boolean>;
    scripts: Record<string, string>;
  };
  // The CLI is there twice, the oldest one that is supported under another name.
  for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }))
    expect([name, version.replace("npm:@anthropic-ai/claude-code@", "")]).toEqual([
      name,
      expect.stringMatching(/^\d+\.\d+\.\d+(-[\w.]+)?$/),
    ]);
  expect(Object.keys(manifest.allowScripts).toSorted((a, b) => a.localeCompare(b))).toEqual([
    "@anthropic-ai/claude-code",
    "claude-code-oldest",
    "node",
    "node-pty",
  ]);
  for (const name of ["preinstall", "install", "postinstall"]) expect(manifest.scripts[name]).toBeUndefined();
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, { integrity?: string; resolved?: string; link?: boolean; inBundle?: boolean }>;
  };
  const unlocked = Object.entries(lock.packages)
    .filter(([name, { integrity, inBundle }]) => name !== "" && !inBundle && !integrity?.startsWith("sha512-"))
    .map(([name]) => name);
  expect(unlocked).toEqual([]);
});

describe("the README's table of attacks", () => {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const section = readme.slice(
    readme.indexOf("## Security"),
    readme.indexOf("\n## ", readme.indexOf("## Security") + 5),
  );
  const rows = section.split("\n").filter((line) => line.startsWith("| ") && !/^\| (Attack|-)/.test(line));
  const sources = readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.ts") && !name.includes("node_modules"))
    .map((name) => readFileSync(join(root, "test", name), "utf8"))
    .join("\n");
  /** What a test or a group of tests is called, without the ids before it: a text, and then a function. */
  const called = [...sources.matchAll(/\(\s*"([^"\n]+)",\s*(?:async )?\(/g)].map(([, title]) =>
    title!.replace(/^(?:\[[^\]]+\] )*(?:%s )?/, ""),
  );

  test("names for every attack a test that there is", () => {
    expect(rows.length).toBeGreaterThan(12);
    for (const row of rows) {
      const titles = [
        ...row
          .split("|")
          .at(-2)!
          .matchAll(/`([^`]+)`/g),
      ].map(([, title]) => title!);
      expect([row, titles.length > 0]).toEqual([row, true]);
      for (const title of titles) expect([title, called.some((name) => name.startsWith(title))]).toEqual([title, true]);
    }
  });

  test("has every published attack that a test is named after", () => {
    const named = new Set([...sources.matchAll(/\[((?:CVE|GHSA)-[\w-]+)\]/g)].map(([, id]) => id!));
    expect(named.size).toBeGreaterThan(15);
    expect([...named].filter((id) => !section.includes(id))).toEqual([]);
  });
});
