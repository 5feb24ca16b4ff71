import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findBubblewrap, NoBox, oldestBubblewrap } from "../../../../gateway/claude/box/bubblewrap.ts";

let folder: string;
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "sluice-bwrap-")));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A PATH with a `bwrap` that says this of itself. */
function pathWith(says: string, mode = 0o755): string {
  const own = mkdtempSync(join(folder, "path-"));
  writeFileSync(join(own, "bwrap"), `#!/bin/sh\n${says}\n`);
  chmodSync(join(own, "bwrap"), mode);
  return own;
}

test.each(["0.8.0", "0.8.1", "0.10.0", "0.11.0", "1.0.0"])("%s is one", async (version) => {
  const path = pathWith(`echo bubblewrap ${version}`);
  expect(await findBubblewrap(path)).toEqual({ path: join(path, "bwrap"), version });
});

test("it is found by its real path: what a link leads to is what is looked at, and run", async () => {
  const [path, links] = [pathWith("echo bubblewrap 0.9.0"), join(folder, "links")];
  mkdirSync(links);
  symlinkSync(join(path, "bwrap"), join(links, "bwrap"));
  expect(await findBubblewrap(`/nowhere:${links}`)).toEqual({ path: join(path, "bwrap"), version: "0.9.0" });
});

const faults: [string, () => string | undefined, RegExp, RegExp][] = [
  ["no PATH", () => undefined, /was not found on PATH/, /apt-get install bubblewrap/],
  ["none on the PATH", () => folder, /was not found on PATH/, /apt-get install bubblewrap/],
  ["one that nobody may run", () => pathWith("echo bubblewrap 0.9.0", 0o644), /was not found on PATH/, /install/],
  ["an old one", () => pathWith("echo bubblewrap 0.7.0"), new RegExp(`0\\.7\\.0; .*${oldestBubblewrap}`), /Install it/],
  ["an older one by number, not by letter", () => pathWith("echo bubblewrap 0.0.10"), /is 0\.0\.10/, /Install it/],
  ["a setuid one", () => pathWith("echo bubblewrap 0.9.0", 0o4755), /is setuid/, /chmod u-s/],
  ["another program", () => pathWith("echo hello"), /does not answer --version/, /Install it/],
  ["one that fails", () => pathWith("echo bubblewrap 0.9.0; exit 3"), /does not answer --version/, /Install it/],
];
test.each(faults)("%s is a fault that says what to do", async (_, path, message, mend) => {
  const fault: unknown = await findBubblewrap(path()).catch((error: unknown) => error);
  expect(fault).toBeInstanceOf(NoBox);
  expect((fault as NoBox).message).toMatch(message);
  expect((fault as NoBox).mend).toMatch(mend);
});

test("a processor whose system calls are not filtered has no boxes", async () => {
  const own = Object.getOwnPropertyDescriptor(process, "arch")!;
  Object.defineProperty(process, "arch", { ...own, value: "riscv64" });
  try {
    const found = findBubblewrap(pathWith("echo bubblewrap 0.9.0"));
    await expect(found).rejects.toThrow(/x86-64 or ARM64 processor, and this is riscv64/);
  } finally {
    Object.defineProperty(process, "arch", own);
  }
});
