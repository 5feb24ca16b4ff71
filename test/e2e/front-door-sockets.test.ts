import { request as httpRequest } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openGateway, type OwnGateway } from "../support/gateway.ts";
import { sendRaw, type RawReply } from "../support/raw-http.ts";
import { openScene, type Scene } from "../support/real-cli.ts";

// What comes over a bare socket: nothing crashes, nothing is let through. Each part ends with a look at whether the gateway is well.

let scene: Scene;
let gateway: OwnGateway;
let host: string;
let session: string;

beforeAll(async () => {
  scene = await openScene();
  gateway = await openGateway(scene, {
    limits: {
      ping_s: 0.5,
      header_timeout_s: 1,
      request_timeout_s: 2,
      body_bytes: 1024 * 1024,
      header_bytes: 16 * 1024,
    },
  });
  host = new URL(gateway.address).host;
  const made = await gateway.fetch("/api/sessions", {
    method: "POST",
    body: JSON.stringify({ title: "a secret title" }),
    headers: { "content-type": "application/json" },
  });
  ({ session } = (await made.json()) as { session: string });
});
afterAll(async () => {
  await gateway.close();
  await scene.close();
});

const key = () => gateway.headers["authorization"]!;
const send = (...lines: string[]) => sendRaw(gateway.address, [`${lines.join("\r\n")}\r\n\r\n`]);
const get = (path: string, ...headers: string[]) =>
  send(`GET ${path} HTTP/1.1`, `Host: ${host}`, "Connection: close", ...headers);

/** [200, 200] where the gateway is well. */
async function wellness(): Promise<number[]> {
  const replies = await Promise.all(["/healthz", `/api/sessions/${session}`].map((path) => gateway.fetch(path)));
  await Promise.all(replies.map((reply) => reply.arrayBuffer()));
  return replies.map(({ status }) => status);
}

/** Refused, and not by a crash; nothing of the session is in it. */
function expectRefused(what: string, { status, replies, text }: RawReply, statuses: readonly number[]): void {
  expect({ what, status: statuses.includes(status) ? "refused" : status, replies }).toEqual({
    what,
    status: "refused",
    replies: 1,
  });
  expect(text).not.toContain("a secret title");
}

describe("paths", () => {
  const tricks = () => {
    const target = `sessions/${session}`;
    return [
      `/api%2F${target}`,
      `/api%2f${target.replace("/", "%2f")}`,
      `//api/${target}`,
      `/api//${target}`,
      `/./api/${target}`,
      `/healthz/../api/${target}`,
      `/healthz/..;/api/${target}`,
      `/healthz%2f..%2fapi%2f${target}`,
      `/%2e%2e/api/${target}`,
      `/sign-in/..%2fapi/${target}`,
      `/api;x=y/${target}`,
      `/API/${target}`,
      `/Api/${target}`,
      `/%61pi/${target}`,
      `/%2561pi/${target}`,
      `/api/${target}/`,
      `/api/${target}.`,
      `/api/${target}.json`,
      `/api/${target}%00`,
      `/api/${target}%20`,
      `/api/${target};events`,
      `/api/${target}%2Fevents`,
      `/api/${target}/events/..`,
      `/api/${target}?/healthz`,
      `/api/${target}#/healthz`,
      `/api\\${target.replace("/", "\\")}`,
      `/api/${target.replace("s", "%73")}`,
      `/api/sessions/%ZZ`,
      `/api/sessions/%C0%AF`,
      `/%`,
    ];
  };

  test("[GHSA-wc8c-qw6v-h7f6] no spelling of a path gets around the key: encoded slashes, dots, doubled slashes, case", async () => {
    for (const path of tricks()) expectRefused(path, await get(path), [400, 401, 404]);
    expect(await wellness()).toEqual([200, 200]);
  });

  test("with a key they are the same route or none, never another check", async () => {
    const good = await get(`/api/sessions/${session}`, `Authorization: ${key()}`);
    expect(good.text).toContain("a secret title");
    for (const path of tricks()) {
      const { status, replies } = await get(path, `Authorization: ${key()}`);
      expect([path, replies, [200, 400, 404].includes(status)]).toEqual([path, 1, true]);
    }
    expect(await wellness()).toEqual([200, 200]);
  });
});

describe("[A2] hosts", () => {
  test("a Host that names another, two of them, or a request line that names another is refused", async () => {
    const auth = `Authorization: ${key()}`;
    const line = `GET /api/sessions/${session} HTTP/1.1`;
    const wrong: Record<string, string[]> = {
      another: [line, "Host: evil.example", auth],
      "another, with our port": [line, `Host: evil.example:${new URL(gateway.address).port}`, auth],
      "a name that ends like ours": [line, "Host: xlocalhost", auth],
      "a name that begins like ours": [line, "Host: 127.0.0.1.evil.example", auth],
      "a trailing dot": [line, "Host: localhost.", auth],
      "with a user": [line, `Host: evil@${host}`, auth],
      "a list": [line, `Host: ${host}, evil.example`, auth],
      "two, ours first": [line, `Host: ${host}`, "Host: evil.example", auth],
      "two, ours last": [line, "Host: evil.example", `Host: ${host}`, auth],
      "an address spelled otherwise": [line, "Host: 2130706433", auth],
      "0.0.0.0": [line, "Host: 0.0.0.0", auth],
      empty: [line, "Host:", auth],
      "none at all": [line, auth],
      "none, in HTTP/1.0": [`GET /api/sessions/${session} HTTP/1.0`, auth],
      "an absolute address of another": [
        `GET http://evil.example/api/sessions/${session} HTTP/1.1`,
        `Host: ${host}`,
        auth,
      ],
      "X-Forwarded-Host beside another": [line, "Host: evil.example", `X-Forwarded-Host: ${host}`, auth],
    };
    for (const [what, lines] of Object.entries(wrong))
      expectRefused(what, await send(...lines, "Connection: close"), [400, 403]);
    expect(await wellness()).toEqual([200, 200]);
  });

  test("replies carry no address but ours, whatever a request says beside its Host", async () => {
    const { status, text } = await get(
      `/api/sessions/${session}`,
      `Authorization: ${key()}`,
      "X-Forwarded-Host: evil.example",
      "X-Forwarded-Proto: https",
      "Forwarded: host=evil.example",
    );
    expect(status).toBe(200);
    expect(text).toContain(`${gateway.address}/api/sessions/${session}/events`);
    expect(text).not.toContain("evil.example");
    const absolute = await send(
      `GET ${gateway.address}/api/sessions/${session} HTTP/1.1`,
      `Host: ${host}`,
      `Authorization: ${key()}`,
      "Connection: close",
    );
    expect(absolute.status).toBe(200);
  });
});

describe("request smuggling", () => {
  const smuggled = () => `GET /api/sessions/${session} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: ${key()}\r\n\r\n`;
  const body = '{"title":"x"}';

  test("a length beside chunks, two lengths, and lengths that are none are refused, and the connection ends", async () => {
    const post = [`POST /api/tokens HTTP/1.1`, `Host: ${host}`, "Content-Type: application/json"];
    const chunked = `0\r\n\r\n${smuggled()}`;
    const wrong: [string, string[], string][] = [
      ["CL and TE", ["Content-Length: 5", "Transfer-Encoding: chunked"], chunked],
      ["TE and CL", ["Transfer-Encoding: chunked", "Content-Length: 5"], chunked],
      ["TE with a blank before the colon", ["Content-Length: 5", "Transfer-Encoding : chunked"], chunked],
      ["TE folded", ["Content-Length: 5", "Transfer-Encoding:\r\n chunked"], chunked],
      ["TE twice", ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], chunked],
      ["TE that is not chunked at last", ["Transfer-Encoding: chunked, gzip"], chunked],
      ["two lengths", ["Content-Length: 0", `Content-Length: ${body.length}`], smuggled()],
      ["a list of lengths", ["Content-Length: 0, 5"], smuggled()],
      ["a negative length", ["Content-Length: -1"], smuggled()],
      ["a length in hex", ["Content-Length: 0x5"], smuggled()],
      ["a length with a sign", ["Content-Length: +5"], smuggled()],
      ["a NUL in a header", ["X: a\0b", "Content-Length: 0"], smuggled()],
      ["a bare CR in a header", ["X: a\rTransfer-Encoding: chunked", "Content-Length: 0"], smuggled()],
      ["a chunk's size that is none", ["Transfer-Encoding: chunked"], `zz\r\n${smuggled()}`],
      ["a chunk's size that overflows", ["Transfer-Encoding: chunked"], `fffffffffffffffff\r\n${smuggled()}`],
    ];
    for (const [what, headers, rest] of wrong) {
      const reply = await sendRaw(gateway.address, [`${[...post, ...headers].join("\r\n")}\r\n\r\n${rest}`]);
      expect({ what, closedBy: reply.closedBy }).toEqual({ what, closedBy: "server" });
      expect(reply.text).not.toContain("a secret title");
      expect([what, reply.replies <= 1]).toEqual([what, true]);
      expect([what, [0, 400, 401].includes(reply.status)]).toEqual([what, true]);
    }
    expect(await wellness()).toEqual([200, 200]);
  });

  test("a body that a route does not read is no second request", async () => {
    const inside = smuggled();
    for (const [method, path] of [
      ["GET", "/healthz"],
      ["POST", "/healthz"],
      ["GET", "/api/turns"],
      ["DELETE", `/api/sessions/${session}`],
      ["POST", "/nowhere"],
      ["HEAD", "/healthz"],
    ] as const) {
      const head = `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${inside.length}\r\n\r\n`;
      const { replies, text } = await sendRaw(gateway.address, [head + inside]);
      expect([method, path, replies]).toEqual([method, path, 1]);
      expect(text).not.toContain("a secret title");
    }
    expect(await wellness()).toEqual([200, 200]);
  });
});

describe("methods and protocols that are none of ours", () => {
  test("are refused, and end nothing", async () => {
    for (const [line, ...headers] of [
      ["TRACE /api/turns HTTP/1.1"],
      ["TRACK /api/turns HTTP/1.1"],
      ["CONNECT evil.example:443 HTTP/1.1"],
      ["PROPFIND /api/turns HTTP/1.1"],
      ["GET /api/turns HTTP/1.1", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"],
      ["GET /api/turns HTTP/1.1", "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AA"],
      ["PRI * HTTP/2.0"],
      ["OPTIONS * HTTP/1.1"],
      ["GET /api/turns HTTP/9.9"],
      ["GET /api/turns"],
      ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
      ["X".repeat(5000)],
    ] as string[][]) {
      const { status, replies } = await send(line!, `Host: ${host}`, ...headers);
      expect([
        line!.slice(0, 60),
        status >= 400 && status < 500 ? "refused" : replies === 0 ? "refused" : status,
      ]).toEqual([line!.slice(0, 60), "refused"]);
    }
    expect(await wellness()).toEqual([200, 200]);
  });

  test("[A2] method overrides are not heard", async () => {
    for (const header of ["X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE", "X-Method-Override: DELETE"]) {
      const reply = await get(`/api/sessions/${session}?_method=DELETE`, `Authorization: ${key()}`, header);
      expect(reply.text).toContain("a secret title");
    }
    expect(await wellness()).toEqual([200, 200]);
  });
});

describe("what is too much", () => {
  test("20 KB of headers are 431", async () => {
    for (const headers of [
      [`X: ${"x".repeat(20_000)}`],
      Array.from({ length: 500 }, (_, n) => `X-${n}: ${"x".repeat(40)}`),
    ]) {
      const reply = await get("/healthz", ...headers);
      expect([reply.status, reply.replies]).toEqual([431, 1]);
    }
    expect((await get(`/healthz?${"x".repeat(20_000)}`)).status).toBe(431);
    expect(await wellness()).toEqual([200, 200]);
  });

  const megabyte = Buffer.alloc(1024 * 1024, 32);

  test("50 MB are 413 with a key, 401 without, and are not kept: with a length and in chunks", async () => {
    const before = process.memoryUsage().rss;
    const cases: [string, number, string[]][] = [
      ["/api/turns", 413, [`Authorization: ${key()}`, "Content-Type: application/json"]],
      ["/api/attachments", 413, [`Authorization: ${key()}`, "Content-Type: image/png"]],
      ["/api/turns", 401, ["Content-Type: application/json"]],
      ["/api/tokens", 413, ["Content-Type: application/json"]],
      ["/sign-in", 413, ["Content-Type: application/x-www-form-urlencoded"]],
      ["/sign-out", 303, []],
      ["/nowhere", 404, []],
    ];
    for (const [path, status, headers] of cases) {
      const head = [`POST ${path} HTTP/1.1`, `Host: ${host}`, ...headers];
      const whole = [
        `${[...head, "Content-Length: 52428800"].join("\r\n")}\r\n\r\n`,
        ...Array<Buffer>(50).fill(megabyte),
      ];
      const chunk = [Buffer.from("100000\r\n"), megabyte, Buffer.from("\r\n")];
      const chunked = [
        `${[...head, "Transfer-Encoding: chunked"].join("\r\n")}\r\n\r\n`,
        ...Array.from({ length: 50 }, () => chunk).flat(),
        "0\r\n\r\n",
      ];
      for (const pieces of [whole, chunked]) {
        const reply = await sendRaw(gateway.address, pieces);
        expect([path, reply.status, reply.replies]).toEqual([path, status, 1]);
      }
    }
    expect((process.memoryUsage().rss - before) / 1024 / 1024).toBeLessThan(200);
    expect(await wellness()).toEqual([200, 200]);
  });
});

describe("what is too slow", () => {
  test("headers and bodies that trickle in are cut, and others are served meanwhile", async () => {
    const began = performance.now();
    const auth = [`Authorization: ${key()}`, "Content-Type: application/json"];
    const slow = [
      sendRaw(gateway.address, [`GET /healthz HTTP/1.1\r\n`, ...Array<string>(200).fill("X: y\r\n")], { paceMs: 100 }),
      sendRaw(gateway.address, [], { withinMs: 15_000 }),
      ...["Content-Length: 1000", "Transfer-Encoding: chunked"].map((how) =>
        sendRaw(
          gateway.address,
          [
            `${["POST /api/turns HTTP/1.1", `Host: ${host}`, ...auth, how].join("\r\n")}\r\n\r\n`,
            ...Array<string>(200).fill(how.startsWith("T") ? "1\r\n \r\n" : " "),
          ],
          { paceMs: 100 },
        ),
      ),
    ];
    const crowd = Array.from({ length: 100 }, () =>
      sendRaw(gateway.address, ["POST /sign-in HTTP/1.1\r\nHost: "], { withinMs: 15_000 }),
    );
    for (let asked = 0; asked < 20; asked++) {
      const at = performance.now();
      expect(await wellness()).toEqual([200, 200]);
      expect(performance.now() - at).toBeLessThan(2000);
    }
    const replies = await Promise.all([...slow, ...crowd]);
    expect(performance.now() - began).toBeLessThan(14_000);
    expect(new Set(replies.map(({ closedBy }) => closedBy))).toEqual(new Set(["server"]));
    expect(replies.map(({ status }) => status).filter((status) => ![0, 408].includes(status))).toEqual([]);
    expect(await wellness()).toEqual([200, 200]);
  });

  test("[S1] a stream outlasts the time that a request may take", async () => {
    const { session } = await gateway.post("demo:text hello");
    const stream = await gateway.fetch(`/api/sessions/${session}/events`);
    const reader = stream.body!.getReader();
    const began = performance.now();
    // With `ping_s` this is well beyond `request_timeout_s` and its next check.
    while (performance.now() - began < 3500) expect((await reader.read()).done).toBe(false);
    await reader.cancel();
  });

  test("a client that goes away in the middle of anything leaves the gateway well", async () => {
    for (const path of ["/api/turns", "/api/attachments", "/api/tokens", "/sign-in"])
      for (const sent of [0, 1, 500]) {
        const request = httpRequest(new URL(path, gateway.address), {
          method: "POST",
          headers: { ...gateway.headers, "content-type": "application/json", "content-length": "1000" },
        });
        const closed = new Promise<void>((resolve) => {
          request.once("close", () => resolve());
          request.on("error", () => resolve());
        });
        request.write(" ".repeat(Math.max(sent, 1)), () => request.destroy());
        await closed;
      }
    expect(await wellness()).toEqual([200, 200]);
  });
});
