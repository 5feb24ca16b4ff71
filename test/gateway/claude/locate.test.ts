import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findOnPath, locateCli, oldestVersion } from "../../../gateway/claude/locate.ts";
import { lacksOldestCli, oldestCli } from "../../support/programs.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "sluice-locate-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("a place on PATH that cannot be looked into is passed over, as a shell does; so is what is no program", () => {
  // What the operating system refuses to everybody, as it refuses a closed folder to all but root.
  symlinkSync("loop", join(folder, "loop"));
  const [plain, good] = ["plain", "good"].map((name) => join(folder, name)) as [string, string];
  for (const each of [plain, good]) {
    mkdirSync(each);
    writeFileSync(join(each, "claude"), "#!/bin/sh\n");
  }
  chmodSync(join(good, "claude"), 0o755);
  mkdirSync(join(folder, "a-folder/claude"), { recursive: true });
  const path = [join(folder, "loop"), join(folder, "none"), join(folder, "a-folder"), plain, good].join(":");
  expect(findOnPath("claude", path)).toBe(join(good, "claude"));
});

test("a configured CLI that cannot be reached is named", async () => {
  const unreachable = join(folder, "loop/claude");
  await expect(locateCli(unreachable, "")).rejects.toMatchObject({
    fault: "cli_missing",
    message: expect.stringContaining(unreachable) as string,
  });
});

test.skipIf(lacksOldestCli)("of the two that tests use, the one that npm puts on the PATH is the newest", async () => {
  const onPath = new URL("../../../node_modules/.bin/claude", import.meta.url).pathname;
  expect((await locateCli(onPath, "")).version).toBe((await locateCli(undefined, "")).version);
  expect((await locateCli(oldestCli, "")).version).toBe(oldestVersion);
});
