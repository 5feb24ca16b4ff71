import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Hono } from "hono";
import { gunzipSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import type { Env } from "../../../gateway/http/env.ts";
import { refusal } from "../../../gateway/http/problem.ts";
import { mountWidget } from "../../../gateway/http/widget.ts";
import { GatewayError } from "../../../gateway/protocol/errors.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

const files: Record<string, string> = {
  "widget.js": "loader()",
  "widget.mjs": "export {}",
  "embed-0123abcd.mjs": "element()",
  "integrity.json": "{}",
  "page.d.ts": "export {}",
};

function open(names: readonly string[] = Object.keys(files)) {
  const folder = mkdtempSync(join(tmpdir(), "sluice-widget-"));
  folders.push(folder);
  for (const name of names) writeFileSync(join(folder, name), files[name]!);
  const app = new Hono<Env>();
  mountWidget(app, folder);
  app.onError((error, c) => {
    if (error instanceof GatewayError) return refusal(c, error);
    throw error;
  });
  return { app, folder };
}

describe("the widget's files", () => {
  test("may be used by pages of any site", async () => {
    const { app } = open();
    for (const path of ["/widget.js", "/widget.mjs", "/widget/embed-0123abcd.mjs", "/widget/integrity.json"]) {
      const reply = await app.request(path);
      expect([path, reply.status]).toEqual([path, 200]);
      expect(Object.fromEntries(reply.headers)).toMatchObject({
        "access-control-allow-origin": "*",
        "cross-origin-resource-policy": "cross-origin",
        "x-content-type-options": "nosniff",
        "content-type": path.endsWith(".json") ? "application/json; charset=utf-8" : "text/javascript; charset=utf-8",
      });
    }
  });

  test("are kept for ever under names with a hash, and asked for again under plain ones", async () => {
    const { app, folder } = open();
    const hashed = await app.request("/widget/embed-0123abcd.mjs");
    expect(hashed.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    const plain = await app.request("/widget.js");
    expect(plain.headers.get("cache-control")).toBe("public, max-age=60, must-revalidate");
    const etag = plain.headers.get("etag")!;
    const again = await app.request("/widget.js", { headers: { "if-none-match": etag } });
    expect([again.status, await again.text()]).toEqual([304, ""]);
    writeFileSync(join(folder, "widget.js"), "newer()");
    const newer = await app.request("/widget.js", { headers: { "if-none-match": etag } });
    expect([newer.status, await newer.text()]).toEqual([200, "newer()"]);
    const digests = await app.request("/widget/integrity.json");
    expect(digests.headers.get("cache-control")).toBe("public, no-cache");
    writeFileSync(join(folder, "integrity.json"), '{"widget.js":"sha384-newer"}');
    expect(await (await app.request("/widget/integrity.json")).text()).toContain("newer");
  });

  test("are sent small to whoever can unpack them", async () => {
    const { app } = open();
    const reply = await app.request("/widget.js", { headers: { "accept-encoding": "br, gzip" } });
    expect(reply.headers.get("content-encoding")).toBe("gzip");
    expect(gunzipSync(Buffer.from(await reply.arrayBuffer())).toString()).toBe("loader()");
    expect((await app.request("/widget.js")).headers.get("vary")).toBe("Accept-Encoding");
  });

  test("are just these: no other name leads anywhere", async () => {
    const { app } = open();
    for (const path of [
      "/widget/..%2f..%2fpackage.json",
      "/widget/widget.js",
      "/widget/page.d.ts",
      "/widget/none.mjs",
      "/widget/%00",
    ])
      expect([path, (await app.request(path)).status]).toEqual([path, 404]);
  });

  test("are said to be missing where they were not built, with what to do", async () => {
    const { app } = open([]);
    const reply = await app.request("/widget.js");
    expect(reply.status).toBe(503);
    expect(await reply.json()).toMatchObject({
      code: "not_ready",
      detail: expect.stringContaining("npm run build:widget"),
    });
  });
});
