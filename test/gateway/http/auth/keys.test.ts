import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { createKeyRing, hashSecret, nobodysHash, type ServiceKey } from "../../../../gateway/http/auth/key-ring.ts";
import { routeScopes, secondScopes } from "../../../../gateway/http/auth/route-scopes.ts";
import { fixedKeys } from "../../../../gateway/keys.ts";
import { scopes, type Scope } from "../../../../gateway/protocol/scopes.ts";
import { bossKey, mainKey, openWholeApp, type WholeApp, type WholeAppOptions } from "../../../support/whole-app.ts";
import { until } from "../../../support/wait.ts";

const apps: WholeApp[] = [];
let app: WholeApp;
const open = async (options: WholeAppOptions = {}) => apps.push((app = await openWholeApp(options)));
afterEach(async () => {
  for (const one of apps.splice(0)) await one.close();
});

const id = "00000000-0000-4000-8000-000000000000";
const routes = Object.entries(routeScopes).map(
  ([route, scope]) => [...route.replaceAll(/:\w+/g, id).split(" "), scope] as [string, string, Scope],
);

describe("[A4] scopes", () => {
  test("every route refuses a key that has all scopes but its own, and only that one", async () => {
    await open();
    const secrets = new Map<Scope, string>();
    for (const scope of scopes)
      secrets.set(scope, await app.addKey(`no-${scope}`, { scopes: scopes.filter((other) => other !== scope) }));
    const openByTwo = new Set(Object.keys(secondScopes).map((route) => route.replaceAll(/:\w+/g, id)));
    for (const [method, path, needed] of routes.filter(([method, path]) => !openByTwo.has(`${method} ${path}`))) {
      for (const scope of scopes) {
        const reply = await app.request(path, { method, key: secrets.get(scope), headers: { accept: "*/*" } });
        const { code, detail } = reply.status === 403 ? ((await reply.json()) as Record<string, string>) : {};
        const refused = { code: "forbidden", detail: expect.stringContaining(`the scope "${scope}"`) as string };
        const expected = scope === needed ? refused : { code: undefined, detail: undefined };
        expect({ route: `${method} ${path}`, code, detail }).toEqual({ route: `${method} ${path}`, ...expected });
      }
    }
  });

  test("a key for transcripts alone reads them whole, with what they refer to, and does nothing", async () => {
    await open();
    const reader = await app.addKey("reader", { scopes: ["transcripts"] });
    const body = new TextEncoder().encode("%PDF-1.4");
    const upload = { method: "POST", body, headers: { "content-type": "application/pdf" } } as const;
    // Its sessions are made by another key of its name: who owns them is not the subject.
    const owner = { key: "reader", user: null };
    const session = "00000000-0000-4000-8000-00000000000a";
    const attachment = {
      hash: Buffer.from(hashSecret("%PDF-1.4")).toString("hex"),
      mediaType: "application/pdf",
      bytes: body,
    };
    await app.store.commit([
      { kind: "session", session: { session, agent: "default", owner, createdAt: 1 } },
      { kind: "attachment", session, attachment },
    ]);
    const status = async (path: string, init: object = {}) =>
      (await app.request(path, { key: reader, ...init })).status;
    for (const path of ["", `/${session}`, `/${session}/transcript`])
      expect([path, await status(`/api/sessions${path}`)]).toEqual([path, 200]);
    expect(await status(`/api/attachments/${attachment.hash}`)).toBe(200);
    expect(await status("/api/attachments", upload)).toBe(403);
    expect(await status(`/api/sessions/${session}`, { method: "DELETE" })).toBe(403);
    expect(await status(`/api/sessions/${session}/events`)).toBe(403);
    const none = await app.addKey("none", { scopes: ["usage"] });
    for (const path of [`/api/sessions/${session}`, `/api/attachments/${attachment.hash}`])
      expect((await app.request(path, { key: none })).status).toBe(403);
  });

  test("no route answers without a key, nor with one that is wrong", async () => {
    await open();
    for (const [method, path] of routes)
      for (const key of [undefined, "wrong", "", `${mainKey}x`, mainKey.slice(1)]) {
        const reply = await app.request(path, {
          method,
          key,
          headers: { "content-type": "application/json" },
          ...(method === "GET" ? {} : { body: "{}" }),
        });
        expect([reply.status, await reply.json()], `${method} ${path} ${key}`).toMatchObject([
          401,
          { code: "unauthorized" },
        ]);
        expect(reply.headers.get("www-authenticate")).toBe("Bearer");
      }
  });

  test("an app with a route in no line of the table does not start", async () => {
    await open();
    const { checkRoutes } = await import("../../../../gateway/http/auth/route-scopes.ts");
    expect(() => checkRoutes(app.app)).not.toThrow();
    app.app.get("/api/forgotten", (c) => c.text("open to all"));
    expect(() => checkRoutes(app.app)).toThrow("GET /api/forgotten has no scope");
  });
});

describe("[A1] the keys that a gateway has from the start", () => {
  test("keys of SLUICE_KEYS may do all but administer and make agents; the self-made one everything", async () => {
    await open();
    const configured = fixedKeys({ keys: [{ name: "a", secret: mainKey }], dataFolder: app.folder });
    expect(configured.map((key) => key.scopes)).toEqual([
      scopes.filter((scope) => scope !== "admin" && scope !== "manage_agents"),
    ]);
    const [local] = fixedKeys({ keys: [], dataFolder: app.folder });
    expect(local).toMatchObject({ name: "local", scopes, agents: null });
    const again = fixedKeys({ keys: [], dataFolder: app.folder });
    expect(again[0]!.hash).toEqual(local!.hash);
  });
});

describe("[A8] secrets", () => {
  test("of stored keys are in no file of the data folder", async () => {
    await open();
    const secret = await app.addKey("spoken");
    expect((await app.request("/api/turns", { key: secret })).status).toBe(200);
    for (const name of readdirSync(app.folder))
      expect([name, readFileSync(join(app.folder, name)).includes(secret)]).toEqual([name, false]);
  });

  test("the key without a secret is found by no secret", async () => {
    const nobody: ServiceKey = { name: "visitors", hash: nobodysHash, scopes: [...scopes], agents: null };
    const ring = await createKeyRing({ fixed: [nobody], readStored: async () => [], readRevoked: async () => [] });
    for (const secret of ["", "\0".repeat(32), "visitors"]) expect(ring.find(secret)).toBeUndefined();
    expect(ring.named("visitors")).toBe(nobody);
  });

  test("a stored key cannot take the name of one that the gateway has from the start", async () => {
    const key = (name: string, secret: string): ServiceKey => ({
      name,
      hash: hashSecret(secret),
      scopes: ["turns"],
      agents: null,
    });
    const ring = await createKeyRing({
      fixed: [key("local", "first")],
      readStored: async () => [key("local", "second"), key("b", "third")],
      readRevoked: async () => [],
    });
    expect(ring.find("first")?.name).toBe("local");
    expect(ring.find("second")).toBeUndefined();
    expect(ring.find("third")?.name).toBe("b");
  });
});

describe("a key that is limited to agents", () => {
  test("knows of no other agent, and sees no session of one", async () => {
    await open();
    const limited = await app.addKey("limited", { agents: ["other"] });
    const post = (key: string, path: string, json: unknown) => app.request(path, { key, json });
    const allowed = await post(limited, "/api/turns", { prompt: "x", agent: "other" });
    expect(allowed.status).toBe(202);
    // The only one that it knows is the one that it means.
    expect(await (await post(limited, "/api/turns", { prompt: "x" })).json()).toMatchObject({ agent: "other" });
    for (const path of ["/api/turns", "/api/sessions"]) {
      const refused = await post(limited, path, { ...(path === "/api/turns" && { prompt: "x" }), agent: "default" });
      const unknown = await post(limited, path, { ...(path === "/api/turns" && { prompt: "x" }), agent: "nobody" });
      expect([refused.status, unknown.status]).toEqual([404, 404]);
      expect(await refused.json()).toMatchObject({ code: "not_found", detail: 'There is no agent "default".' });
    }
    // The same key, when it was not limited yet, had made one with the other agent.
    await app.revokeKey("limited");
    const unlimited = await app.addKey("limited");
    const foreign = await app.json("/api/turns", { key: unlimited, json: { prompt: "x", agent: "default" } });
    await app.revokeKey("limited");
    const again = await app.addKey("limited", { agents: ["other"] });
    expect((await app.request(`/api/sessions/${foreign["session"]}`, { key: unlimited })).status).toBe(401);
    expect((await app.request(`/api/sessions/${foreign["session"]}`, { key: again })).status).toBe(404);
    expect((await app.request(`/api/turns/${foreign["turn"]}`, { key: again })).status).toBe(404);
    const { sessions } = await app.json<{ sessions: { agent: string }[] }>("/api/sessions", { key: again });
    expect(sessions.map(({ agent }) => agent)).toEqual(["other", "other"]);
  });

  test("mints tokens for no other agent", async () => {
    await open();
    const limited = await app.addKey("limited", { agents: ["other"] });
    const refused = await app.request("/api/tokens", { key: limited, json: { user: "ann", agents: ["default"] } });
    expect([refused.status, await refused.json()]).toMatchObject([400, { field: "agents" }]);
    const { token } = await app.json("/api/tokens", { key: limited, json: { user: "ann" } });
    const reply = await app.request("/api/turns", { key: token!, json: { prompt: "x", agent: "default" } });
    expect(reply.status).toBe(404);
  });
});

describe("[A3] a key that is revoked", () => {
  /** Everything that can be made with a key. */
  async function makeAll(secret: string) {
    const { token } = await app.json("/api/tokens", { key: secret, json: { user: "ann" } });
    const turn = await app.json("/api/turns", { key: token!, json: { prompt: "x" } });
    const { ticket } = await app.json(`/api/sessions/${turn["session"]}/ticket`, { key: secret, method: "POST" });
    const signIn = await app.request("/sign-in", { method: "POST", body: new URLSearchParams({ key: secret }) });
    const cookie = signIn.headers.get("set-cookie")!.split(";")[0]!;
    const events = `/api/sessions/${turn["session"]}/events`;
    return [
      [events, { key: secret }],
      [events, { key: token! }],
      [`${events}?ticket=${ticket}`, {}],
      [new URL(turn["events_url"]!).pathname + new URL(turn["events_url"]!).search, { key: token! }],
      [events, { headers: { cookie } }],
    ] as const;
  }

  test("takes its tokens, tickets and cookies with it, and its open streams", async () => {
    await open({ limits: { revocation_s: 0.3 } });
    const ways = await makeAll(await app.addKey("leaked"));
    const streams = await Promise.all(ways.map(([path, init]) => app.request(path, init)));
    expect(streams.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    const ended = Promise.allSettled(streams.map((stream) => stream.text()));
    const began = performance.now();
    await app.revokeKey("leaked");
    // Cut, not ended: what is missing must be seen to be missing.
    expect((await ended).map(({ status }) => status)).toEqual(Array(5).fill("rejected"));
    expect(performance.now() - began).toBeLessThan(10_000);
    for (const [path, init] of ways) expect([path, (await app.request(path, init)).status]).toEqual([path, 401]);
  });

  test("gets no answer that it waits for, and no more of a transcript that it reads", async () => {
    await open({ limits: { revocation_s: 0.3 } });
    const leaked = await app.addKey("leaked");
    const made = await app.json("/api/turns", { key: leaked, json: { prompt: "x".repeat(1000), agent: "default" } });
    const driver = await until("its process", () => app.drivers.get(made["session"]!));
    await until("its prompt", () => driver.requests.length === 1);
    for (let count = 1; count < 20; count++)
      await app.json("/api/turns", { key: leaked, json: { prompt: "y".repeat(1000), session: made["session"] } });
    const path = `/api/sessions/${made["session"]}/transcript?format=ndjson`;
    const transcript = await app.request(path, { key: leaked });
    const reader = transcript.body!.getReader();
    expect((await reader.read()).done).toBe(false);
    const waiting = app.request(`/api/turns/${made["turn"]}`, { key: leaked, headers: { prefer: "wait=60" } });
    await app.revokeKey("leaked");
    const reply = await waiting;
    expect([reply.status, (await reply.json()) as object]).toMatchObject([401, { code: "unauthorized" }]);
    await expect(reader.read()).rejects.toThrow("not good any more");
    expect(driver.requests).toHaveLength(1);
  });

  test("does not come back with a new key of its name, but its sessions do", async () => {
    await open({ limits: { revocation_s: 0.3 } });
    const ways = await makeAll(await app.addKey("rotated"));
    const stream = await app.request(...ways[2]);
    await app.store.revokeKey("rotated", Date.now());
    const anew = await app.addKey("rotated");
    await expect(stream.text()).rejects.toThrow("cut");
    for (const [path, init] of ways) expect([path, (await app.request(path, init)).status]).toEqual([path, 401]);
    const reply = await app.request(ways[0][0], { key: anew });
    expect(reply.status).toBe(200);
    await reply.body!.cancel();
  });

  test("leaves the streams of other keys alone", async () => {
    await open({ limits: { revocation_s: 0.06, ping_s: 0.1 } });
    await app.addKey("leaked");
    const turn = await app.json("/api/turns", { key: mainKey, json: { prompt: "x" } });
    const stream = await app.request(`/api/sessions/${turn["session"]}/events`, { key: mainKey });
    await app.revokeKey("leaked");
    const reader = stream.body!.getReader();
    let pings = 0;
    await until("five pings", async () => {
      pings += String(Buffer.from((await reader.read()).value)).split("event: ping").length - 1;
      return pings >= 5;
    });
    expect((await app.request("/api/turns", { key: mainKey })).status).toBe(200);
    await reader.cancel();
  });
});

describe("[A4] who sees what", () => {
  test("a key sees the sessions of all its users, `?user=` those of one, an administrator all", async () => {
    await open();
    const other = await app.addKey("b");
    const make = (key: string, user?: string) => app.json("/api/turns", { key, json: { prompt: "x", user } });
    const [own, anns, amys, bs] = [
      await make(mainKey),
      await make(mainKey, "ann"),
      await make(mainKey, "amy"),
      await make(other),
    ].map((turn) => turn["session"]!);
    const seen = async (key: string, query = "") => {
      const { sessions } = await app.json<{ sessions: { session: string }[] }>(`/api/sessions${query}`, { key });
      return new Set(sessions.map(({ session }) => session));
    };
    expect(await seen(mainKey)).toEqual(new Set([own, anns, amys]));
    expect(await seen(mainKey, "?user=ann")).toEqual(new Set([anns]));
    expect(await seen(mainKey, "?user=nobody")).toEqual(new Set());
    expect(await seen(other)).toEqual(new Set([bs]));
    expect(await seen(bossKey)).toEqual(new Set([own, anns, amys, bs]));
    // A token stays its user's, whatever it asks for.
    const { token } = await app.json("/api/tokens", { key: mainKey, json: { user: "ann" } });
    expect(await seen(token!)).toEqual(new Set([anns]));
    expect(await seen(token!, "?user=amy")).toEqual(new Set());
    for (const session of [own, amys])
      expect((await app.request(`/api/sessions/${session}?user=amy`, { key: token! })).status).toBe(404);
    // An administrator's ticket is for the session, not for whoever made it.
    const { ticket } = await app.json(`/api/sessions/${bs}/ticket`, { key: bossKey, method: "POST" });
    const stream = await app.request(`/api/sessions/${bs}/events?ticket=${ticket}`);
    expect(stream.status).toBe(200);
    await stream.body!.cancel();
  });
});
