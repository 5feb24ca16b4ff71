// [P9] What a process has started ends with it, however it ends: in a box nothing gets away by leaving its session, its terminal and its marks.
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { boxedProgram, listProcesses } from "../../gateway/claude/process-table.ts";
import { newFolder, spawnGateway, type ChildGateway, type Turn } from "../support/gateway.ts";
import { openFakeScene } from "../support/fake-scene.ts";
import { openScene, type Scene } from "../support/real-cli.ts";
import { until } from "../support/wait.ts";

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene.close());

let lastSeconds = 60_000 + (process.pid % 10_000);
const commandOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    // Gone meanwhile.
    return "";
  }
};
const running = (command: string) => listProcesses().filter(({ pid }) => commandOf(pid) === command);

/** A session whose tool has left behind what carries no mark, has no terminal and is in no session of the CLI's. */
async function leaveSleeper(gateway: ChildGateway): Promise<{ turn: Turn; sleeper: string }> {
  const sleeper = `sleep ${(lastSeconds += 1)}`;
  const command = `for i in 1 2; do (trap '' HUP TERM; env -i setsid ${sleeper} >/dev/null 2>&1 &); done; echo left`;
  const turn = await gateway.ended((await gateway.post(`demo:tool Bash ${JSON.stringify({ command })}`)).turn);
  expect(turn["text"]).toContain("left");
  await until("the sleepers", () => running(sleeper).length === 2);
  return { turn, sleeper };
}

const start = () =>
  spawnGateway(scene, {
    agents: [{ name: "tester", allowed_tools: ["Bash"] }],
    file: { isolation: "required" },
    limits: { shutdown_grace_s: 0.5 },
  });

/** The CLI of the only process that this gateway has. */
function cliOf({ dataFolder }: ChildGateway): number {
  const [marker] = readdirSync(join(dataFolder, "run"));
  return boxedProgram(Number(readFileSync(join(dataFolder, "run", marker!, "pid"), "utf8").split(" ")[0]))!;
}

const ends: [string, (gateway: ChildGateway, turn: Turn) => unknown][] = [
  ["its session is removed", (gateway, { session }) => gateway.fetch(`/api/sessions/${session}`, { method: "DELETE" })],
  ["its CLI is killed", (gateway) => process.kill(cliOf(gateway), "SIGKILL")],
  ["the gateway ends", (gateway) => gateway.kill("SIGTERM")],
  ["the gateway is killed", (gateway) => gateway.kill("SIGKILL")],
];
test.each(ends)("[P9] a daemon of a tool is gone when %s", async (_, end) => {
  const gateway = await start();
  const { turn, sleeper } = await leaveSleeper(gateway);
  await end(gateway, turn);
  // Of a killed gateway there is nobody who could sweep: none has been started on its data folder.
  expect(await until("their end", () => running(sleeper).length === 0, 5000)).toBe(true);
  await gateway.kill("SIGKILL");
});

test("[P9] one session's end is not another's", async () => {
  const gateway = await start();
  const [one, other] = [await leaveSleeper(gateway), await leaveSleeper(gateway)];
  await gateway.fetch(`/api/sessions/${one.turn.session}`, { method: "DELETE" });
  await until("the end of its sleepers", () => running(one.sleeper).length === 0, 5000);
  expect(running(other.sleeper)).toHaveLength(2);
  await gateway.kill("SIGTERM");
  expect(running(other.sleeper)).toEqual([]);
});

test("[P3] the signal to end reaches the CLI itself, which can finish what it writes", async () => {
  const fakes = openFakeScene({ isBoxed: true });
  try {
    const folder = newFolder(scene, "cli");
    const binary = join(folder, "claude");
    // It does not heed the end of its input.
    const onTerm = `trap 'sleep 0.2; echo whole > "$HOME/ended"; exit 0' TERM`;
    writeFileSync(binary, `#!/bin/sh\n${onTerm}\n: > "$HOME/up"\nwhile :; do sleep 0.05; done\n`);
    for (const path of [scene.folder, folder, binary]) chmodSync(path, 0o755);
    const { driver } = await fakes.drive(binary);
    const home = join(fakes.runFolder, "../sessions", driver.session, "home");
    await until("the program", () => existsSync(join(home, "up")));
    await driver.end();
    expect(readFileSync(join(home, "ended"), "utf8")).toBe("whole\n");
  } finally {
    await fakes.close();
  }
});
