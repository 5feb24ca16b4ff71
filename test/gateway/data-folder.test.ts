import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makeDataFolder, openDataFolder, readHolder } from "../../gateway/data-folder.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sluice-data-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("[P8] who holds a data folder is told as long as it is held", () => {
  const held = openDataFolder(folder);
  expect(readHolder(folder)).toEqual({ pid: process.pid });
  held.announce("http://127.0.0.1:1");
  expect(readHolder(folder)).toEqual({ pid: process.pid, address: "http://127.0.0.1:1" });
  // To ask has let nobody else in.
  expect(() => openDataFolder(folder)).toThrow(`in use by another gateway (pid ${process.pid})`);
  held.release();
  expect(readHolder(folder)).toBeUndefined();
});

test("[A1] an address that a killed gateway left is nobody's: what listens there now is shown no key", () => {
  openDataFolder(folder).release();
  writeFileSync(join(folder, "lock.json"), JSON.stringify({ pid: 1, address: "http://127.0.0.1:1" }));
  expect(readHolder(folder)).toBeUndefined();
  openDataFolder(folder).release();
});

describe("[A1] a data folder that somebody else could write to", () => {
  const refused = () => expect.objectContaining({ fault: "data_not_private" });

  test.each([
    ["everybody", 0o777],
    ["a group", 0o770],
  ])("is refused if that is %s", (_, mode) => {
    chmodSync(folder, mode);
    expect(() => openDataFolder(folder)).toThrow(refused());
    expect(readdirSync(folder)).toEqual([]);
    chmodSync(folder, 0o755);
    openDataFolder(folder).release();
  });

  test("is refused if a name that the gateway writes to is a link, and what it leads to is left as it was", () => {
    const victim = join(folder, "victim");
    writeFileSync(victim, "theirs");
    for (const name of [
      "key",
      "lock.json",
      "lock.sqlite",
      "sluice.sqlite",
      "signing.json",
      "signing.json.new",
      "run",
      "sessions",
    ]) {
      const data = join(folder, `data-${name}`);
      mkdirSync(data, { mode: 0o700 });
      symlinkSync(victim, join(data, name));
      expect(() => openDataFolder(data)).toThrow(refused());
      expect(() => makeDataFolder(data)).toThrow(refused());
      expect(readdirSync(data)).toEqual([name]);
    }
    expect(readFileSync(victim, "utf8")).toBe("theirs");
  });

  test.runIf(process.getuid?.() === 0)("is refused if another user made it, or planted a key in it", () => {
    const planted = join(folder, "key");
    writeFileSync(planted, "known to them");
    chownSync(planted, 1234, 1234);
    expect(() => openDataFolder(folder)).toThrow(refused());
    chownSync(planted, 0, 0);
    chownSync(folder, 1234, 1234);
    expect(() => openDataFolder(folder)).toThrow(refused());
  });

  test("its lock can be read by its owner alone, one that an older version made too", () => {
    writeFileSync(join(folder, "lock.sqlite"), "", { mode: 0o644 });
    openDataFolder(folder).release();
    expect(statSync(join(folder, "lock.sqlite")).mode & 0o777).toBe(0o600);
    rmSync(join(folder, "lock.sqlite"));
    openDataFolder(folder).release();
    expect(statSync(join(folder, "lock.sqlite")).mode & 0o777).toBe(0o600);
  });
});
