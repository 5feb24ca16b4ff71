// For whatever watches the gateway: is it alive, and can it take work. Neither says anything about anybody's sessions.
import type { Hono } from "hono";
import { GatewayError } from "../protocol/errors.ts";
import type { Env } from "./env.ts";
import type { RouteDeps } from "./routes.ts";

export function mountHealth(app: Hono<Env>, { notReady, login, version }: RouteDeps): void {
  app.get("/healthz", (c) => c.json({ status: "ok", version }));
  app.get("/readyz", (c) => {
    const reason = notReady();
    if (reason !== undefined) throw new GatewayError("not_ready", reason);
    return c.json({ status: "ready", version, login: login() });
  });
}
