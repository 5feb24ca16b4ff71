import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { copyCli } from "../../../../gateway/claude/box/cli-copy.ts";
import { isRoot } from "../../../support/in-box.ts";

let folder: string;
let source: string;
let copies: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "sluice-copy-")));
  [source, copies] = [join(folder, "claude.exe"), join(folder, "cli")];
  // Any program that is no script.
  copyFileSync(realpathSync("/bin/true"), source);
  chmodSync(source, 0o755);
});
afterEach(() => rmSync(folder, { recursive: true }));

const copy = (version = "1.0.0", path = source) => copyCli({ path, version }, copies);
const madeAt = (path: string) => statSync(path, { bigint: true }).birthtimeNs;

describe("the copy", () => {
  test("[A9] can be run, and not be read or changed by whoever runs it", async () => {
    const { path, isUnreadable } = await copy();
    expect({ path, isUnreadable }).toEqual({ path: join(copies, "1.0.0/claude"), isUnreadable: true });
    expect(statSync(path).mode & 0o7777).toBe(isRoot ? 0o711 : 0o111);
    expect(statSync(path).uid).toBe(process.getuid!());
    expect(spawnSync(path).status).toBe(0);
  });

  test("is made once, and of the program that a link leads to", async () => {
    symlinkSync(source, join(folder, "link"));
    const first = madeAt((await copy()).path);
    expect(madeAt((await copy("1.0.0", join(folder, "link"))).path)).toBe(first);
  });

  const changes: [string, () => void][] = [
    ["the program has changed", () => utimesSync(source, 1, 1)],
    ["the copy has been changed", () => utimesSync(join(copies, "1.0.0/claude"), 1, 1)],
    ["the copy can be read", () => chmodSync(join(copies, "1.0.0/claude"), 0o755)],
    ["the copy is gone", () => rmSync(join(copies, "1.0.0/claude"))],
    ["its note is gone", () => rmSync(join(copies, "1.0.0/note.json"))],
    ["its note is torn", () => writeFileSync(join(copies, "1.0.0/note.json"), '{"source":')],
  ];
  test.each(changes)("is made again where %s", async (_, change) => {
    const { path } = await copy();
    const before = madeAt(path);
    change();
    expect(await copy()).toEqual({ path, isUnreadable: true });
    expect(madeAt(path)).not.toBe(before);
    expect(statSync(path).mode & 0o7777).toBe(isRoot ? 0o711 : 0o111);
  });

  test("of another version is removed, and what a start that was killed left, too", async () => {
    await copy();
    mkdirSync(join(copies, "2.0.0.new"));
    writeFileSync(join(copies, "2.0.0.new/claude"), "half of it");
    const { path } = await copy("2.0.0");
    expect(readdirSync(copies)).toEqual(["2.0.0"]);
    expect(spawnSync(path).status).toBe(0);
  });
});

test("a script is no copy: its interpreter must read it", async () => {
  writeFileSync(source, "#!/bin/sh\n");
  expect(await copy()).toEqual({ path: source, isUnreadable: false });
  expect(existsSync(copies)).toBe(false);
});
