// /api/turns/{turn}/rating: what its owner thinks of an answer.
import type { Hono } from "hono";
import { rateTurn } from "../protocol/requests.ts";
import type { Env } from "./env.ts";
import { pathId, readJson } from "./input.ts";
import type { RouteDeps } from "./routes.ts";
import { turnJson } from "./turns.ts";

export function mountRatings(app: Hono<Env>, deps: RouteDeps): void {
  app.put("/api/turns/:turn/rating", async (c) => {
    const caller = c.get("caller");
    const { turn, session } = await deps.turns.get(caller, pathId(c, "turn"));
    const { rating, comment = null } = await readJson(c, rateTurn);
    const kept = rating === null ? null : { rating, comment };
    await deps.log.appendNow({ session, events: [], before: [{ kind: "rating", turn, rating: kept }] });
    return c.json(await turnJson(c, deps, await deps.turns.get(caller, turn)));
  });
}
