import { generateKeyPairSync, randomUUID } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exportSPKI, importSPKI, SignJWT, UnsecuredJWT } from "jose";
import { afterEach, describe, expect, test } from "vitest";
import { nobodysHash } from "../../../../gateway/http/auth/key-ring.ts";
import { routeScopes } from "../../../../gateway/http/auth/route-scopes.ts";
import { maxRevokedUsers } from "../../../../gateway/http/tokens.ts";
import { createSigner, type NewClaims } from "../../../../gateway/http/auth/signed.ts";
import { browserScopes } from "../../../../gateway/protocol/scopes.ts";
import { choice, question } from "../../../support/approval-drafts.ts";
import { readAgent } from "../../../support/real-cli.ts";
import { until } from "../../../support/wait.ts";
import {
  bossKey,
  host,
  mainKey,
  openWholeApp,
  type AppRequest,
  type WholeApp,
  type WholeAppOptions,
} from "../../../support/whole-app.ts";

const apps: WholeApp[] = [];
let app: WholeApp;
let clock = 0;
const open = async (options: WholeAppOptions = {}) => {
  clock = Date.parse("2026-05-10T12:00:00Z");
  apps.push((app = await openWholeApp({ now: () => clock, ...options })));
};
afterEach(async () => {
  for (const one of apps.splice(0)) await one.close();
});

const intranet = "https://intranet.example";
const shop = "https://shop.example";
const day = 24 * 60 * 60;
const pass = (seconds: number) => void (clock += seconds * 1000);
const mint = (json: object, init: AppRequest = {}) => app.request("/api/tokens", { key: mainKey, json, ...init });
const minted = (json: object, init: AppRequest = {}) =>
  app.json<{ token: string; expires_at: string }>("/api/tokens", { key: mainKey, json, ...init });
const statusOf = async (token: string, init: AppRequest = {}) =>
  (await app.request("/api/turns", { key: token, ...init })).status;

describe("POST /api/tokens", () => {
  test.each<[string, object, string]>([
    ["no user", {}, "user"],
    ["an empty user", { user: "" }, "user"],
    ["a user that is too long", { user: "u".repeat(201) }, "user"],
    ["a user that is no text", { user: { name: "ann" } }, "user"],
    ["a public agent's field", { user: "ann", agent: "default" }, "agent"],
    ["no agents", { user: "ann", agents: [] }, "agents"],
    ["an agent's name that cannot be one", { user: "ann", agents: ["default", "A"] }, "agents.1"],
    ["an unknown agent", { user: "ann", agents: ["default", "nobody"] }, "agents"],
    ["agents that are no list", { user: "ann", agents: "default" }, "agents"],
    ["no origins", { user: "ann", origins: [] }, "origins"],
    ["an origin with a path", { user: "ann", origins: [`${intranet}/chat`] }, "origins.0"],
    ["an origin that is not allowed", { user: "ann", origins: [intranet, "https://evil.example"] }, "origins"],
    ["every origin", { user: "ann", origins: ["*"] }, "origins.0"],
    ["the origin null", { user: "ann", origins: ["null"] }, "origins.0"],
    ["too short a time", { user: "ann", expires_in: 9 }, "expires_in"],
    ["too long a time", { user: "ann", expires_in: day + 1 }, "expires_in"],
    ["a broken second", { user: "ann", expires_in: 10.5 }, "expires_in"],
    ["a time that is no number", { user: "ann", expires_in: "900" }, "expires_in"],
    ["a field that is unknown", { user: "ann", scopes: ["admin"] }, "scopes"],
  ])("refuses %s, naming the field", async (_, json, field) => {
    await open({ allowedOrigins: [intranet] });
    const reply = await mint(json);
    expect([reply.status, await reply.json()]).toMatchObject([400, { code: "invalid_request", field }]);
  });

  test("gives a token for 15 minutes, or for as long as was asked, up to a day", async () => {
    await open();
    for (const [asked, seconds] of [
      [undefined, 900],
      [10, 10],
      [day, day],
    ] as const) {
      const reply = await mint({ user: "ann", ...(asked && { expires_in: asked }) });
      expect([reply.status, reply.headers.get("cache-control")]).toEqual([201, "no-store"]);
      const { token, expires_at } = (await reply.json()) as { token: string; expires_at: string };
      expect(Date.parse(expires_at)).toBe(clock + seconds * 1000);
      pass(seconds - 1);
      expect(await statusOf(token)).toBe(200);
      pass(1);
      expect(await statusOf(token)).toBe(401);
    }
  });

  test("a body that is too large is 413, also without a key", async () => {
    await open();
    const body = JSON.stringify({ user: "u".repeat(70_000) });
    for (const key of [mainKey, undefined]) {
      const reply = await app.request("/api/tokens", {
        method: "POST",
        key,
        body,
        headers: { "content-type": "application/json", "content-length": String(body.length) },
      });
      expect(reply.status).toBe(413);
    }
  });

  test("[A3] a token reaches the routes of its scopes and no other, and mints nothing", async () => {
    await open();
    const { token } = await minted({ user: "ann" });
    for (const [route, scope] of Object.entries(routeScopes)) {
      const [method, path] = route.replaceAll(/:\w+/g, randomUUID()).split(" ") as [string, string];
      const { status } = await app.request(path, { method, key: token });
      expect([route, status === 403, status === 401]).toEqual([
        route,
        scope !== null && !browserScopes.includes(scope),
        false,
      ]);
    }
    expect(await (await mint({ user: "bob" }, { key: token })).json()).toMatchObject({ code: "forbidden" });
    const { ticket } = await app
      .json("/api/turns", { key: token, json: { prompt: "x" } })
      .then((turn) => app.json(`/api/sessions/${turn["session"]}/ticket`, { key: token, method: "POST" }));
    expect(ticket).toBeTruthy();
  });

  test("[A3] a token can do no more than its key", async () => {
    await open();
    const key = await app.addKey("minter", { scopes: ["tokens", "transcripts"] });
    const { token } = await minted({ user: "ann" }, { key });
    expect(await statusOf(token)).toBe(403);
    expect((await app.request("/api/sessions", { key: token })).status).toBe(200);
  });

  test("[A3] a token is good for its agents alone", async () => {
    await open();
    const all = await minted({ user: "ann" });
    const one = await minted({ user: "ann", agents: ["other"] });
    const foreign = await app.json("/api/turns", { key: all.token, json: { prompt: "x", agent: "default" } });
    expect((await app.request(`/api/turns/${foreign["turn"]}`, { key: one.token })).status).toBe(404);
    const refused = await app.request("/api/turns", { key: one.token, json: { prompt: "x", agent: "default" } });
    expect(refused.status).toBe(404);
    const goOn = { prompt: "x", session: foreign["session"] };
    expect((await app.request("/api/turns", { key: one.token, json: goOn })).status).toBe(404);
    const own = await app.request("/api/turns", { key: one.token, json: { prompt: "x" } });
    expect(await own.json()).toMatchObject({ agent: "other" });
  });

  test("[A2] a token is good on its pages alone, the gateway's own may be one, and what sends no Origin is no page", async () => {
    await open({ allowedOrigins: [intranet, shop] });
    const { token } = await minted({ user: "ann", origins: [intranet] });
    expect(await statusOf(token, { headers: { origin: intranet } })).toBe(200);
    expect(await statusOf(token)).toBe(200);
    const elsewhere = await app.request("/api/turns", { key: token, headers: { origin: shop } });
    expect([elsewhere.status, await elsewhere.json()]).toMatchObject([403, { code: "origin_not_allowed" }]);
    const own = await minted({ user: "ann", origins: [`http://${host}`] });
    expect(await statusOf(own.token, { headers: { origin: `http://${host}` } })).toBe(200);
    expect(await statusOf(own.token, { headers: { origin: intranet } })).toBe(403);
  });

  test("[A4] each user sees their own sessions, and cannot speak for another", async () => {
    await open();
    const [ann, amy] = [await minted({ user: "ann" }), await minted({ user: "amy" })];
    const turn = await app.json("/api/turns", { key: ann.token, json: { prompt: "x", user: "amy" } });
    expect(await app.json(`/api/sessions/${turn["session"]}`, { key: ann.token })).toMatchObject({ user: "ann" });
    expect((await app.request(`/api/sessions/${turn["session"]}`, { key: amy.token })).status).toBe(404);
    expect((await app.request(`/api/sessions/${turn["session"]}?user=ann`, { key: amy.token })).status).toBe(404);
  });
});

describe("[A3] what is no token of ours", () => {
  const claims = { kind: "token", key: "main", user: "ann", agents: null, origins: null } as const;
  const inAnHour = () => Math.floor(clock / 1000) + 3600;
  const kidOf = (token: string) => Buffer.from(token.split(".")[0]!, "base64url").toString();

  test("is refused: tampered with, unsigned, signed with another secret, or for another key", async () => {
    await open();
    const { token } = await minted({ user: "ann" });
    const [header, body, signature] = token.split(".") as [string, string, string];
    const { kid } = JSON.parse(kidOf(token)) as { kid: string };
    const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const changed = encoded({ ...claims, user: "amy", exp: inAnHour() });
    const secrets = JSON.parse(readFileSync(join(app.folder, "signing.json"), "utf8")) as { secret: string }[];
    const forged = (secret: string | Uint8Array, alg = "HS256") =>
      new SignJWT({ ...claims })
        .setProtectedHeader({ alg, kid })
        .setExpirationTime(inAnHour())
        .sign(typeof secret === "string" ? new TextEncoder().encode(secret) : secret);
    const wrong: Record<string, string> = {
      "another body": `${header}.${changed}.${signature}`,
      "no signature": `${header}.${body}.`,
      "half a signature": `${header}.${body}.${signature.slice(0, 20)}`,
      "two parts": `${header}.${body}`,
      "alg none": new UnsecuredJWT({ ...claims }).setExpirationTime(inAnHour()).encode(),
      "alg none with our kid": `${encoded({ alg: "none", kid })}.${changed}.`,
      "alg None": `${encoded({ alg: "None", kid })}.${changed}.${signature}`,
      "an empty secret": await forged(nobodysHash),
      "the public part of nothing": await forged("undefined-undefined-undefined-undefined"),
      // It is bound to the key as well: whoever reads the secrets' file alone cannot sign.
      "the secret alone": await forged(secrets[0]!.secret),
      "an embedded key": `${encoded({ alg: "HS256", kid, jwk: { kty: "oct", k: "AAAA" } })}.${changed}.${signature}`,
      "an unknown kid": `${encoded({ alg: "HS256", kid: "../../dev/null" })}.${body}.${signature}`,
      "no kid": `${encoded({ alg: "HS256" })}.${body}.${signature}`,
      nothing: "..",
      "no JSON": "a.b.c",
    };
    expect(await statusOf(token)).toBe(200);
    for (const [what, jwt] of Object.entries(wrong)) expect([what, await statusOf(jwt)]).toEqual([what, 401]);
  });

  test("is refused: one without an end, and one of a key that there is not", async () => {
    await open();
    const { createHmac } = await import("node:crypto");
    await minted({ user: "ann" });
    const [{ id, secret }] = JSON.parse(readFileSync(join(app.folder, "signing.json"), "utf8")) as [
      { id: string; secret: string },
    ];
    const bound = createHmac("sha256", secret).update(app.keys.named("main")!.hash).digest();
    const sign = (body: object, exp?: number) => {
      const jwt = new SignJWT({ ...body }).setProtectedHeader({ alg: "HS256", kid: id });
      return (exp === undefined ? jwt : jwt.setExpirationTime(exp)).sign(bound);
    };
    expect(await statusOf(await sign(claims, inAnHour()))).toBe(200);
    expect(await statusOf(await sign(claims))).toBe(401);
    expect(await statusOf(await sign({ ...claims, key: "boss" }, inAnHour()))).toBe(401);
    expect(await statusOf(await sign({ ...claims, key: "nobody" }, inAnHour()))).toBe(401);
    expect(await statusOf(await sign({ ...claims, user: null }, inAnHour()))).toBe(401);
    await expect(
      app.signer.sign({ ...claims, agents: null, origins: null, key: "nobody", exp: inAnHour() }),
    ).rejects.toThrow("not good any more");
  });

  test("[CVE-2026-22817] algorithm confusion: an RSA key's public part is no secret of ours, and RS256 no algorithm", async () => {
    await open();
    const { token } = await minted({ user: "ann" });
    const { kid } = JSON.parse(kidOf(token)) as { kid: string };
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const spki = await exportSPKI(
      await importSPKI(publicKey.export({ type: "spki", format: "pem" }).toString(), "RS256", { extractable: true }),
    );
    const sign = (alg: string, secret: Parameters<SignJWT["sign"]>[0]) =>
      new SignJWT({ ...claims }).setProtectedHeader({ alg, kid }).setExpirationTime(inAnHour()).sign(secret);
    for (const jwt of [
      await sign("RS256", privateKey),
      await sign("HS256", new TextEncoder().encode(spki)),
      await sign("HS512", new TextEncoder().encode(spki)),
    ])
      expect(await statusOf(jwt)).toBe(401);
  });

  test("a claim of one kind is none of another: tokens, tickets and cookies do not stand in for each other", async () => {
    await open();
    const exp = inAnHour();
    const turn = await app.json("/api/turns", { key: mainKey, json: { prompt: "x" } });
    const owner = { key: "main", user: null };
    const kinds: NewClaims[] = [
      { ...claims, agents: null, origins: null, exp },
      { kind: "ticket", key: "main", owner, session: turn["session"]!, agent: "default", origin: null, exp },
      { kind: "cookie", key: "main", exp },
    ];
    const jwts = await Promise.all(kinds.map((kind) => app.signer.sign(kind)));
    const path = `/api/sessions/${turn["session"]}/events`;
    const statuses = async (jwt: string) => {
      const replies = [
        await app.request("/api/turns", { key: jwt }),
        await app.request(`${path}?ticket=${jwt}`),
        await app.request("/api/turns", { headers: { cookie: `sluice_sign_in=${jwt}` } }),
      ];
      await replies[1]!.body?.cancel();
      return replies.map(({ status }) => status);
    };
    expect(await statuses(jwts[0]!)).toEqual([200, 401, 401]);
    expect(await statuses(jwts[1]!)).toEqual([401, 200, 401]);
    expect(await statuses(jwts[2]!)).toEqual([401, 401, 200]);
    expect(await statuses(mainKey)).toEqual([200, 401, 401]);
  });

  test("[CVE-2026-45339] a way that is refused is not made up for by another beside it", async () => {
    await open();
    const signIn = await app.request("/sign-in", { method: "POST", body: new URLSearchParams({ key: mainKey }) });
    const cookie = signIn.headers.get("set-cookie")!.split(";")[0]!;
    expect((await app.request("/api/turns", { headers: { cookie } })).status).toBe(200);
    for (const authorization of ["Bearer wrong", "Bearer", "Basic bWFpbjp4", "Bearer a b", "bearer\twrong", mainKey])
      expect([authorization, (await app.request("/api/turns", { headers: { cookie, authorization } })).status]).toEqual(
        [authorization, 401],
      );
    // Nor by headers and parameters that other servers take.
    for (const headers of [
      { "x-api-key": mainKey },
      { "proxy-authorization": `Bearer ${mainKey}` },
      { cookie: `key=${mainKey}` },
    ])
      expect((await app.request("/api/turns", { headers })).status).toBe(401);
    for (const query of [`key=${mainKey}`, `access_token=${mainKey}`, `token=${mainKey}`, `ticket=${mainKey}`])
      expect((await app.request(`/api/turns?${query}`)).status).toBe(401);
    const limited = await app.addKey("limited", { agents: ["other"] });
    const reply = await app.request("/api/turns", {
      key: limited,
      json: { prompt: "x", agent: "default" },
      headers: { cookie, "x-api-key": mainKey },
    });
    expect(reply.status).toBe(404);
  });
});

describe("[A3] the signing secrets", () => {
  test("rotate every day; what the old ones signed lives on until its end, over a restart too", async () => {
    await open();
    const file = join(app.folder, "signing.json");
    const count = () => (JSON.parse(readFileSync(file, "utf8")) as unknown[]).length;
    pass(1);
    await minted({ user: "ann" });
    pass(day - 2);
    const old = await minted({ user: "ann", expires_in: day });
    expect([count(), statSync(file).mode & 0o777]).toEqual([1, 0o600]);
    pass(3);
    const fresh = await minted({ user: "ann", expires_in: day });
    expect([count(), statSync(file).mode & 0o777]).toEqual([2, 0o600]);
    expect(old.token.split(".")[0]).not.toBe(fresh.token.split(".")[0]);
    expect([await statusOf(old.token), await statusOf(fresh.token)]).toEqual([200, 200]);
    const restarted = createSigner(file, app.keys, () => clock);
    expect(await restarted.verify(old.token, "token")).toMatchObject({ user: "ann" });
    pass(day - 4);
    expect(await restarted.verify(old.token, "token")).toMatchObject({ user: "ann" });
    pass(1);
    expect(await restarted.verify(old.token, "token")).toBeUndefined();
    expect(await restarted.verify(fresh.token, "token")).toMatchObject({ user: "ann" });
  });

  test("are not kept longer than what they signed can be renewed", async () => {
    await open();
    for (let days = 0; days < 50; days++) {
      await minted({ user: "ann" });
      pass(day + 1);
    }
    const kept = JSON.parse(readFileSync(join(app.folder, "signing.json"), "utf8")) as unknown[];
    expect(kept.length).toBeGreaterThanOrEqual(31);
    expect(kept.length).toBeLessThanOrEqual(33);
  });

  test("that are damaged are made anew: what was signed before is not good any more", async () => {
    await open();
    const { token } = await minted({ user: "ann" });
    const file = join(app.folder, "signing.json");
    writeFileSync(file, `[{"id":"x"`);
    const signer = createSigner(file, app.keys, () => clock);
    expect(await signer.verify(token, "token")).toBeUndefined();
    await signer.sign({ kind: "cookie", key: "main", exp: clock });
    expect(JSON.parse(readFileSync(file, "utf8"))).toHaveLength(1);
  });
});

describe("[A3] DELETE /api/tokens", () => {
  const end = (key: string, query: Record<string, string>) =>
    app.request(`/api/tokens?${new URLSearchParams(query).toString()}`, { method: "DELETE", key });

  test("ends what was signed for a user before, and nothing that comes after or is another's", async () => {
    await open();
    const [ann, bob] = [await minted({ user: "ann" }), await minted({ user: "bob" })];
    expect((await end(mainKey, { user: "ann" })).status).toBe(200);
    expect([await statusOf(ann.token), await statusOf(bob.token)]).toEqual([401, 200]);
    pass(1);
    expect(await statusOf((await minted({ user: "ann" })).token)).toBe(200);
    expect(await statusOf(mainKey)).toBe(200);
  });

  test("wants a user, of the key's own unless the key is an administrator's", async () => {
    await open();
    const { token } = await minted({ user: "ann" });
    const replies = [
      await end(mainKey, {}),
      await end(mainKey, { user: "ann", more: "x" }),
      await end(mainKey, { user: "ann", key: "boss" }),
      await end(token, { user: "ann" }),
    ];
    expect(replies.map(({ status }) => status)).toEqual([400, 400, 403, 403]);
    expect(await statusOf(token)).toBe(200);
  });

  test("is refused once as many users are ended as are kept in memory", async () => {
    await open();
    for (let index = 0; index < maxRevokedUsers; index++)
      await app.store.revokeUser({ key: "main", user: `u${index}`, at: 1 });
    await app.keys.refresh();
    const reply = await end(mainKey, { user: "ann" });
    expect([reply.status, await reply.json()]).toMatchObject([503, { code: "no_capacity" }]);
  });
});

describe("[A3] visitors of public agents", () => {
  const agents = [
    readAgent({ name: "default" }),
    readAgent({ name: "open", public: { origins: [shop] } }),
    readAgent({ name: "wide", public: { origins: [shop, intranet] } }),
  ];
  const ask = (agent: string, origin: string | undefined, init: AppRequest = {}) =>
    app.request("/api/tokens", { json: { agent }, ...init, headers: { ...(origin && { origin }), ...init.headers } });
  const visit = async (agent: string, origin: string, init: AppRequest = {}) => {
    const reply = await ask(agent, origin, init);
    expect(reply.status).toBe(201);
    return (await reply.json()) as { token: string; expires_at: string };
  };
  const userOf = (token: string) =>
    (JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString()) as { user: string }).user;

  test("get a token of 15 minutes from an allowed page, for that agent and page alone", async () => {
    await open({ agents, allowedOrigins: ["https://third.example"] });
    const { token, expires_at } = await visit("open", shop);
    expect(Date.parse(expires_at)).toBe(clock + 900_000);
    expect(userOf(token)).toMatch(/^visitor:[0-9a-f-]{36}$/);
    const post = (agent: string | undefined, origin: string) =>
      app.request("/api/turns", { key: token, json: { prompt: "x", agent }, headers: { origin } });
    expect(await (await post("open", shop)).json()).toMatchObject({ agent: "open" });
    expect(await (await post(undefined, shop)).json()).toMatchObject({ agent: "open" });
    expect((await post("wide", shop)).status).toBe(404);
    expect((await post("open", intranet)).status).toBe(403);
  });

  test("get none without an origin, from a page of another agent, for an agent that is unknown or not public: all alike", async () => {
    await open({ agents, allowedOrigins: ["https://third.example"] });
    const refusals = [
      await ask("open", undefined),
      await ask("open", intranet),
      await ask("open", "https://third.example"),
      await ask("open", `http://${host}`),
      await ask("default", shop),
      await ask("nobody", shop),
      await app.request("/api/tokens", { json: {}, headers: { origin: shop } }),
      await app.request("/api/tokens", { json: { agent: "open", user: "ann" }, headers: { origin: shop } }),
      await app.request("/api/tokens", { json: { agent: "open", agents: ["wide"] }, headers: { origin: shop } }),
      await app.request("/api/tokens", { json: { agent: "open", origins: [shop] }, headers: { origin: shop } }),
    ];
    const bodies = await Promise.all(
      refusals.map(async (reply) => ({ ...((await reply.json()) as object), request_id: "", status: reply.status })),
    );
    expect(bodies[0]).toMatchObject({ status: 401, code: "unauthorized" });
    for (const body of bodies) expect(body).toEqual(bodies[0]);
    // A page that may not call at all learns just that.
    const foreign = await ask("open", "https://evil.example");
    expect([foreign.status, await foreign.json()]).toMatchObject([403, { code: "origin_not_allowed" }]);
  });

  test("keep their user by renewing, before and up to 30 days after a token's end", async () => {
    await open({ agents });
    let { token } = await visit("open", shop);
    const user = userOf(token);
    const renew = (key: string | undefined = token, agent = "open", origin = shop) => visit(agent, origin, { key });
    ({ token } = await renew());
    expect(userOf(token)).toBe(user);
    pass(900 + 30 * day - 60);
    expect(await statusOf(token)).toBe(401);
    const late = await renew();
    expect(userOf(late.token)).toBe(user);
    pass(61);
    expect(userOf((await renew()).token)).not.toBe(user);
    // The chain goes on from the one that was renewed.
    expect(userOf((await renew(late.token)).token)).toBe(user);
    expect(await statusOf(late.token)).toBe(200);
  });

  test("are somebody new `visitor_days` after their first token, however often they renew", async () => {
    await open({ agents, limits: { visitor_days: 2 } });
    let { token } = await visit("open", shop);
    const user = userOf(token);
    for (let hours = 12; hours < 48; hours += 12) {
      pass(12 * 60 * 60);
      ({ token } = await visit("open", shop, { key: token }));
      expect([hours, userOf(token)]).toEqual([hours, user]);
    }
    pass(12 * 60 * 60);
    expect(userOf((await visit("open", shop, { key: token })).token)).not.toBe(user);
  });

  test("are ended alone: an administrator ends one visitor's tokens, tickets and streams, and no other's", async () => {
    await open({ agents });
    const headers = { origin: shop };
    const [bad, other] = [await visit("open", shop), await visit("open", shop)];
    const { session } = await app.json("/api/sessions", { key: bad.token, json: {}, headers });
    const { events_url } = await app.json(`/api/sessions/${session}/ticket`, {
      key: bad.token,
      method: "POST",
      headers,
    });
    const ticket = new URL(events_url!);
    const user = userOf(bad.token);
    const path = `/api/tokens?${new URLSearchParams({ user, key: "visitors" }).toString()}`;
    const end = (key: string) => app.request(path, { method: "DELETE", key });
    expect([(await end(mainKey)).status, (await end(other.token)).status]).toEqual([403, 403]);
    expect(await statusOf(bad.token)).toBe(200);
    pass(1);
    expect(await (await end(bossKey)).json()).toMatchObject({ key: "visitors", user });
    expect([await statusOf(bad.token), await statusOf(other.token)]).toEqual([401, 200]);
    expect((await app.request(ticket.pathname + ticket.search, { headers })).status).toBe(401);
    // Nor does it lead to a new one of the same visitor.
    pass(1);
    expect(userOf((await visit("open", shop, { key: bad.token })).token)).not.toBe(user);
    // It holds after a restart.
    expect(await app.store.revokedUsers()).toMatchObject([{ key: "visitors", user }]);
  });

  test("keep it for the same agent and page alone, and nobody takes another's", async () => {
    await open({ agents });
    const { token } = await visit("wide", shop);
    const user = userOf(token);
    expect(userOf((await visit("wide", shop, { key: token })).token)).toBe(user);
    expect(userOf((await visit("open", shop, { key: token })).token)).not.toBe(user);
    expect(userOf((await visit("wide", intranet, { key: token })).token)).not.toBe(user);
    // A token of a service key's user makes no visitor of theirs.
    const ann = await minted({ user: user });
    const reply = await ask("wide", shop, { key: ann.token });
    expect(reply.status).toBe(403);
    pass(901);
    expect(userOf((await visit("wide", shop, { key: ann.token })).token)).not.toBe(user);
  });

  test("see nothing of each other", async () => {
    await open({ agents });
    const [a, b] = [await visit("open", shop), await visit("open", shop)];
    const headers = { origin: shop };
    const turn = await app.json("/api/turns", { key: a.token, json: { prompt: "x" }, headers });
    for (const path of [
      `sessions/${turn["session"]}`,
      `sessions/${turn["session"]}/transcript`,
      `turns/${turn["turn"]}`,
    ]) {
      expect((await app.request(`/api/${path}`, { key: a.token, headers })).status).toBe(200);
      expect((await app.request(`/api/${path}`, { key: b.token, headers })).status).toBe(404);
    }
    const { sessions } = await app.json<{ sessions: [] }>("/api/sessions", { key: b.token, headers });
    expect(sessions).toEqual([]);
  });

  test("[A5] answer what their agent asks them, may deny it a tool and cannot allow one", async () => {
    await open({ agents });
    const { token: key } = await visit("open", shop);
    const { session, turn } = await app.json("/api/turns", { key, json: { prompt: "x" } });
    const ask = (more: Parameters<typeof question>[1]) =>
      app.turns.approvals.ask(
        readAgent({ name: "open" }),
        session!,
        question(turn!, more),
        new AbortController().signal,
      );
    const decisions = [
      ask({ tool: "Bash" }),
      ask({ tool: "Write" }),
      ask({ tool: "AskUserQuestion", isPersonal: true, input: choice }),
    ];
    const waiting = await until("the questions", async () => {
      const { approvals } = await app.json<{ approvals: { approval: string; tool: string }[] }>("/api/approvals", {
        key,
      });
      return approvals.length === 3 ? approvals : undefined;
    });
    const answer = (tool: string, json: object, by = key) =>
      app.request(`/api/approvals/${waiting.find((one) => one.tool === tool)!.approval}`, { key: by, json });
    for (const json of [
      { decision: "allow" },
      { decision: "allow", scope: "session" },
      { decision: "allow", input: {} },
    ])
      expect((await answer("Bash", json)).status).toBe(403);
    expect((await answer("Write", { decision: "deny" })).status).toBe(200);
    expect((await answer("AskUserQuestion", { decision: "allow", answers: { "Which colour?": "Red" } })).status).toBe(
      200,
    );
    // An administrator sees it, and may.
    expect((await answer("Bash", { decision: "allow" }, bossKey)).status).toBe(200);
    expect((await Promise.all(decisions)).map(({ behavior }) => behavior)).toEqual(["allow", "deny", "allow"]);
  });

  test("of an agent that is not public any more are shut out", async () => {
    await open({ agents });
    const exp = Math.floor(clock / 1000) + 60;
    const of = { key: "visitors", user: "visitor:x", agents: ["default"], origins: [shop] };
    const token = await app.signer.sign({ kind: "token", ...of, exp });
    const turn = await app.json("/api/turns", { key: bossKey, json: { prompt: "x", agent: "default" } });
    const post = (json: object) => app.request("/api/turns", { key: token, json, headers: { origin: shop } });
    expect((await post({ prompt: "x", agent: "default" })).status).toBe(404);
    expect((await post({ prompt: "x", session: turn["session"] })).status).toBe(404);
  });

  test("[A2] preflights are answered for public agents' pages, and replies can be read there", async () => {
    await open({ agents });
    const preflight = (origin: string) =>
      app.request("/api/tokens", {
        method: "OPTIONS",
        headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "content-type" },
      });
    const good = await preflight(shop);
    expect([good.status, good.headers.get("access-control-allow-origin")]).toEqual([204, shop]);
    expect(good.headers.get("access-control-allow-credentials")).toBeNull();
    const bad = await preflight("https://evil.example");
    expect([bad.status, bad.headers.get("access-control-allow-origin")]).toEqual([403, null]);
    for (const agent of ["open", "nobody"]) {
      const reply = await ask(agent, shop);
      expect(reply.headers.get("access-control-allow-origin")).toBe(shop);
      expect(reply.headers.get("vary")).toContain("Origin");
    }
  });
});
