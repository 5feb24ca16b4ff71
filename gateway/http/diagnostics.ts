// GET /api/turns/{turn}/diagnostics [A7]: what a turn's process wrote beside its protocol, raw. Its scope is `admin`: see auth/route-scopes.ts.
import type { Hono } from "hono";
import type { Env } from "./env.ts";
import { pathId } from "./input.ts";
import type { RouteDeps } from "./routes.ts";

export function mountDiagnostics(app: Hono<Env>, { turns, store }: RouteDeps): void {
  app.get("/api/turns/:turn/diagnostics", async (c) => {
    const caller = c.get("caller");
    const { turn } = await turns.get(caller, pathId(c, "turn"));
    c.header("Cache-Control", "no-store");
    // It is stored right behind the turn's end: empty while it runs.
    return c.json({ turn, text: (await store.diagnostics(caller, turn)) ?? "" });
  });
}
