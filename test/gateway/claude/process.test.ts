import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { startProcess } from "../../../gateway/claude/process.ts";

test("[P3] a start that finds no descriptor for its second FIFO gives back the first one's", () => {
  const folder = {
    path: "/",
    marker: "m",
    stdin: "/dev/null",
    stderr: "/no/such/fifo",
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
