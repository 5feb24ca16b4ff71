import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openDataFolder, readHolder } from "../../gateway/data-folder.ts";

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
