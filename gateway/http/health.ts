// For whatever watches the gateway: is it alive, and can it take work. Neither says anything about anybody's sessions, and strangers are told no
// version: it says what holds there are.
import type { Context, Hono } from "hono";
import { GatewayError } from "../protocol/errors.ts";
import type { Identity } from "./auth/identity.ts";
import type { Env } from "./env.ts";
import type { RouteDeps } from "./routes.ts";

export interface HealthDeps extends RouteDeps {
  /** Who asks; undefined: nobody whom the gateway knows. */
  readonly personAt: (c: Context<Env>) => Promise<Identity | undefined>;
}

export function mountHealth(app: Hono<Env>, { notReady, login, version, personAt }: HealthDeps): void {
  const forKnown = async (c: Context<Env>) => ((await personAt(c)) === undefined ? {} : { version });
  app.get("/healthz", async (c) => c.json({ status: "ok", ...(await forKnown(c)) }));
  app.get("/readyz", async (c) => {
    const reason = notReady();
    if (reason !== undefined) throw new GatewayError("not_ready", reason);
    return c.json({ status: "ready", ...(await forKnown(c)), login: login() });
  });
}
