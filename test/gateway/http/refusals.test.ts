import { randomUUID } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import { errorStatus, type ErrorCode } from "../../../gateway/protocol/codes.ts";
import { StoreFull } from "../../../gateway/store/port.ts";
import { readAgent } from "../../support/real-cli.ts";
import { openApp, secrets, type AppRequest, type AppScene } from "../../support/app-scene.ts";
import { until } from "../../support/wait.ts";

const scenes: AppScene[] = [];
afterEach(async () => {
  for (const scene of scenes.splice(0)) await scene.close();
});

async function open(options?: Parameters<typeof openApp>[0]): Promise<AppScene> {
  const scene = await openApp(options);
  scenes.push(scene);
  return scene;
}

const post = (body: unknown, headers: Record<string, string> = {}): AppRequest => ({ method: "POST", body, headers });

/** A problem reply's code and field, once it has all that every one must have. */
async function problemOf(reply: Response): Promise<{ code: ErrorCode; field?: string; detail: string }> {
  const body = (await reply.json()) as Record<string, unknown> & { code: ErrorCode; field?: string; detail: string };
  const complete = {
    contentType: reply.headers.get("content-type"),
    type: `urn:sluice:error:${body.code}`,
    status: reply.status,
    requestId: typeof body["request_id"] === "string" && body["request_id"].length > 10,
    hasTitle: Boolean(body["title"]) && body.detail !== "",
  };
  expect(complete).toEqual({
    contentType: "application/problem+json",
    type: body["type"],
    status: errorStatus[body.code],
    requestId: true,
    hasTitle: true,
  });
  return { code: body.code, detail: body.detail, ...(body.field === undefined ? {} : { field: body.field }) };
}

describe("a body that is wrong", () => {
  test.each<[string, unknown, string]>([
    ["no prompt", {}, "prompt"],
    ["an empty prompt", { prompt: "" }, "prompt"],
    ["a prompt of blanks", { prompt: " \n\t" }, "prompt"],
    ["no blocks", { prompt: [] }, "prompt"],
    ["a prompt that is a number", { prompt: 5 }, "prompt"],
    ["a NUL in the prompt", { prompt: "a\u0000b" }, "prompt"],
    ["a block of an unknown type", { prompt: [{ type: "video" }] }, "prompt.0.type"],
    ["a field too many in a block", { prompt: [{ type: "text", text: "x", y: 1 }] }, "prompt.0.y"],
    ["an unknown field", { prompt: "x", cwd: "/" }, "cwd"],
    ["a session that is no UUID", { prompt: "x", session: "../x" }, "session"],
    ["an agent's name that cannot be one", { prompt: "x", agent: "A B" }, "agent"],
    ["an empty user", { prompt: "x", user: "" }, "user"],
    ["an unknown on_busy", { prompt: "x", on_busy: "wait" }, "on_busy"],
    ["an unknown permission mode", { prompt: "x", permission_mode: "root" }, "permission_mode"],
    ["a timeout of zero", { prompt: "x", turn_timeout_s: 0 }, "turn_timeout_s"],
    ["metadata that is too large", { prompt: "x", metadata: "m".repeat(70_000) }, "metadata"],
    ["null", null, ""],
    ["an array", [], ""],
  ])("%s is 400 and names the field", async (_, body, field) => {
    const scene = await open();
    const { code, field: named = "", detail } = await problemOf(await scene.request("/api/turns", post(body)));
    expect([code, named]).toEqual(["invalid_request", field]);
    expect(detail.startsWith(field)).toBe(true);
    expect(await scene.turns.list({ key: "x", user: null, reach: "all" }, { limit: 1 })).toEqual([]);
  });

  test.each<[unknown, string]>([
    [{}, "prompt: is missing"],
    [{ prompt: 5 }, "prompt: must be a text, or a list of content blocks"],
    [{ prompt: [{ type: "text" }] }, "prompt.0.text: is missing"],
    [[], "The body must be an object."],
    [{ modle: "x" }, "modle: is no known field; did you mean `model`?"],
    [{ prompt: "x", cwd: "/", session: 5 }, "cwd: is no known field"],
    [{ prompt: "x", session: 5 }, "session: must be a UUID"],
    [{ prompt: "x", user: 5 }, "user: must be a text"],
    [{ prompt: "x", user: "u".repeat(201) }, "user: must have at most 200 characters"],
    [{ prompt: "x", on_busy: "wait" }, "on_busy: must be one of queue, reject, interrupt"],
    [{ prompt: "x", continue_from: "log" }, "continue_from: must be transcript"],
    [{ prompt: "x", turn_timeout_s: 0 }, "turn_timeout_s: must be more than 0"],
    [{ prompt: [{ type: "video" }] }, "prompt.0.type: must be one of text, image, document"],
    [{ prompt: "a\u0000b" }, "prompt: must not contain the NUL character (U+0000): the CLI cannot take it"],
  ])("%j is told what is wrong with it", async (body, detail) => {
    const scene = await open();
    expect((await problemOf(await scene.request("/api/turns", post(body)))).detail).toBe(detail);
  });

  test("no JSON is 400, another content type 415, too much 413", async () => {
    const scene = await open({ limits: { body_bytes: 1000, prompt_bytes: 500 } });
    const codeOf = async (request: AppRequest) => (await problemOf(await scene.request("/api/turns", request))).code;
    expect(await codeOf(post("{"))).toBe("invalid_request");
    expect(await codeOf(post(""))).toBe("invalid_request");
    expect(await codeOf(post('"x"', { "content-type": "text/plain" }))).toBe("unsupported_media_type");
    expect(await codeOf(post('{"prompt":"x"}', { "content-type": "application/x-www-form-urlencoded" }))).toBe(
      "unsupported_media_type",
    );
    expect(await codeOf({ method: "POST" })).toBe("unsupported_media_type");
    expect(await codeOf(post({ prompt: "x".repeat(2000) }))).toBe("payload_too_large");
    expect(await codeOf(post({ prompt: "x".repeat(600) }))).toBe("payload_too_large");
    expect(scene.started).toEqual([]);
  });

  test("a body without a length is cut at the limit, and that is no bug", async () => {
    const scene = await open({ limits: { body_bytes: 1000 } });
    const chunk = new TextEncoder().encode("x".repeat(600));
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let count = 0; count < 3; count++) controller.enqueue(chunk);
        controller.close();
      },
    });
    const reply = await scene.app.request(
      new Request("http://localhost/api/turns", {
        method: "POST",
        headers: {
          host: "localhost",
          authorization: `Bearer ${secrets.alice}`,
          "content-type": "application/json",
          "transfer-encoding": "chunked",
        },
        body: stream,
        duplex: "half",
      }),
    );
    expect((await problemOf(reply)).code).toBe("payload_too_large");
    expect(scene.bugs).toEqual([]);
  });

  test("JSON with a charset and in capitals is JSON", async () => {
    const scene = await open({ isQuick: true });
    const headers = { "content-type": "Application/JSON; charset=utf-8" };
    expect((await scene.request("/api/turns", post({ prompt: "x" }, headers))).status).toBe(202);
  });
});

describe("an address", () => {
  test.each([
    "/api/turns/none",
    `/api/turns/${randomUUID()}`,
    `/api/turns/${randomUUID()}/events`,
    `/api/sessions/${randomUUID()}`,
    `/api/sessions/${randomUUID()}/events`,
    `/api/sessions/${randomUUID()}/transcript`,
    `/api/attachments/${"0".repeat(64)}`,
    "/api/attachments/..%2f..%2fetc",
    "/api/nothing",
    "/nothing",
    "/api/turns/%ff/events",
  ])("that leads nowhere is 404: %s", async (path) => {
    const scene = await open();
    expect((await problemOf(await scene.request(path))).code).toBe("not_found");
  });

  test.each([
    ["DELETE", "/api/turns", "GET, HEAD, POST"],
    ["PUT", `/api/turns/${randomUUID()}`, "GET, HEAD"],
    ["GET", `/api/turns/${randomUUID()}/cancel`, "POST"],
    ["POST", `/api/turns/${randomUUID()}/events`, "GET, HEAD"],
    ["POST", "/healthz", "GET, HEAD"],
  ])("with another method is 405 and says which: %s %s", async (method, path, allow) => {
    const scene = await open();
    const reply = await scene.request(path, { method });
    expect(reply.headers.get("allow")).toBe(allow);
    expect((await problemOf(reply)).code).toBe("method_not_allowed");
  });

  test("HEAD is answered like GET, without a body", async () => {
    const scene = await open({ isQuick: true });
    const turn = await scene.create();
    for (const path of ["/healthz", `/api/turns/${turn.turn}`, `/api/sessions/${turn.session}/events`]) {
      const [head, get] = [await scene.request(path, { method: "HEAD" }), await scene.request(path)];
      expect([head.status, head.headers.get("content-type")]).toEqual([200, get.headers.get("content-type")]);
      expect(await head.text()).toBe("");
      await get.body?.cancel();
    }
  });
});

describe("a refusal of what is asked", () => {
  test("[L9] what is somebody else's is as unknown as what is not there", async () => {
    const scene = await open({ isQuick: true });
    const turn = await scene.create();
    for (const path of [
      `/api/turns/${turn.turn}`,
      `/api/turns/${turn.turn}/events`,
      `/api/sessions/${turn.session}`,
      `/api/sessions/${turn.session}/events`,
      `/api/sessions/${turn.session}/transcript`,
    ])
      expect((await problemOf(await scene.request(path, { key: "bob" }))).code).toBe("not_found");
    const cancel = await scene.request(`/api/turns/${turn.turn}/cancel`, { method: "POST", key: "bob" });
    expect((await problemOf(cancel)).code).toBe("not_found");
    expect((await scene.request(`/api/turns/${turn.turn}`, { key: "root" })).status).toBe(200);
  });

  test("[A4] a key sees all its users' turns; ?user= narrows to one, and to nobody else's", async () => {
    const scene = await open({ isQuick: true });
    for (const user of ["ann", "ben"]) await scene.request("/api/turns", post({ prompt: "x", user }));
    await scene.request("/api/turns", { ...post({ prompt: "x", user: "ann" }), key: "bob" });
    const count = async (query: string, key: keyof typeof secrets = "alice") => {
      const reply = await scene.request(`/api/turns${query}`, { key });
      return ((await reply.json()) as { turns: unknown[] }).turns.length;
    };
    expect(await count("")).toBe(2);
    expect(await count("?user=ann")).toBe(1);
    expect(await count("?user=eve")).toBe(0);
    expect(await count("?user=ann", "bob")).toBe(1);
    expect(await count("", "root")).toBe(3);
    expect((await problemOf(await scene.request("/api/turns?user="))).code).toBe("invalid_request");
    expect((await problemOf(await scene.request("/api/sessions/x/events?user="))).code).toBe("invalid_request");
  });

  test.each(["/api/turns", "/api/approvals"])("%s: a filter that is malformed is 400 and named", async (path) => {
    const scene = await open();
    for (const [query, field] of [
      ["limit=0", "limit"],
      ["limit=0x10", "limit"],
      ["limit=1e1", "limit"],
      ["limit=%2010", "limit"],
      ["limit=+10", "limit"],
      ["limit=x", "limit"],
      ["limit=1.5", "limit"],
      ["limit=201", "limit"],
      ["cursor=", "cursor"],
      ["cursor=zzz", "cursor"],
      ["cursor=0", "cursor"],
      ["session=x", "session"],
      ["state=done", "state"],
      ["order=asc", "order"],
    ] as const) {
      const problem = await problemOf(await scene.request(`${path}?${query}`));
      expect([query, problem.code, problem.field]).toEqual([query, "invalid_request", field]);
    }
    const { detail } = await problemOf(await scene.request(`${path}?limit=0`));
    expect(detail).toBe("limit: must be a whole number from 1 to 200");
  });

  test("unknown agents and sessions, another agent than the session's, wishes that are not allowed", async () => {
    const scene = await open({ isQuick: true, agents: [readAgent({ name: "default" }), readAgent({ name: "other" })] });
    const turn = await scene.create();
    const refused = async (fields: object) => {
      const { code, field } = await problemOf(await scene.request("/api/turns", post({ prompt: "x", ...fields })));
      return [code, field];
    };
    expect(await refused({ agent: "none" })).toEqual(["not_found", "agent"]);
    expect(await refused({ session: randomUUID() })).toEqual(["not_found", "session"]);
    expect(await refused({ session: turn.session, agent: "other" })).toEqual(["conflict", "agent"]);
    expect(await refused({ model: "m" })).toEqual(["forbidden", "model"]);
    expect(await refused({ permission_mode: "bypassPermissions" })).toEqual(["forbidden", "permission_mode"]);
  });

  test("a session's id in capitals is the same session", async () => {
    const scene = await open({ isQuick: true });
    const turn = await scene.create();
    const session = turn.session.toUpperCase();
    expect((await scene.request(`/api/sessions/${session}`)).status).toBe(200);
    expect((await scene.request("/api/turns", post({ prompt: "x", session }))).status).toBe(202);
    expect((await scene.request(`/api/turns?session=${session}`)).status).toBe(200);
    expect(
      ((await (await scene.request(`/api/turns?session=${session}`)).json()) as { turns: unknown[] }).turns,
    ).toHaveLength(2);
  });

  test("[T1] a busy session with reject is 409, [T6] a full queue 503 and too many of one's own 429, with Retry-After", async () => {
    const scene = await open({ limits: { running_turns: 1, queue: 2, queue_per_caller: 1 } });
    const first = await scene.create();
    await scene.running(first.turn);
    const busy = await scene.request("/api/turns", post({ prompt: "x", session: first.session, on_busy: "reject" }));
    expect((await problemOf(busy)).code).toBe("busy");
    await scene.request("/api/turns", post({ prompt: "x" }));
    const own = await scene.request("/api/turns", post({ prompt: "x" }));
    expect([own.headers.get("retry-after"), (await problemOf(own)).code]).toEqual(["10", "too_many_requests"]);
    expect([own.headers.get("ratelimit-policy"), own.headers.get("ratelimit")]).toEqual([
      '"waiting-caller";q=1',
      '"waiting-caller";r=0',
    ]);
    await scene.request("/api/turns", { ...post({ prompt: "x" }), key: "bob" });
    const full = await scene.request("/api/turns", { ...post({ prompt: "x" }), key: "root" });
    expect([full.headers.get("retry-after"), (await problemOf(full)).code]).toEqual(["10", "queue_full"]);
  });

  test("[T3] a repeated key gives the same turn; another body is 422; a key too long or empty 400", async () => {
    const scene = await open({ isQuick: true });
    const send = (prompt: string, key: string) =>
      scene.request("/api/turns", post({ prompt }, { "idempotency-key": key }));
    const turnOf = async (reply: Response) => ((await reply.json()) as { turn: string }).turn;
    expect(await turnOf(await send("x", "k"))).toBe(await turnOf(await send("x", "k")));
    expect((await problemOf(await send("y", "k"))).code).toBe("idempotency_mismatch");
    expect((await problemOf(await send("x", "k".repeat(256)))).code).toBe("invalid_request");
  });

  test("a full disk is 503 not_ready, and the gateway not ready, until there is room", async () => {
    const scene = await open({ isQuick: true });
    scene.store.isFull = true;
    expect((await problemOf(await scene.request("/api/turns", post({ prompt: "x" })))).code).toBe("not_ready");
    expect((await problemOf(await scene.request("/readyz"))).code).toBe("not_ready");
    expect((await scene.request("/healthz")).status).toBe(200);
    scene.store.isFull = false;
    await until("readiness", async () => (await scene.request("/readyz")).status === 200);
    expect((await scene.request("/api/turns", post({ prompt: "x" }))).status).toBe(202);
  });

  test("and so is a DELETE, whose session stays as it was", async () => {
    const scene = await open({ isQuick: true });
    const { turn, session } = await scene.create();
    await scene.inState(turn, "completed");
    scene.store.isFull = true;
    const remove = () => scene.request(`/api/sessions/${session}`, { method: "DELETE" });
    for (let times = 0; times < 2; times++) expect((await problemOf(await remove())).code).toBe("not_ready");
    scene.store.isFull = false;
    await until("readiness", async () => (await scene.request("/readyz")).status === 200);
    scene.store.removeSession = () => Promise.reject(new StoreFull("somebody else's lock"));
    expect((await problemOf(await remove())).code).toBe("not_ready");
    expect((await scene.request(`/api/turns/${turn}`)).status).toBe(200);
  });

  test.each(["x", "-1", "1.5", "1e3", "9".repeat(16), "0x1", " "])("[L4] the cursor %j is 400", async (after) => {
    const scene = await open({ isQuick: true });
    const turn = await scene.create();
    for (const path of [`/api/turns/${turn.turn}/events`, `/api/sessions/${turn.session}/events`]) {
      const reply = await scene.request(`${path}?after=${encodeURIComponent(after)}`);
      expect(await problemOf(reply)).toMatchObject({ code: "invalid_request", field: "after" });
    }
  });
});

describe("keys [A1, A8]", () => {
  test.each([
    ["none", ""],
    ["an unknown one", `Bearer ${"x".repeat(24)}`],
    ["one of another scheme", `Basic ${secrets.alice}`],
    ["none after Bearer", "Bearer "],
    ["two", `Bearer ${secrets.alice} ${secrets.alice}`],
    ["a part of one", `Bearer ${secrets.alice.slice(0, -1)}`],
  ])("with %s every route under /api/ is 401, whatever else is wrong", async (_, authorization) => {
    const scene = await open();
    for (const [method, path] of [
      ["GET", "/api/turns"],
      ["POST", "/api/turns"],
      ["GET", "/api/nothing"],
      ["GET", `/api/sessions/${randomUUID()}/events`],
    ] as const) {
      const reply = await scene.request(path, { method, headers: { authorization } });
      expect(reply.headers.get("www-authenticate")).toMatch(/^Bearer/);
      const { code, detail } = await problemOf(reply);
      expect(code).toBe("unauthorized");
      expect(detail).not.toContain(secrets.alice);
    }
  });

  test("the gateway's health needs none", async () => {
    const scene = await open();
    for (const path of ["/healthz", "/readyz"])
      expect((await scene.request(path, { headers: { authorization: "" } })).status).toBe(200);
  });

  test("strangers are told no version, in no reply", async () => {
    const scene = await open();
    for (const path of ["/healthz", "/readyz", "/", "/sign-in", "/api/turns", "/nothing"]) {
      const reply = await scene.request(path, { headers: { authorization: "Bearer wrong" } });
      expect([path, `${JSON.stringify([...reply.headers])} ${await reply.text()}`]).not.toEqual([
        path,
        expect.stringContaining("0.0.0-test"),
      ]);
    }
    const known = await scene.request("/healthz", { headers: { authorization: `Bearer ${secrets.alice}` } });
    expect(await known.json()).toMatchObject({ status: "ok", version: expect.stringMatching(/./) });
  });

  test("every reply says that it is what it says, and none of the API's is kept for somebody else", async () => {
    const scene = await open();
    for (const path of [
      "/healthz",
      "/",
      "/sign-in",
      "/icon.svg",
      "/widget.js",
      "/nothing",
      "/api/sessions",
      "/api/nothing",
    ]) {
      const { headers } = await scene.request(path);
      expect([path, headers.get("x-content-type-options")]).toEqual([path, "nosniff"]);
      if (!path.startsWith("/api/")) continue;
      expect(headers.get("cache-control")).toMatch(/^(private|no-store)/);
      const vary = (headers.get("vary") ?? "").split(", ");
      expect([path, vary]).toEqual([path, expect.arrayContaining(["Origin", "Authorization", "Cookie"])]);
    }
  });
});

describe("hosts and origins [A2]", () => {
  const status = async (scene: AppScene, headers: Record<string, string>, method = "POST", path = "/api/turns") => {
    const reply = await scene.request(path, {
      method,
      headers,
      ...(method === "POST" ? { body: { prompt: "x" } } : {}),
    });
    await reply.body?.cancel();
    return reply.status;
  };

  test.each([
    ["localhost", 202],
    ["localhost:8787", 202],
    ["127.0.0.1:1", 202],
    ["[::1]:8787", 202],
    ["chat.example", 202],
    ["CHAT.example:443", 202],
    ["evil.example", 403],
    ["localhost.evil.example", 403],
    ["chat.example.", 403],
    ["127.0.0.2", 403],
  ])("the Host %s is answered with %i", async (host, expected) => {
    const scene = await open({ isQuick: true });
    expect(await status(scene, { host })).toBe(expected);
    expect(await status(scene, { host }, "GET", "/healthz")).toBe(expected === 403 ? 403 : 200);
  });

  test.each<[string, Record<string, string>, number]>([
    ["nothing said (no browser)", {}, 202],
    ["the gateway's own origin", { origin: "http://localhost" }, 202],
    ["an allowed origin", { origin: "https://intranet.example" }, 202],
    [
      "an allowed origin that says it is cross-site",
      { origin: "https://intranet.example", "sec-fetch-site": "cross-site" },
      202,
    ],
    ["another origin", { origin: "https://evil.example" }, 403],
    ["an allowed host with another scheme", { origin: "http://intranet.example" }, 403],
    ["the null origin", { origin: "null" }, 403],
    ["no origin, same-origin", { "sec-fetch-site": "same-origin" }, 202],
    ["no origin, a person's own doing", { "sec-fetch-site": "none" }, 202],
    ["no origin, same-site", { "sec-fetch-site": "same-site" }, 403],
    ["no origin, cross-site", { "sec-fetch-site": "cross-site" }, 403],
  ])("a request that changes something, and a stream, with %s", async (_, headers, expected) => {
    const scene = await open({ isQuick: true });
    const turn = await scene.create();
    expect(await status(scene, headers)).toBe(expected);
    const reading = expected === 202 ? 200 : 403;
    expect(await status(scene, headers, "GET", `/api/sessions/${turn.session}/events`)).toBe(reading);
    const asStream = { ...headers, accept: "text/event-stream" };
    expect(await status(scene, asStream, "GET", `/api/turns/${turn.turn}`)).toBe(reading);
  });

  test("an allowed page may read replies, refusals too; another page's browser gets no leave", async () => {
    const scene = await open();
    const cors = async (origin: string, path = "/api/turns") => {
      const { headers } = await scene.request(path, { headers: { origin } });
      return [headers.get("access-control-allow-origin"), headers.get("vary")?.includes("Origin") ?? false];
    };
    expect(await cors("https://intranet.example")).toEqual(["https://intranet.example", true]);
    expect(await cors("https://intranet.example", "/api/turns/none")).toEqual(["https://intranet.example", true]);
    expect((await cors("https://evil.example"))[0]).toBeNull();
  });

  test("an allowed page's scripts may read every header that says something", async () => {
    const scene = await open();
    const { headers } = await scene.request("/api/turns", { headers: { origin: "https://intranet.example" } });
    const exposed = headers.get("access-control-expose-headers")!.split(", ");
    for (const name of ["Location", "Link", "Retry-After", "ETag", "RateLimit", "RateLimit-Policy"])
      expect(exposed).toContain(name);
    for (const name of ["Sluice-Session", "Sluice-Turn", "Sluice-Last-Seq"]) expect(exposed).toContain(name);
  });

  test("preflights are answered for allowed pages alone, without a key", async () => {
    const scene = await open();
    const wished = "authorization,content-type,idempotency-key,last-event-id,prefer,traceparent";
    const preflight = (origin: string) =>
      scene.request("/api/turns", {
        method: "OPTIONS",
        headers: {
          origin,
          "access-control-request-method": "POST",
          "access-control-request-headers": wished,
          authorization: "",
        },
      });
    const allowed = await preflight("https://intranet.example");
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get("access-control-allow-methods")).toMatch(/POST/);
    // Tools of a page add headers of their own to what it sends.
    expect(allowed.headers.get("access-control-allow-headers")).toBe(wished);
    expect((await problemOf(await preflight("https://evil.example"))).code).toBe("origin_not_allowed");
  });
});

test("[A7] an exception's message never reaches the client, and is told once with the request's id", async () => {
  const scene = await open();
  const seen: [unknown, string][] = [];
  const broken = await open({
    app: {
      store: { ...scene.store, turn: () => Promise.reject(new Error("secret detail")) },
      turns: { ...scene.turns, get: () => Promise.reject(new Error("secret detail")) },
      onBug: (error, id) => seen.push([error, id]),
    },
  });
  const reply = await broken.request(`/api/turns/${randomUUID()}`);
  const text = await reply.text();
  expect(reply.status).toBe(500);
  expect(text).not.toContain("secret");
  expect(seen).toHaveLength(1);
  expect((JSON.parse(text) as { request_id: string }).request_id).toBe(seen[0]![1]);
});

test("[L3] a failed turn is 200 with its failure where its end was waited for", async () => {
  const scene = await open();
  const waiting = scene.request("/api/turns", post({ prompt: "x" }, { prefer: "wait=20" }));
  const driver = await until("a process", () => scene.started.find(({ requests }) => requests.length > 0));
  driver.finish({ type: "turn_failed", code: "overloaded", message: "busy", retryable: true, text: "" });
  const reply = await waiting;
  expect(reply.status).toBe(200);
  expect(await reply.json()).toMatchObject({ state: "failed", code: "overloaded", retryable: true });
});
