import { spawnSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makeWithin, namesWithin, openWithin, statWithin } from "../../../../gateway/claude/box/contained.ts";

let folder: string;
let root: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "sluice-contained-")));
  root = join(folder, "root");
  mkdirSync(join(root, "inner"), { recursive: true });
  mkdirSync(join(folder, "root-beside"));
  for (const name of ["root/inner/file", "secret", "root-beside/secret"])
    writeFileSync(join(folder, name), `${name}\n`);
});
afterEach(() => rmSync(folder, { recursive: true }));

const read = async (path: string): Promise<string | undefined> => {
  const handle = await openWithin(root, path);
  if (!handle) return undefined;
  try {
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
};

/** What a session may have put in the place of a file of its own. */
const planted: [string, (path: string) => unknown][] = [
  ["a link to a file outside", (path) => symlinkSync(join(folder, "secret"), path)],
  ["a link to a file inside", (path) => symlinkSync(join(root, "inner/file"), path)],
  ["a link to a file outside by a way of its own", (path) => symlinkSync("../secret", path)],
  ["a link that leads nowhere", (path) => symlinkSync("/nowhere", path)],
  ["a link to itself", (path) => symlinkSync(path, path)],
  ["a link to the kernel's view of it", (path) => symlinkSync("/proc/self/environ", path)],
  ["a FIFO that nobody writes to", (path) => spawnSync("mkfifo", [path])],
  ["a folder", (path) => mkdirSync(path)],
  [
    "a socket",
    (path) =>
      new Promise((resolve) =>
        createServer()
          .listen(path, () => resolve(null))
          .unref(),
      ),
  ],
];

describe("[A9] a file", () => {
  test("inside is read", async () => {
    expect(await read(join(root, "inner/file"))).toBe("root/inner/file\n");
    expect(statWithin(root, join(root, "inner/file"))?.size).toBe(16);
  });

  test.each(planted)("is none if it is %s", async (_, plant) => {
    const path = join(root, "planted");
    await plant(path);
    expect(await read(path)).toBeUndefined();
    expect(statWithin(root, path)).toBeUndefined();
  });

  test.each(["../secret", "../root-beside/secret", "nowhere"])("%s is not inside", async (name) => {
    expect(await read(join(root, name))).toBeUndefined();
    expect(statWithin(root, join(root, name))).toBeUndefined();
  });

  test("in a folder that is a link out is not inside", async () => {
    symlinkSync(join(folder, "root-beside"), join(root, "way-out"));
    expect(existsSync(join(root, "way-out/secret"))).toBe(true);
    expect(await read(join(root, "way-out/secret"))).toBeUndefined();
    expect(statWithin(root, join(root, "way-out/secret"))).toBeUndefined();
  });

  test("in a root that is named by a link is", async () => {
    symlinkSync(root, join(folder, "link"));
    root = join(folder, "link");
    expect(await read(join(root, "inner/file"))).toBe("root/inner/file\n");
  });
});

describe("[A9] a folder", () => {
  test("lists its folders and files, and nothing that is neither", () => {
    symlinkSync(folder, join(root, "inner/link"));
    spawnSync("mkfifo", [join(root, "inner/fifo")]);
    mkdirSync(join(root, "inner/deeper"));
    expect(namesWithin(root, join(root, "inner"))).toEqual({ folders: ["deeper"], files: ["file"] });
    expect(namesWithin(root, root).folders).toEqual(["inner"]);
  });

  test("that is a link, lies elsewhere or below a link has nothing", () => {
    const none = { folders: [], files: [] };
    symlinkSync(folder, join(root, "out"));
    symlinkSync(join(root, "inner"), join(root, "in"));
    for (const name of ["out", "in", "out/root-beside", "..", "../root-beside", "nowhere", "inner/file"])
      expect([name, namesWithin(root, join(root, name))]).toEqual([name, none]);
  });
});

describe("[A9] a folder that is made", () => {
  test("is private, part by part, and whoever is to own them hears of each", () => {
    const made: string[] = [];
    makeWithin(root, join(root, "inner/a/b"), (path) => made.push(path));
    expect(made).toEqual([join(root, "inner/a"), join(root, "inner/a/b")]);
    for (const path of made) expect(lstatSync(path).mode & 0o777).toBe(0o700);
    makeWithin(root, join(root, "inner/a/b"), () => expect.unreachable());
    makeWithin(root, root, () => expect.unreachable());
  });

  test("takes the place of a link or a file, and what a link led to stays as it was", () => {
    symlinkSync(join(folder, "root-beside"), join(root, "way-out"));
    writeFileSync(join(root, "file"), "");
    for (const name of ["way-out/made", "file/made"]) {
      makeWithin(root, join(root, name));
      expect(lstatSync(join(root, name)).isDirectory()).toBe(true);
    }
    expect(readFileSync(join(folder, "root-beside/secret"), "utf8")).toBe("root-beside/secret\n");
    expect(existsSync(join(folder, "root-beside/made"))).toBe(false);
  });
});
