import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { AgentChanges, WorktreeStatus } from "../../../gateway/protocol/changes.ts";
import { copyRepository, personal } from "../../support/git-scene.ts";
import { readAgent } from "../../support/real-cli.ts";
import { until } from "../../support/wait.ts";
import { mainKey, openWholeApp, type AppRequest, type WholeApp } from "../../support/whole-app.ts";

interface AgentJson {
  readonly name: string;
  readonly now: { readonly worktree: WorktreeStatus | null };
}

let app: WholeApp;
let repository: string;
beforeEach(async () => {
  app = await openWholeApp({ agents: [readAgent({ name: "default" })] });
  repository = join(app.folder, "repository");
  copyRepository(repository);
});
afterEach(() => app.close());

const git = (...args: string[]) => execFileSync("git", args, { cwd: repository, env: personal, encoding: "utf8" });
const branches = () => git("for-each-ref", "--format=%(refname:short)", "refs/heads/sluice").trim();
const create = (name: string, more: object = {}) =>
  app.request("/api/agents", { key: mainKey, json: { name, workspace: repository, worktree: true, ...more } });
const get = (name: string) => app.json<AgentJson>(`/api/agents/${name}`, { key: mainKey });
const changes = (name: string) => app.json<AgentChanges>(`/api/agents/${name}/changes`, { key: mainKey });
const folderOf = (name: string) => join(app.folder, "worktrees", name);
const remove = (name: string, query = "") =>
  app.request(`/api/agents/${name}${query}`, { key: mainKey, method: "DELETE" });

/** Lets the agent work once; resolves with its worktree. */
async function work(name: string): Promise<string> {
  const told = await app.json<{ session: string; turn: string }>(`/api/agents/${name}/message`, {
    key: mainKey,
    json: { prompt: "go" },
  });
  const driver = await until("its turn", () => {
    const process = app.drivers.get(told.session);
    return process?.requests.some(({ turn }) => turn === told.turn) && process;
  });
  driver.finish();
  await until(
    "its end",
    async () => (await app.json(`/api/turns/${told.turn}`, { key: mainKey }))["state"] === "completed",
  );
  return folderOf(name);
}

async function refusal(reply: Response | Promise<Response>): Promise<Record<string, unknown>> {
  const { status } = await reply;
  const { code, field, detail, work: unsaved } = (await (await reply).json()) as Record<string, unknown>;
  return {
    status,
    code,
    ...(field === undefined ? {} : { field }),
    detail,
    ...(unsaved === undefined ? {} : { unsaved }),
  };
}

describe("an agent with a worktree", () => {
  test("works in it from its first turn on; its branch and what it has changed are shown, and no folder", async () => {
    expect((await create("coder")).status).toBe(201);
    expect((await get("coder")).now.worktree).toEqual({ branch: "sluice/coder", state: "none", base: null });
    expect(await changes("coder")).toMatchObject({ base: null, files: [], diff: "" });
    expect(branches()).toBe("");
    const folder = await work("coder");
    const base = git("rev-parse", "main").trim();
    expect((await get("coder")).now.worktree).toEqual({ branch: "sluice/coder", state: "whole", base });
    writeFileSync(join(folder, "new.txt"), "new\n");
    const found = await changes("coder");
    expect(found).toMatchObject({ base, head: base, files: [{ path: "new.txt", status: "untracked" }] });
    expect(found.diff).toContain("+new\n");
    expect(JSON.stringify([found, (await get("coder")).now])).not.toContain(app.folder);
  });

  test("is not made of a workspace that gets none, and the reply names the field", async () => {
    const plain = join(app.folder, "plain");
    mkdirSync(plain);
    const reply = await refusal(create("coder", { workspace: plain }));
    expect(reply).toMatchObject({ status: 409, code: "conflict", field: "workspace" });
    expect(reply["detail"]).toMatch(/no git repository/);
    expect((await app.request("/api/agents/coder", { key: mainKey })).status).toBe(404);
    expect(await refusal(create("coder", { workspace: undefined }))).toMatchObject({ status: 400, field: "worktree" });
  });

  test("whose worktree cannot be made fails its turn, says why, and does so only until that is mended", async () => {
    git("branch", "sluice/coder");
    await create("coder");
    const prompt = { key: mainKey, json: { prompt: "go", agent: "coder" }, headers: { prefer: "wait=20" } };
    const failed = await app.json<Record<string, unknown>>("/api/turns", prompt);
    expect(failed).toMatchObject({ state: "failed", code: "spawn_failed" });
    expect(failed["message"]).toContain('a branch "sluice/coder" that is not this agent\'s');
    git("branch", "-D", "sluice/coder");
    expect(existsSync(join(await work("coder"), "README.md"))).toBe(true);
  });

  test("is removed with worktree and branch, once nothing would be lost, or by force; until then it stays", async () => {
    await create("coder");
    writeFileSync(join(await work("coder"), "new.txt"), "new\n");
    const reply = await refusal(remove("coder"));
    expect(reply).toMatchObject({ status: 409, code: "conflict", unsaved: { untracked: ["new.txt"] } });
    expect(reply["detail"]).toMatch(/^1 untracked file would be lost/);
    expect((await get("coder")).now.worktree).toMatchObject({ state: "whole" });
    await work("coder");
    expect((await changes("coder")).files).toHaveLength(1);
    expect((await remove("coder", "?force=true")).status).toBe(200);
    expect(existsSync(folderOf("coder"))).toBe(false);
    expect(branches()).toBe("");

    await create("coder");
    await work("coder");
    expect((await remove("coder")).status).toBe(200);
    expect([existsSync(folderOf("coder")), branches()]).toEqual([false, ""]);
  });

  test("keeps the workspace that its worktree is of, and the worktree, until it is removed", async () => {
    const other = join(app.folder, "other");
    copyRepository(other);
    await create("coder");
    const patch = (json: object): AppRequest => ({ key: mainKey, method: "PATCH", json });
    expect((await app.request("/api/agents/coder", patch({ workspace: other }))).status).toBe(200);
    expect((await app.request("/api/agents/coder", patch({ workspace: repository }))).status).toBe(200);
    await work("coder");
    for (const [change, field] of [
      [{ workspace: other }, "workspace"],
      [{ worktree: false }, "worktree"],
    ] as const)
      expect(await refusal(app.request("/api/agents/coder", patch(change)))).toMatchObject({ status: 409, field });
    expect((await app.request("/api/agents/coder", patch({ description: "x" }))).status).toBe(200);
  });

  test("only: another one has no changes to show, and neither has one that there is not", async () => {
    const look = (name: string) => app.request(`/api/agents/${name}/changes`, { key: mainKey });
    expect(await refusal(look("default"))).toMatchObject({ status: 409, code: "conflict" });
    for (const name of ["unknown", "..%2fworktrees", ".records", "%00"]) expect((await look(name)).status).toBe(404);
    const limited = await app.addKey("limited", { agents: ["default"] });
    await create("coder");
    expect((await app.request("/api/agents/coder/changes", { key: limited })).status).toBe(404);
    const turnsOnly = await app.addKey("turns", { scopes: ["turns"] });
    expect((await app.request("/api/agents/coder/changes", { key: turnsOnly })).status).toBe(403);
  });
});
