// The widget's files, for pages of any site, without a key: `/widget.js` and `/widget.mjs` by plain names that always lead to the newest, and
// `/widget/…`, whose names carry their hash and never change. `integrity.json` has the digests of all.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Context, Hono } from "hono";
import { GatewayError } from "../protocol/errors.ts";
import type { Env } from "./env.ts";

/** Beside gateway/ in a checkout, beside dist/ in the published package. */
const built = new URL("../../widget/dist", import.meta.url).pathname;

const plainNames = ["widget.js", "widget.mjs"];

const types: Readonly<Record<string, string>> = {
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".json": "application/json; charset=utf-8",
};

/** A page is told of a new version within so long. */
const plainSeconds = 60;

interface File {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly gzipped: Uint8Array<ArrayBuffer>;
  readonly type: string;
  readonly etag: string;
}

export function mountWidget(app: Hono<Env>, folder: string = built): void {
  const files = new Map<string, File>();

  /** Read when it is first asked for; a build under a running gateway brings new names with it, and changes what names without a hash lead to. */
  function find(name: string): File | undefined {
    const known = files.get(name);
    if (known && isHashed(name)) return known;
    // Only names that stand in the folder: none is made of what was asked.
    if (!existsSync(folder) || !readdirSync(folder).includes(name)) return undefined;
    const type = types[extname(name)];
    if (type === undefined) return undefined;
    const bytes = new Uint8Array(readFileSync(join(folder, name)));
    if (known && Buffer.compare(known.bytes, bytes) === 0) return known;
    const etag = `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`;
    const file = { bytes, gzipped: new Uint8Array(gzipSync(bytes, { level: 9 })), type, etag };
    files.set(name, file);
    return file;
  }

  for (const name of plainNames)
    app.get(`/${name}`, (c) => {
      const file = find(name);
      if (!file)
        throw new GatewayError(
          "not_ready",
          "The widget is not built. Its operator can build it: npm run build:widget.",
        );
      return send(c, file, `public, max-age=${plainSeconds}, must-revalidate`);
    });
  app.get("/widget/:file", (c) => {
    const name = c.req.param("file");
    const file = plainNames.includes(name) ? undefined : find(name);
    if (!file) throw new GatewayError("not_found", "There is no such file of the widget.");
    return send(c, file, isHashed(name) ? "public, max-age=31536000, immutable" : "public, no-cache");
  });
}

function isHashed(name: string): boolean {
  return /-[0-9a-f]{8}\.m?js$/.test(name);
}

function send(c: Context<Env>, { bytes, gzipped, type, etag }: File, caching: string): Response {
  c.header("Access-Control-Allow-Origin", "*");
  c.header("Cross-Origin-Resource-Policy", "cross-origin");
  c.header("X-Content-Type-Options", "nosniff");
  c.header("Cache-Control", caching);
  c.header("ETag", etag);
  c.header("Vary", "Accept-Encoding");
  if (c.req.header("if-none-match")?.includes(etag)) return c.body(null, 304);
  c.header("Content-Type", type);
  if (!/\bgzip\b/.test(c.req.header("accept-encoding") ?? "")) return c.body(bytes);
  c.header("Content-Encoding", "gzip");
  return c.body(gzipped);
}
