// Run by node on its own: serves the transcript of a session out of a database that others have written, and says at /memory by how many
// MB it has grown at most since it listens. Arguments: the database's path and the session. Ends with its stdin.
import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { argv, memoryUsage, stdin } from "node:process";
import { createAdaptorServer } from "@hono/node-server";
import { openSqliteStore } from "../../gateway/store/sqlite.ts";
import { openTranscriptApp } from "./transcript-app.ts";

const [, , path, session] = argv as [string, string, string, string];
const store = openSqliteStore(path);
const app = openTranscriptApp(store);
let before = 0;
let peak = 0;
const look = () => (peak = Math.max(peak, memoryUsage.rss()));

async function answer(request: Request): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  if (pathname === "/memory") return new Response(String(Math.round((look() - before) / 1024 / 1024)));
  return app.get(session, search);
}

const server = createAdaptorServer({ fetch: answer }) as Server;
server.listen(0, "127.0.0.1");
await once(server, "listening");
// What a first request loads once is no part of what transcripts take.
await (await app.get(session, "?limit=1")).text();
before = memoryUsage.rss();
const timer = setInterval(look, 10);
console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
await once(stdin.resume(), "end");
clearInterval(timer);
server.close();
server.closeAllConnections();
await store.close();
app.check();
