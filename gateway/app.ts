// The HTTP app: every route, with the checks that stand before all of them. It opens nothing and reads no configuration.
import { randomUUID } from "node:crypto";
import { Hono, type Context, type MiddlewareHandler } from "hono";
import type { Registry } from "./agents/registry.ts";
import type { Supervisors } from "./agents/supervisors.ts";
import { mountAgents } from "./http/agents.ts";
import { createAuth } from "./http/auth/authenticate.ts";
import { mcpPath } from "./http/auth/identity.ts";
import type { KeyRing } from "./http/auth/key-ring.ts";
import { checkRoutes, checkScope } from "./http/auth/route-scopes.ts";
import type { Signer } from "./http/auth/signed.ts";
import { createTickets } from "./http/auth/tickets.ts";
import { mountApprovals } from "./http/approvals.ts";
import { mountAttachments } from "./http/attachments.ts";
import { createBodyGate } from "./http/body-gate.ts";
import { mountDiagnostics } from "./http/diagnostics.ts";
import type { Env } from "./http/env.ts";
import { createGuard, type GuardOptions } from "./http/guard.ts";
import { mountHealth } from "./http/health.ts";
import { mountHome } from "./http/home.ts";
import { jsonBounds } from "./http/input.ts";
import { checkJsonText } from "./http/json-text.ts";
import { problem, refusal } from "./http/problem.ts";
import { absoluteUrl, revocationCheckMs, type RouteDeps } from "./http/routes.ts";
import { createRates, type Rates } from "./http/rates.ts";
import { mountRatings } from "./http/ratings.ts";
import { mountSessions } from "./http/sessions.ts";
import { mountSignIn, type SignInLinks } from "./http/sign-in.ts";
import { mountTokens } from "./http/tokens.ts";
import { mountTranscript } from "./http/transcript.ts";
import { mountTurns } from "./http/turns.ts";
import { mountUsage } from "./http/usage.ts";
import { mountWidget } from "./http/widget.ts";
import { noRoom } from "./log/event-log.ts";
import type { Mcp } from "./mcp/server.ts";
import type { Caller } from "./protocol/callers.ts";
import { GatewayError } from "./protocol/errors.ts";
import { StoreFull } from "./store/port.ts";

export interface AppDeps extends Omit<RouteDeps, "tickets" | "isGood" | "rates">, GuardOptions {
  readonly keys: KeyRing;
  readonly signer: Signer;
  readonly links: SignInLinks;
  readonly supervisors: Pick<Supervisors, "find">;
  readonly registry: Pick<Registry, "agents">;
  /** Default: counts of this app alone. */
  readonly rates?: Rates;
  /** Lets every caller in as this one, without a key: only for the demo, on loopback. */
  readonly openCaller?: Caller | undefined;
  readonly now?: () => number;
  /** One call a request, when it is answered or its stream begins. */
  readonly onRequest: (request: { id: string; method: string; path: string; status: number; ms: number }) => void;
  /** A bug: an error that is no refusal. */
  readonly onBug: (error: unknown, requestId: string) => void;
}

export function createApp(options: AppDeps): Hono<Env> {
  const auth = createAuth(options);
  const deps = {
    ...options,
    tickets: createTickets(options.signer, options.now),
    isGood: auth.isGood,
    rates: options.rates ?? createRates(options.limits),
  };
  const app = new Hono<Env>({ strict: true });
  app.use(async (c, next) => {
    const began = performance.now();
    c.set("requestId", randomUUID());
    await next();
    const { method, path } = c.req;
    deps.onRequest({ id: c.get("requestId"), method, path, status: c.res.status, ms: performance.now() - began });
  });
  app.use(createGuard(deps));
  const gateOfBodies = createBodyGate(deps.limits, deps.rates);
  app.use(async (c, next) => {
    c.header("X-Content-Type-Options", "nosniff");
    await next();
  });
  for (const path of ["/api/*", mcpPath]) app.use(path, keptByNobodyElse, auth.middleware, checkScope, gateOfBodies);
  mountHealth(app, { ...deps, personAt: auth.personAt });
  mountTurns(app, deps);
  mountSessions(app, deps);
  mountTranscript(app, deps);
  mountApprovals(app, deps);
  mountAgents(app, deps);
  mountAttachments(app, deps);
  mountRatings(app, deps);
  mountDiagnostics(app, deps);
  mountUsage(app, deps);
  mountTokens(app, deps);
  mountSignIn(app, deps);
  mountWidget(app);
  mountHome(app, { ...deps, personAt: auth.personAt });
  mountMcp(app, deps);
  checkRoutes(app);
  refuseOtherMethods(app);
  app.notFound((c) => problem(c, new GatewayError("not_found", "There is nothing at this address.")));
  app.onError((error, c) => {
    if (error instanceof GatewayError) return refusal(c, error);
    if (error instanceof StoreFull) return refusal(c, noRoom());
    // The client went away in the middle of its body: nobody's bug, and nobody reads the answer.
    if (error === c.env?.incoming?.errored)
      return problem(c, new GatewayError("invalid_request", "The body broke off."));
    deps.onBug(error, c.get("requestId"));
    return problem(
      c,
      new GatewayError("internal", "Something went wrong inside the gateway. The request id finds it in its log."),
    );
  });
  return app;
}

/** What a cache between may do with a reply that says nothing else: it is for this caller alone, and may be another one the next time. */
const keptByNobodyElse: MiddlewareHandler<Env> = async (c, next) => {
  c.header("Cache-Control", "private, no-cache");
  for (const name of ["Authorization", "Cookie"]) c.header("Vary", name, { append: true });
  await next();
};

/** The agents as tools. What serves them is loaded with the first request. */
function mountMcp(app: Hono<Env>, deps: RouteDeps & Pick<AppDeps, "onBug">): void {
  let loading: Promise<Mcp> | undefined;
  app.post(mcpPath, async (c) => {
    loading ??= import("./mcp/server.ts").then(({ createMcp }) => createMcp(deps));
    const mcp = await loading;
    const identity = c.get("identity");
    const { supervisor, scopes } = identity;
    if (!supervisor) deps.rates.stream(c, c.get("caller"));
    return mcp(await withCheckedBody(c), {
      scopes,
      caller: () => (supervisor ? deps.turns.callerOf(supervisor) : Promise.resolve(c.get("caller"))),
      countTurn: (caller) => deps.rates.turn(c, caller),
      countChange: (caller) => deps.rates.change(c, caller),
      // The token of a process ends with it, and so does its connection.
      isGood: () => supervisor !== undefined || deps.isGood(identity),
      checkMs: revocationCheckMs(deps.limits),
      addressOf: (path) => absoluteUrl(c, deps, path),
    });
  });
}

/** The same request: its body is read, and found to be fit to be parsed. */
async function withCheckedBody(c: Context<Env>): Promise<Request> {
  const body = await c.req.text();
  checkJsonText(body, jsonBounds(c));
  const { url, headers, signal } = c.req.raw;
  return new Request(url, { method: "POST", headers, signal, body });
}

/** 405 on every address that some other method is served at. */
function refuseOtherMethods(app: Hono<Env>): void {
  const methods = new Map<string, Set<string>>();
  for (const { path, method } of app.routes) {
    if (method === "ALL") continue;
    const known = methods.get(path) ?? new Set();
    known.add(method);
    if (method === "GET") known.add("HEAD");
    methods.set(path, known);
  }
  for (const [path, known] of methods) {
    const allow = [...known].toSorted().join(", ");
    app.all(path, (c) => {
      throw new GatewayError("method_not_allowed", `${c.req.method} is not served here, only ${allow}.`, {
        headers: { Allow: allow },
      });
    });
  }
}
