import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { routeScopes } from "../../../../gateway/http/auth/route-scopes.ts";
import { ordinaryScopes } from "../../../../gateway/protocol/scopes.ts";
import { question } from "../../../support/approval-drafts.ts";
import { copyRepository } from "../../../support/git-scene.ts";
import { readAgent } from "../../../support/real-cli.ts";
import { until } from "../../../support/wait.ts";
import { mainKey, openWholeApp, type AppRequest, type WholeApp } from "../../../support/whole-app.ts";

// Every route that names something is asked for somebody else's, by everybody who may not see it, with every method: generated over the
// table of routes, so that a new route is here as soon as it is there.

let app: WholeApp;
beforeEach(async () => {
  app = await openWholeApp();
});
afterEach(() => app.close());

interface Owned {
  readonly session: string;
  readonly turn: string;
  readonly approval: string;
  readonly hash: string;
  /** The user's token. */
  readonly token: string;
  readonly ticket: string;
}

/** A user's session in which a tool call waits, with an attachment. */
async function own(user: string, key: string): Promise<Owned> {
  const { token } = await app.json<{ token: string }>("/api/tokens", { key, json: { user } });
  const upload = await app.request("/api/attachments", {
    method: "POST",
    key: token,
    body: new TextEncoder().encode(`%PDF-1.4 of ${user} ${randomUUID()}`),
    headers: { "content-type": "application/pdf" },
  });
  const hash = new URL(upload.headers.get("location")!).pathname.split("/").at(-1)!;
  const made = await app.json("/api/turns", { key: token, json: { prompt: "x", agent: "default" } });
  const [session, turn] = [made["session"]!, made["turn"]!];
  const waiting = app.turns.approvals.ask(
    readAgent({ name: "default" }),
    session,
    question(turn),
    new AbortController().signal,
  );
  void waiting;
  const approval = await until("the question", async () => {
    const { approvals } = await app.json<{ approvals: { approval: string }[] }>("/api/approvals", { key: token });
    return approvals[0]?.approval;
  });
  const { ticket } = await app.json(`/api/sessions/${session}/ticket`, { key: token, method: "POST" });
  return { session, turn, approval, hash, token, ticket: ticket! };
}

/** Bodies that are good, so that what refuses is the owner check. */
const bodies: Record<string, object> = {
  "PATCH /api/sessions/:session": { title: "mine now" },
  "POST /api/sessions/:session/fork": {},
  "POST /api/approvals/:approval": { decision: "allow" },
  "PUT /api/turns/:turn/rating": { rating: "down" },
  "PATCH /api/agents/:name": { description: "mine now" },
  "POST /api/agents/:name/message": { prompt: "x" },
};

/** Not those of administrators, who see everything: who is none is refused before anything is looked for. Agents have no owner: see below. */
const named = Object.keys(routeScopes).filter(
  (route) => route.includes(":") && !route.includes(":name") && routeScopes[route] !== "admin",
);
const ofAgents = Object.keys(routeScopes).filter((route) => route.includes(":name"));
const managing = [...ordinaryScopes, "manage_agents"] as const;
const parts = { session: "session", turn: "turn", approval: "approval", hash: "hash" } as const;

type Ids = Pick<Owned, keyof typeof parts>;

function fill(path: string, ids: Ids): string {
  return path.replaceAll(/:(\w+)/g, (_, name: string) => {
    if (!(name in parts)) throw new Error(`:${name} is new: say here what it stands for`);
    return ids[name as keyof typeof parts];
  });
}

/** What a reply says, without what is different each time. */
async function said(reply: Response, ids: Ids): Promise<unknown> {
  let text = await reply.text();
  for (const id of Object.values(ids)) text = text.replaceAll(id, "ID");
  // How much of a rate is left counts requests, whatever they ask for.
  const { ratelimit: _, ...headers } = Object.fromEntries(reply.headers);
  return { status: reply.status, headers, text: text.replace(/"request_id":"[^"]*"/, "") };
}

describe("[A4] [CVE-2026-31950] [CVE-2026-45349] what is somebody else's", () => {
  test.each(named)("%s is as unknown as what does not exist, with every method", async (route) => {
    const [method, path] = route.split(" ") as [string, string];
    const ann = await own("ann", mainKey);
    const bob = await own("bob", mainKey);
    const otherKey = await app.addKey("other", { scopes: managing });
    const limited = await app.addKey("limited", { agents: ["other"], scopes: managing });
    const strangers: Record<string, AppRequest & { query?: string }> = {
      "another user's token": { key: bob.token },
      "another user, by the key": { key: mainKey, query: "user=bob" },
      "another key": { key: otherKey },
      "a key of other agents": { key: limited },
      "another key, for that user": { key: otherKey, query: "user=ann" },
    };
    const missing: Ids = { session: randomUUID(), turn: randomUUID(), approval: randomUUID(), hash: "0".repeat(64) };
    const statuses = new Set<number>();
    for (const [who, { query = "", ...init }] of Object.entries(strangers)) {
      for (const asked of new Set([method, "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])) {
        const json = bodies[`${asked} ${path}`];
        const send = (ids: Ids) =>
          app.request(`${fill(path, ids)}?${query}`, { ...init, ...(json && { json }), method: asked });
        const [foreign, none] = [await said(await send(ann), ann), await said(await send(missing), missing)];
        expect({ who, asked, foreign }).toEqual({ who, asked, foreign: none });
        const { status } = foreign as { status: number };
        statuses.add(asked === method ? status : status === 405 ? 404 : status);
      }
    }
    expect([...statuses]).toEqual([404]);
    // A ticket of another session opens nothing of this one.
    const byTicket = await app.request(`${fill(path, ann)}?ticket=${bob.ticket}`, { method });
    expect([401, 404]).toContain(byTicket.status);
    // And the owner's own are all still as they were.
    const { approvals } = await app.json<{ approvals: { state: string }[] }>("/api/approvals", { key: ann.token });
    expect(approvals.map(({ state }) => state)).toEqual(["pending"]);
    expect(await app.json(`/api/sessions/${ann.session}`, { key: ann.token })).toMatchObject({ title: "x" });
    expect(await app.json(`/api/turns/${ann.turn}`, { key: ann.token })).toMatchObject({
      rating: null,
      state: "waiting",
    });
    // The owner reaches it: without this, a route that finds nothing at all would do.
    const json = bodies[route];
    const reached = await app.request(fill(path, ann), { key: ann.token, method, ...(json && { json }) });
    await reached.body?.cancel();
    expect([401, 403, 404, 405]).not.toContain(reached.status);
  });

  test("stands in no list, whatever is asked for", async () => {
    const ann = await own("ann", mainKey);
    const bob = await own("bob", mainKey);
    const other = await app.addKey("other");
    for (const key of [bob.token, other])
      for (const path of [
        `/api/turns?session=${ann.session}`,
        "/api/turns?user=ann",
        "/api/sessions?user=ann",
        "/api/sessions?q=x&user=ann",
        `/api/approvals?session=${ann.session}`,
        "/api/approvals?user=ann",
      ]) {
        const list = Object.values(await app.json<Record<string, unknown>>(path, { key })).find(Array.isArray);
        expect([path, list]).toEqual([path, []]);
      }
    for (const path of ["/api/turns", "/api/sessions", "/api/approvals"]) {
      const text = JSON.stringify(await app.json(path, { key: bob.token }));
      for (const id of [ann.session, ann.turn, ann.approval]) expect(text).not.toContain(id);
    }
  });

  test("is not gone on with, by a prompt or an attachment", async () => {
    const ann = await own("ann", mainKey);
    const bob = await own("bob", mainKey);
    const post = (json: object) => app.request("/api/turns", { key: bob.token, json });
    expect((await post({ prompt: "x", session: ann.session })).status).toBe(404);
    expect((await post({ prompt: "x", session: ann.session, on_busy: "interrupt" })).status).toBe(404);
    const block = (hash: string) => [
      { type: "text", text: "read this" },
      { type: "document", source: { type: "attachment", attachment: hash, media_type: "application/pdf" } },
    ];
    const [foreign, none] = [
      await post({ prompt: block(ann.hash), agent: "default" }),
      await post({ prompt: block("0".repeat(64)), agent: "default" }),
    ];
    const refusal = await said(foreign, ann);
    expect(refusal).toEqual(await said(none, { ...ann, hash: "0".repeat(64) }));
    expect(refusal).toMatchObject({ status: 404 });
  });
});

describe("[A4] an agent that a key is not for", () => {
  test.each(ofAgents)("%s is as unknown as one that does not exist", async (route) => {
    const [method, path] = route.split(" ") as [string, string];
    const workspace = join(app.folder, "repository");
    copyRepository(workspace);
    await app.json("/api/agents", { key: mainKey, json: { name: "made", workspace, worktree: true } });
    const limited = await app.addKey("limited", { agents: ["other"], scopes: managing });
    const json = bodies[route];
    const send = async (name: string, key: string) => {
      const reply = await app.request(path.replace(":name", name), { key, method, ...(json && { json }) });
      const text = (await reply.text()).replaceAll(name, "NAME").replace(/"request_id":"[^"]*"/, "");
      return { status: reply.status, text };
    };
    for (const foreign of ["made", "default"]) {
      const refused = await send(foreign, limited);
      expect(refused).toEqual(await send("missing", limited));
      expect(refused.status).toBe(404);
    }
    // For whom it is, it is there: without this, a route that finds nothing at all would do.
    expect((await send("made", mainKey)).status).toBeLessThan(300);
  });
});
