import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startProcess } from "../../../gateway/claude/process.ts";
import { makePrivateFolder } from "../../../gateway/claude/run-folder.ts";
import { until } from "../../support/wait.ts";

test("[P3] a start that finds no descriptor for its second FIFO gives back the first one's", () => {
  const folder = {
    path: "/",
    marker: "m",
    stdin: "/dev/null",
    stderr: "/no/such/fifo",
    words: "/dev/null",
    mark: {},
    files: "/",
    keep: () => {},
    write: () => {},
    note: () => {},
    remove: () => {},
  };
  const entry = { file: "/bin/sh", args: [], env: {}, cwd: "/", isBoxed: false };
  const start = () => startProcess({ entry, folder, onLines: () => {} });
  const openFiles = () => readdirSync("/proc/self/fd").length;
  const before = openFiles();
  for (let times = 0; times < 20; times++) expect(start).toThrow("ENOENT");
  expect(openFiles()).toBeLessThan(before + 20);
});

test("[A9] of what comes beside a box's stderr only what is before the NUL is kept: later a tool may have written it", async () => {
  const run = mkdtempSync(join(tmpdir(), "sluice-test-"));
  const folder = await makePrivateFolder(run);
  const script = String.raw`cat stdin >/dev/null & printf 'bwrap: not mounted\n\0forged one\n' >words; echo real >stderr
    until printf 'forged two\n' 1<>words && [ -e go ]; do sleep 0.01; done; echo last >stderr`;
  const entry = { file: "/bin/sh", args: ["-c", script], env: {}, cwd: folder.path, isBoxed: true };
  const child = startProcess({ entry, folder, onLines: () => {} });
  await until("its stderr", () => child.stderrTail().includes("real"));
  writeFileSync(join(folder.path, "go"), "");
  await until("the rest of it", () => child.stderrTail().includes("last"));
  expect(child.stderrTail().split("\n").toSorted()).toEqual(["", "bwrap: not mounted", "last", "real"]);
  await child.end(1000);
  rmSync(run, { recursive: true });
});
