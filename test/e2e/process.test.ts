import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { StartFailure } from "../../gateway/claude/launch.ts";
import { markedWith, startTimeOf, stillThere, type ProcessEntry } from "../../gateway/claude/process-table.ts";
import { sweep } from "../../gateway/claude/run-folder.ts";
import { openDataFolder, readHolder } from "../../gateway/data-folder.ts";
import { SetupError } from "../../gateway/protocol/errors.ts";
import { startNode } from "../support/child.ts";
import { openFakeScene, type FakeScene } from "../support/fake-scene.ts";
import { openScene } from "../support/real-cli.ts";
import { until } from "../support/wait.ts";

let folder: string;
let fakes: FakeScene;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sluice-process-"));
  fakes = openFakeScene();
});
afterEach(async () => {
  await fakes.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("after kill -9 of the gateway", () => {
  const casualties = [
    { what: "the gateway alone", withCli: false },
    { what: "the gateway and its CLI", withCli: true },
  ];
  test.each(casualties)("[P3] of $what the sweep leaves no Bash tool and no folder in 5 s", async ({ withCli }) => {
    const gateway = startNode("doomed-gateway.ts");
    const { folder: left, runFolder } = JSON.parse(await gateway.firstLine) as { folder: string; runFolder: string };
    try {
      const markers = new Set(readdirSync(runFolder));
      const isSleep = ({ pid }: ProcessEntry) => commandOf(pid).startsWith("sleep 600");
      await until("the tool", () => markedWith(markers).some(isSleep), 45_000);
      const family = markedWith(markers);
      const cli = family.find(({ parent }) => parent === gateway.pid)!;
      process.kill(gateway.pid, "SIGKILL");
      if (withCli) process.kill(cli.pid, "SIGKILL");
      await gateway.kill();
      await until("the CLI's end", () => stillThere([cli]).length === 0, 30_000);
      const before = performance.now();
      const killed = await sweep(runFolder);
      expect(performance.now() - before).toBeLessThan(5000);
      // Killed outright, the CLI has left its tool to the sweep; hung up, it may have ended it.
      expect(killed).toBeGreaterThanOrEqual(withCli ? 1 : 0);
      expect(stillThere(family)).toEqual([]);
      expect(markedWith(markers)).toEqual([]);
      expect(readdirSync(runFolder)).toEqual([]);
    } finally {
      await gateway.kill();
      await sweep(runFolder);
      rmSync(left, { recursive: true, force: true });
    }
  });

  test("[P3] the sweep leaves a process alone that has only got a noted one's id", async () => {
    const stranger = spawn("sleep", ["600"]);
    onTestFinished(() => void stranger.kill("SIGKILL"));
    const gone = once(stranger, "exit");
    const note = (marker: string, startedAt: string) => {
      mkdirSync(join(folder, marker));
      writeFileSync(join(folder, marker, "pid"), `${stranger.pid} ${startedAt}`);
    };
    note("another-start", "1");
    expect(await sweep(folder)).toBe(0);
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
    note("its-start", startTimeOf(stranger.pid!)!);
    expect(await sweep(folder)).toBe(1);
    expect((await gone)[1]).toBe("SIGKILL");
    expect(readdirSync(folder)).toEqual([]);
  });

  test("[P3] the sweep of a run folder that never was has nothing to do", async () => {
    expect(await sweep(join(folder, "absent"))).toBe(0);
  });
});

describe("the lock of a data folder", () => {
  test("[P8] a second gateway is refused with the first one's pid, and gets in at once when that is killed", async () => {
    const first = startNode("folder-holder.ts", folder);
    await first.firstLine;
    expect(readHolder(folder)).toEqual({ pid: first.pid, address: "http://127.0.0.1:1" });
    const second = startNode("folder-holder.ts", folder);
    await expect(second.firstLine).rejects.toThrow(`(pid ${first.pid})`);
    const refused = refusalOf(() => openDataFolder(folder));
    expect(refused).toMatchObject({ fault: "data_locked", message: expect.stringContaining(`(pid ${first.pid})`) });
    await first.kill();
    const mine = openDataFolder(folder);
    expect(readHolder(folder)).toEqual({ pid: process.pid });
    mine.release();
    expect(readHolder(folder)).toBeUndefined();
  });

  test("[P8] a refused gateway neither changes who holds the folder nor frees it", async () => {
    const mine = openDataFolder(folder);
    for (let i = 0; i < 2; i++)
      await expect(startNode("folder-holder.ts", folder).firstLine).rejects.toThrow(`(pid ${process.pid})`);
    expect(readHolder(folder)).toEqual({ pid: process.pid });
    mine.release();
    const next = startNode("folder-holder.ts", folder);
    expect(await next.firstLine).toBe("held");
    await next.kill();
  });

  test("[P8] a folder that cannot be written is a setup error that says what to do", () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    for (const path of [file, join(file, "data")]) {
      expect(refusalOf(() => openDataFolder(path))).toMatchObject({
        fault: "data_not_writable",
        message: expect.stringContaining(path),
        mend: expect.stringContaining("SLUICE_DATA"),
      });
    }
  });

  test("[P8] the folder and its parts are private", () => {
    const data = openDataFolder(join(folder, "data"));
    for (const path of [data.path, data.run, data.sessions]) expect(statSync(path).mode & 0o777).toBe(0o700);
    data.release();
  });
});

describe("file descriptors", () => {
  test("[P3] a process is given stdin, stdout and stderr and nothing else, whatever else lives", async () => {
    const sleeper = join(folder, "sleeper");
    writeFileSync(sleeper, "#!/bin/sh\nexec sleep 600\n");
    chmodSync(sleeper, 0o755);
    const fromOurStarter = inheritedFds();
    const all = [];
    for (let i = 0; i < 4; i++) all.push(await fakes.drive(sleeper));
    for (const { driver, marker } of all) {
      await until("the program itself", () => commandOf(driver.pid) === "sleep 600", 30_000);
      const own = join(fakes.runFolder, marker);
      const given = Object.entries(openFilesOf(driver.pid)).filter(([fd]) => !fromOurStarter.has(fd));
      expect(Object.fromEntries(given)).toEqual({
        0: join(own, "stdin"),
        1: expect.stringMatching(/^\/dev\/pts\/\d+$/),
        2: join(own, "stderr"),
      });
    }
    expect(new Set(all.map(({ driver }) => openFilesOf(driver.pid)[1])).size).toBe(4);
  });

  test("[P3] of two real CLIs neither can reach the other's terminal or pipes", async () => {
    const scene = await openScene();
    const all = [await scene.drive(), await scene.drive()];
    for (const { driver } of all) await driver.ready;
    const open = all.map(({ driver }) => Object.values(openFilesOf(driver.pid)));
    const ours = (files: string[]) => files.filter((path) => /^\/dev\/pt|sluice-test-/.test(path));
    const [first, second] = open.map((files) => new Set(ours(files)));
    expect([...first!].filter((path) => second!.has(path))).toEqual([]);
    expect([...first!, ...second!].filter((path) => path.includes("ptmx"))).toEqual([]);
    await scene.close();
  });
});

describe("a start that cannot be", () => {
  test("[L3] a missing binary fails the turn as spawn_failed and leaves nothing", async () => {
    const driven = await fakes.drive(join(folder, "absent"));
    expect((await driven.say("go")).ending).toMatchObject({ type: "turn_failed", code: "spawn_failed" });
    await fakes.leaveNothing(driven);
  });

  test("[L3] a missing workspace and a run folder that cannot be made are refused as spawn_failed", async () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    const bad = [{ workspace: join(folder, "absent") }, { workspace: file }, { runFolder: join(file, "run") }];
    for (const options of bad) {
      const refusal = await fakes.drive("/bin/true", options).catch((error: unknown) => error);
      expect(refusal).toBeInstanceOf(StartFailure);
      expect(refusal).toMatchObject({ failure: { code: "spawn_failed" } });
    }
    expect(readdirSync(fakes.runFolder)).toEqual([]);
  });

  test("[P3] ending a process that has just been started leaves nothing", async () => {
    for (let i = 0; i < 5; i++) {
      const driven = await fakes.drive(fakes.play(""));
      await fakes.leaveNothing(driven);
      await Promise.allSettled([driven.driver.ready]);
      expect(existsSync(`/proc/${driven.driver.pid}`)).toBe(false);
    }
  });

  test("[P3] ending a process several times at once is one end, and a running turn fails as process_died", async () => {
    const driven = await fakes.drive(fakes.play("on user\ninit\non interrupt\non end"), {
      deadlines: { endMs: 900 },
    });
    const running = driven.begin("go");
    await until("the turn", () => driven.events.some((event) => event.type === "turn_started"), 30_000);
    await Promise.all([driven.driver.end(), driven.driver.end(), driven.driver.end()]);
    expect((await running.ended).ending).toMatchObject({ type: "turn_failed", code: "process_died" });
    await fakes.leaveNothing(driven);
  });
});

function commandOf(pid: number): string {
  return readIfThere(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim();
}

function openFilesOf(pid: number): Record<string, string> {
  const fds = readdirSync(`/proc/${pid}/fd`);
  return Object.fromEntries(fds.map((fd) => [fd, readlinkSync(`/proc/${pid}/fd/${fd}`)]));
}

/** What this process was itself started with: open, and not closed when a program is started. Node opens nothing like that. */
function inheritedFds(): Set<string> {
  const fds = readdirSync("/proc/self/fd").filter((fd) => Number(fd) > 2);
  const closesOnExec = 0o2000000;
  return new Set(
    fds.filter((fd) => {
      const flags = /flags:\s*(\d+)/.exec(readIfThere(`/proc/self/fdinfo/${fd}`))?.[1];
      return flags !== undefined && (parseInt(flags, 8) & closesOnExec) === 0;
    }),
  );
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // Closed or ended since it was listed.
    return "";
  }
}

function refusalOf(act: () => unknown): SetupError {
  try {
    act();
  } catch (error) {
    if (error instanceof SetupError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

test("[P3] a process ends, and nothing of it is left, though the gateway had no file descriptor left to look for it", async () => {
  const path = new URL("../support/out-of-descriptors.ts", import.meta.url).pathname;
  const child = spawn("/bin/sh", ["-c", 'ulimit -n 200; exec "$0" "$1" 2>&1', process.execPath, path]);
  onTestFinished(() => void child.kill("SIGKILL"));
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
  await once(child, "close");
  expect(said).toBe("EMFILE, and nothing is left\n");
});
