import { afterEach, describe, expect, test } from "vitest";
import { createSignInLinks } from "../../../../gateway/http/sign-in.ts";
import { ordinaryScopes } from "../../../../gateway/protocol/scopes.ts";
import {
  bossKey,
  host,
  mainKey,
  openWholeApp,
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

const send = (fields: Record<string, string>, headers: Record<string, string> = {}) =>
  app.request("/sign-in", { method: "POST", body: new URLSearchParams(fields), headers });
const cookieOf = (reply: Response) => reply.headers.get("set-cookie")?.split(";")[0];
const statusWith = async (cookie: string) => (await app.request("/api/turns", { headers: { cookie } })).status;

describe("signing in [A1]", () => {
  test("with a pasted key gives a cookie that no script reads and no other site sends", async () => {
    await open();
    const reply = await send({ key: ` ${mainKey}\n` });
    expect([reply.status, reply.headers.get("location")]).toEqual([303, "./"]);
    const attributes = reply.headers.get("set-cookie")!.split("; ").slice(1).toSorted();
    expect(attributes).toEqual(["HttpOnly", "Max-Age=43200", "Path=/", "SameSite=Strict"]);
    expect(reply.headers.get("set-cookie")).not.toContain(mainKey);
    expect(await statusWith(cookieOf(reply)!)).toBe(200);
    clock += 12 * 60 * 60 * 1000;
    expect(await statusWith(cookieOf(reply)!)).toBe(401);
  });

  test("under a path of a proxy leads from page to page there", async () => {
    await open({ publicUrl: "https://intranet.example/sluice" });
    const cookie = cookieOf(await send({ key: mainKey }))!;
    const seen: string[] = [];
    const at = (base: string, address: string) => seen.push(new URL(address, `https://intranet.example${base}`).href);
    for (const [path, headers] of [
      ["/", {}],
      ["/", { cookie }],
      ["/sign-in", {}],
    ] as const) {
      const page = await (await app.request(path, { headers })).text();
      for (const [, address] of page.matchAll(/ (?:href|src|action)="([^"]*)"/g)) at(`/sluice${path}`, address!);
    }
    const replies = [await send({ key: mainKey }), await app.request("/sign-out", { method: "POST" })];
    for (const reply of replies) at("/sluice/sign-in", reply.headers.get("location")!);
    const names = ["", "?agent=other", "icon.svg", "sign-in", "sign-out", "widget.js"];
    expect([...new Set(seen)].toSorted()).toEqual(names.map((name) => `https://intranet.example/sluice/${name}`));
  });

  test("over https the cookie is sent over nothing else", async () => {
    await open();
    const reply = await app.app.request(`https://${host}/sign-in`, {
      method: "POST",
      body: new URLSearchParams({ key: mainKey }),
      headers: { host },
    });
    expect(reply.headers.get("set-cookie")).toContain("; Secure");
    // No neighbouring host can set one of this name: https://developer.mozilla.org/docs/Web/HTTP/Headers/Set-Cookie#cookie_prefixes
    expect(cookieOf(reply)).toMatch(/^__Host-sluice_sign_in=/);
    expect(reply.headers.get("set-cookie")).toContain("; Path=/;");
    const statusOf = async (cookie: string) =>
      (await app.app.request(`https://${host}/api/turns`, { headers: { host, cookie } })).status;
    expect(await statusOf(cookieOf(reply)!)).toBe(200);
    expect(await statusOf(cookieOf(reply)!.replace("__Host-", ""))).toBe(401);
  });

  test("under a path of a proxy the cookie is for that path, and a gateway beside it gets none", async () => {
    await open({ publicUrl: `http://${host}/sluice` });
    const reply = await send({ key: mainKey });
    expect(reply.headers.get("set-cookie")).toContain("; Path=/sluice/;");
    expect(await statusWith(cookieOf(reply)!)).toBe(200);
    const out = await app.request("/sign-out", { method: "POST" });
    expect(out.headers.get("set-cookie")).toContain("Path=/sluice/");
  });

  test.each(["multipart/form-data", "multipart/form-data; boundary=a"])(
    "with a body that is no %s is 400",
    async (type) => {
      await open();
      const reply = await app.request("/sign-in", { method: "POST", body: "x", headers: { "content-type": type } });
      expect([reply.status, await reply.json()]).toMatchObject([400, { code: "invalid_request" }]);
    },
  );

  test("with a wrong key is 401, says so, and sets nothing", async () => {
    await open();
    for (const fields of [{ key: "wrong" }, { key: "" }, {}, { code: "wrong" }, { code: mainKey }, { key: "main" }]) {
      const reply = await send(fields);
      expect([reply.status, reply.headers.get("set-cookie")]).toEqual([401, null]);
      expect(await reply.text()).toContain('role="alert"');
    }
  });

  test("with a key of a token, a ticket or a visitor is not possible", async () => {
    await open();
    const { token } = await app.json("/api/tokens", { key: mainKey, json: { user: "ann" } });
    for (const key of [token!, "visitors", "\0".repeat(32)]) expect((await send({ key })).status).toBe(401);
  });

  test("gives what the key may, and no more", async () => {
    await open();
    const key = await app.addKey("few", { scopes: ["transcripts"] });
    const cookie = cookieOf(await send({ key }))!;
    expect((await app.request("/api/sessions", { headers: { cookie } })).status).toBe(200);
    expect((await app.request("/api/turns", { headers: { cookie } })).status).toBe(403);
  });

  test("out takes the cookie away", async () => {
    await open();
    const reply = await app.request("/sign-out", { method: "POST" });
    expect([reply.status, reply.headers.get("location")]).toEqual([303, "sign-in"]);
    expect(reply.headers.get("set-cookie")).toMatch(/^sluice_sign_in=; Max-Age=0; Path=\//);
  });

  test("[A2] from another site's page is refused, and so is every change with the cookie", async () => {
    await open();
    const cookie = cookieOf(await send({ key: mainKey }))!;
    for (const headers of [
      { origin: "https://evil.example" },
      { origin: "null" },
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
      { origin: `http://${host}:81` },
    ] as Record<string, string>[]) {
      expect((await send({ key: mainKey }, headers)).status).toBe(403);
      expect((await app.request("/sign-out", { method: "POST", headers: { ...headers, cookie } })).status).toBe(403);
      const turn = await app.request("/api/turns", { json: { prompt: "x" }, headers: { ...headers, cookie } });
      expect([turn.status, await turn.json()]).toMatchObject([403, { code: "origin_not_allowed" }]);
      expect((await app.request("/api/turns", { headers: { ...headers, cookie } })).status).toBe(403);
    }
    const own = await app.request("/api/turns", {
      json: { prompt: "x", agent: "default" },
      headers: { cookie, origin: `http://${host}`, "sec-fetch-site": "same-origin" },
    });
    expect(own.status).toBe(202);
  });

  test("[A2] is good on the gateway's own pages alone: an allowed page of another port has no use of the cookie", async () => {
    const other = `http://${host}:81`;
    const publicUrl = "https://chat.example";
    await open({ allowedOrigins: [other], publicUrl });
    const cookie = cookieOf(await send({ key: mainKey }))!;
    const { session } = await app.json("/api/sessions", { key: mainKey, json: { agent: "default" } });
    const ask = async (origin: string, path: string, method: string) =>
      (await app.request(path, { method, headers: { cookie, origin } })).status;
    for (const [path, method] of [
      ["/api/sessions", "GET"],
      ["/api/sign-in-links", "POST"],
      [`/api/sessions/${session}/warm`, "POST"],
      [`/api/sessions/${session}`, "DELETE"],
    ] as const)
      expect([path, await ask(other, path, method)]).toEqual([path, 401]);
    // Behind a proxy that gives requests another Host it is the public address that a browser names.
    expect(await ask(publicUrl, "/api/sessions", "GET")).toBe(200);
    expect((await send({ key: mainKey }, { origin: publicUrl })).status).toBe(303);
    expect(await ask(`http://${host}`, `/api/sessions/${session}`, "DELETE")).toBe(200);
  });

  test("[A2] an allowed page, a public agent's for one, signs nobody in as somebody else, nor out", async () => {
    const page = "https://shop.example";
    await open({ allowedOrigins: [page] });
    const cookie = cookieOf(await send({ key: mainKey }))!;
    const { url } = await app.json("/api/sign-in-links", { method: "POST", key: mainKey });
    const code = new URL(url!).searchParams.get("code")!;
    const headers = { origin: page, "sec-fetch-site": "cross-site" };
    const replies = [
      await send({ key: mainKey }, headers),
      await send({ code }, headers),
      await app.request("/sign-out", { method: "POST", headers: { ...headers, cookie } }),
    ];
    for (const reply of replies) {
      expect([reply.status, reply.headers.get("set-cookie")]).toEqual([403, null]);
      expect(await reply.json()).toMatchObject({ code: "origin_not_allowed" });
    }
    // Nor is the link used up.
    expect((await send({ code })).status).toBe(303);
  });

  test("a form that is too large is 413", async () => {
    await open();
    const form = new URLSearchParams({ key: "k".repeat(20_000) }).toString();
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const whole = { ...headers, "content-length": String(form.length) };
    for (const sent of [headers, whole])
      expect((await app.request("/sign-in", { method: "POST", body: form, headers: sent })).status).toBe(413);
  });
});

describe("a sign-in link", () => {
  const linkOf = async (init: Parameters<WholeApp["request"]>[1]) => {
    const { url } = await app.json("/api/sign-in-links", { method: "POST", ...init });
    return new URL(url!);
  };

  test("signs in once, with a click, and then not again", async () => {
    await open();
    const link = await linkOf({ key: mainKey });
    const page = await app.request(link.pathname + link.search);
    // Looking at it signs nobody in: programs that preview links open them.
    expect([page.status, page.headers.get("set-cookie")]).toEqual([200, null]);
    const code = link.searchParams.get("code")!;
    expect(await page.text()).toContain(`name="code" value="${code}"`);
    const reply = await send({ code });
    expect(reply.status).toBe(303);
    expect(await statusWith(cookieOf(reply)!)).toBe(200);
    expect((await send({ code })).status).toBe(401);
  });

  test("runs out after ten minutes, and ends with its key", async () => {
    await open();
    const late = await linkOf({ key: mainKey });
    clock += 10 * 60 * 1000 + 1;
    expect((await send({ code: late.searchParams.get("code")! })).status).toBe(401);
    const key = await app.addKey("revoked");
    const orphan = await linkOf({ key });
    await app.revokeKey("revoked");
    expect((await send({ code: orphan.searchParams.get("code")! })).status).toBe(401);
  });

  test("does not bring a revoked key's holder in as the new key of its name", async () => {
    await open();
    const link = await linkOf({ key: await app.addKey("rotated") });
    await app.revokeKey("rotated");
    await app.addKey("rotated");
    expect((await send({ code: link.searchParams.get("code")! })).status).toBe(401);
  });

  test("is made by a key, an administrator's or not, and by no token", async () => {
    await open();
    for (const key of [mainKey, bossKey]) expect((await linkOf({ key })).pathname).toBe("/sign-in");
    const weak = await app.addKey("weak", { scopes: ordinaryScopes.filter((scope) => scope !== "tokens") });
    const { token } = await app.json("/api/tokens", { key: mainKey, json: { user: "ann" } });
    for (const key of [weak, token!])
      expect((await app.request("/api/sign-in-links", { method: "POST", key })).status).toBe(403);
  });

  test("is forgotten when a hundred newer ones wait", () => {
    const links = createSignInLinks();
    const codes = Array.from({ length: 105 }, () =>
      new URL(links.make({ name: "k", hash: new Uint8Array(32) }), "http://x").searchParams.get("code")!,
    );
    const good = codes.map((code) => links.redeem(code) !== undefined);
    expect(good.lastIndexOf(false)).toBe(4);
    expect(good.indexOf(true)).toBe(5);
  });
});

test("every page of the sign-in runs nothing, stands in no frame and is kept nowhere", async () => {
  await open();
  for (const path of ["/sign-in", '/sign-in?code="><script>alert(1)</script>']) {
    const reply = await app.request(path);
    const headers = Object.fromEntries(reply.headers);
    expect(headers).toMatchObject({
      "cache-control": "no-store",
      "x-frame-options": "DENY",
      "x-content-type-options": "nosniff",
      "referrer-policy": "same-origin",
    });
    expect(headers["content-security-policy"]).toMatch(
      /^default-src 'none'; style-src 'nonce-[\w+/=]{24}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$/,
    );
    expect(await reply.text()).not.toContain("<script");
  }
  const nonces = await Promise.all(
    [1, 2].map(async () => (await app.request("/sign-in")).headers.get("content-security-policy")),
  );
  expect(nonces[0]).not.toBe(nonces[1]);
});
