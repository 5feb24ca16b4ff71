import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, rmdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AgentChanges } from "../../gateway/protocol/changes.ts";
import { copyRepository, personal, textOf } from "../support/git-scene.ts";
import {
  gatewayEnvironment,
  jsonBody,
  newFolder,
  openGateway,
  runSluice,
  type GatewaySettings,
  type OwnGateway,
  type Turn,
} from "../support/gateway.ts";
import { giveToSessions } from "../support/owner.ts";
import { lacksBubblewrap } from "../support/programs.ts";
import { openScene, type Scene } from "../support/real-cli.ts";

let scene: Scene;
let repository: string;
/** Where a repository names folders with more objects. */
let places: string;
let settings: GatewaySettings;
let gateway: OwnGateway;
beforeAll(async () => {
  scene = await openScene();
  repository = join(scene.folder, "repository");
  places = join(repository, ".git/objects/info");
  copyRepository(repository);
  // git makes it, and does without it.
  rmSync(places, { recursive: true });
  giveToSessions(repository);
  const coder = { workspace: repository, worktree: true, allowed_tools: ["Bash"] };
  settings = {
    agents: [
      { name: "red", ...coder },
      { name: "blue", ...coder },
      { name: "lead", supervises: ["red", "blue"] },
    ],
    dataFolder: newFolder(scene, "data"),
  };
  gateway = await openGateway(scene, settings);
});
afterAll(async () => {
  await gateway.close();
  await scene.close();
});

async function json<Body>(path: string, init: RequestInit = {}): Promise<Body> {
  const reply = await gateway.fetch(path, init);
  const body = (await reply.json()) as Body;
  if (!reply.ok) throw new Error(`${path}: ${reply.status} ${JSON.stringify(body)}`);
  return body;
}

const git = (...args: string[]) => execFileSync("git", args, { cwd: repository, env: personal, encoding: "utf8" });
const bash = (command: string) => `demo:tool Bash ${JSON.stringify({ command })}`;
const tell = (name: string, prompt: string) =>
  json<Turn>(`/api/agents/${name}/message`, jsonBody({ prompt }, { prefer: "wait=60" }));
const changes = (name: string) => json<AgentChanges>(`/api/agents/${name}/changes`);
const me = "-c user.name=Agent -c user.email=agent@example.org";

describe("agents with worktrees and the real CLI", () => {
  test("two at once change the same file and commit, each in its own worktree; the workspace stays as it was", async () => {
    const turns = await Promise.all(
      ["red", "blue"].map((name) =>
        tell(name, bash(`echo ${name} >README.md && git ${me} commit -qam "by ${name}" && pwd`)),
      ),
    );
    expect(turns).toMatchObject([{ state: "completed" }, { state: "completed" }]);
    for (const name of ["red", "blue"]) {
      const { files, diff, commits } = await changes(name);
      expect(files).toEqual([{ path: "README.md", status: "modified" }]);
      expect(diff).toContain(`-hello\n+${name}\n`);
      expect(commits).toMatchObject([{ subject: `by ${name}` }]);
      expect(git("show", `sluice/${name}:README.md`)).toBe(`${name}\n`);
    }
    expect(textOf(repository, "README.md")).toBe("hello\n");
    expect(git("status", "--porcelain", "--branch")).toBe("## main\n");
  });

  test.skipIf(lacksBubblewrap)(
    "[A9] none names a folder with more objects to the repository's git, and tidying up there harms nothing",
    async () => {
      const tries = [
        'echo /elsewhere >"$objects/info/alternates"',
        'mv "$objects/info" "$objects/moved"',
        'rm -rf "$objects/info"',
        "git commit-graph write --reachable",
        "git gc --prune=now",
      ];
      const work = [
        'objects=$(git rev-parse --git-common-dir)/objects; test -d "$objects/info" || exit 9',
        ...tries.map((one) => `${one} && echo done: '${one}'`),
        "git repack -d --quiet; git update-server-info; echo more >more.txt; git add more.txt",
        `git ${me} commit -qm "after all that" && git log -1 --format=%s && git fsck --full 2>&1`,
      ];
      const { answer } = await tell("red", `${bash(work.join("\n"))}\ndemo:text SAID {{1}}`);
      expect(answer).toContain("after all that");
      expect(answer).not.toMatch(/done:|exit code 9|missing|corrupt/i);
      expect(readdirSync(places)).toEqual([]);
      git("fsck", "--full", "--strict");
      expect(git("for-each-ref", "--format=%(refname:short)").split("\n")).toEqual(
        expect.arrayContaining(["main", "sluice/blue", "sluice/red"]),
      );
      expect(git("log", "-1", "--format=%s", "sluice/red")).toBe("after all that\n");
    },
  );

  test.skipIf(lacksBubblewrap)("[A9] a link in that folder's place is not followed: nothing is started", async () => {
    const agents = [{ name: "green", workspace: repository, worktree: true }];
    rmdirSync(places);
    symlinkSync(scene.folder, places);
    const other = await openGateway(scene, { agents, dataFolder: newFolder(scene, "data") });
    try {
      const turn = await other.ended((await other.post("hello", { agent: "green" })).turn);
      expect(turn).toMatchObject({ state: "failed", code: "spawn_failed" });
      expect(turn["message"]).toContain("`workspace`");
    } finally {
      await other.close();
      rmSync(places);
    }
  });

  test("the next gateway goes on in the same worktree with the same session, and keeps what was not committed", async () => {
    const first = await tell("red", bash("echo draft >draft.txt"));
    await gateway.close();
    gateway = await openGateway(scene, settings);
    expect((await changes("red")).files).toContainEqual({ path: "draft.txt", status: "untracked" });
    const next = await tell("red", bash("cat draft.txt README.md"));
    expect(next).toMatchObject({ state: "completed", session: first.session });
    const said = JSON.stringify(scene.requests.at(-1)!.body.messages);
    expect(said).toContain("draft\\nred");
    expect(said).toContain("echo draft");
  });

  test("a supervisor has both work at the same time, and sees what each has changed in its worktree", async () => {
    const call = (name: string, input: object) => ({ name: `mcp__sluice__${name}`, input });
    const work = (agent: string) =>
      call("message_agent", { agent, prompt: bash(`echo for-lead >by-${agent}.txt`), wait: false });
    const prompt = [
      [work("red"), work("blue")],
      [call("read_turn", { turn: "{{1.turn}}", wait: true }), call("read_turn", { turn: "{{2.turn}}", wait: true })],
      [call("agent_changes", { agent: "red" }), call("agent_changes", { agent: "blue" })],
    ].map((calls) => `demo:tools ${JSON.stringify(calls)}`);
    const told = await tell("lead", [...prompt, "demo:text RED {{5.diff}} BLUE {{6.diff}}"].join("\n"));
    expect(told).toMatchObject({ state: "completed" });
    const [red, blue] = String(told["answer"]).split("BLUE");
    expect(red).toContain("b/by-red.txt");
    expect(red).not.toContain("b/by-blue.txt");
    expect(blue).toContain("b/by-blue.txt");
  });

  test("a gateway whose agent's workspace gets no worktree does not start, and says which and why", async () => {
    const plain = newFolder(scene, "plain");
    const agents = [...settings.agents!, { name: "green", workspace: plain, worktree: true }];
    const served = await runSluice(["serve"], gatewayEnvironment(scene, { agents }));
    expect(served.code).toBe(1);
    expect(served.stderr).toContain(`The agent "green", ${plain}: The agent's workspace is no git repository`);
  });

  test("without git a gateway with such an agent does not start, and says why; doctor does too", async () => {
    const path = newFolder(scene, "path");
    mkdirSync(path, { recursive: true });
    for (const program of ["node", "sh", "mkfifo", "ps"])
      symlinkSync(
        execFileSync("sh", ["-c", `command -v ${program}`], { encoding: "utf8" }).trim(),
        join(path, program),
      );
    const environment = gatewayEnvironment(scene, { agents: settings.agents!, environment: { PATH: path } });
    const served = await runSluice(["serve"], environment);
    expect(served.code).toBe(1);
    expect(served.stderr).toMatch(/git was not found on PATH\.\n.*Install it/);
    const checked = await runSluice(["doctor"], environment);
    expect(checked.code).toBe(1);
    expect(checked.stdout).toMatch(/^FAIL {2}git +git was not found on PATH\.\n.*→ Install it/m);
    const unneeded = await runSluice(["doctor"], gatewayEnvironment(scene, { environment: { PATH: path } }));
    expect(unneeded.stdout).toMatch(/^ok {4}git +not found; only agents with a worktree need it$/m);
    const there = await runSluice(["doctor"], gatewayEnvironment(scene, { agents: settings.agents! }));
    expect(there.stdout).toMatch(/^ok {4}git +\d+\.\d+\S* at \/\S+git$/m);
  });
});
