import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { giveAll } from "../../../gateway/claude/ownership.ts";
import { deviceOf, openSessionFolder } from "../../../gateway/claude/session-folder.ts";
import { boxUser, isRoot } from "../../support/in-box.ts";

let folder: string;
let outside: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "sluice-folder-")));
  outside = join(folder, "outside");
  mkdirSync(outside);
  writeFileSync(join(outside, "secret"), "secret");
});
afterEach(() => rmSync(folder, { recursive: true }));

const device = { machineID: "m", userID: "u" };
const owner = isRoot ? boxUser : undefined;
const open = () => openSessionFolder(join(folder, "session"), device, owner);
const uidOf = (path: string) => lstatSync(path).uid;
/** Of what lies outside, to which a session may have planted links: names, content, owners. */
const outsideNow = () => ({
  names: readdirSync(outside),
  secret: readFileSync(join(outside, "secret"), "utf8"),
  owners: [outside, join(outside, "secret")].map(uidOf),
});
const untouched = { names: ["secret"], secret: "secret", owners: [process.getuid!(), process.getuid!()] };

describe("a session's folder", () => {
  test("[A9] has its parts, private, for the user of its box; the folder that holds them is the gateway's", () => {
    const { path, part } = open();
    expect(readdirSync(path).toSorted()).toEqual(["claude", "home", "workspace"]);
    for (const name of ["claude", "home", "workspace"] as const)
      expect([statSync(part(name)).mode & 0o777, uidOf(part(name))]).toEqual([0o700, boxUser.uid]);
    expect([statSync(path).mode & 0o777, uidOf(path)]).toEqual([0o700, process.getuid!()]);
  });

  test("says of what installation it is, and keeps what the CLI has made of that", () => {
    const file = join(open().part("claude"), ".claude.json");
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(device);
    expect([statSync(file).mode & 0o777, uidOf(file)]).toEqual([0o600, boxUser.uid]);
    writeFileSync(file, '{"machineID":"m","more":1}');
    open();
    expect(readFileSync(file, "utf8")).toBe('{"machineID":"m","more":1}');
  });

  test("keeps what a session has left, and gives all of it to the user of the box", () => {
    const { part } = open();
    mkdirSync(join(part("home"), "deep/er"), { recursive: true });
    writeFileSync(join(part("home"), "deep/er/file"), "kept");
    open();
    expect(readFileSync(join(part("home"), "deep/er/file"), "utf8")).toBe("kept");
    expect(uidOf(join(part("home"), "deep/er/file"))).toBe(boxUser.uid);
  });

  test.each([".claude.json", "new/settings.json"])("[A9] a link at %s is not written through", (name) => {
    const { part, makeMountpoint } = open();
    rmSync(join(part("claude"), ".claude.json"));
    for (const target of [join(outside, "secret"), join(outside, "new")]) {
      const at = join(part("claude"), name.split("/")[0]!);
      rmSync(at, { force: true, recursive: true });
      symlinkSync(target, at);
      open();
      if (name.includes("/")) makeMountpoint("claude", name, "file");
      expect(outsideNow()).toEqual(untouched);
    }
  });

  test("[A9] one of its parts that was made a link is made a folder again", () => {
    const { path, part } = open();
    rmSync(part("home"), { recursive: true });
    symlinkSync(outside, part("home"));
    open();
    expect(lstatSync(join(path, "home")).isDirectory()).toBe(true);
    expect(outsideNow()).toEqual(untouched);
  });

  test("[A9] what a link in it leads to is given to nobody", () => {
    const { part } = open();
    symlinkSync(outside, join(part("home"), "link"));
    symlinkSync(join(outside, "secret"), join(part("workspace"), "link"));
    open();
    expect(outsideNow()).toEqual(untouched);
  });
});

describe("a mountpoint", () => {
  test("is an empty file, or a folder, for the user of the box; one that is there stays", () => {
    const { part, makeMountpoint } = open();
    makeMountpoint("home", ".config/tool/settings", "file");
    makeMountpoint("home", ".cache/tool", "folder");
    const file = join(part("home"), ".config/tool/settings");
    expect([readFileSync(file, "utf8"), uidOf(file)]).toEqual(["", boxUser.uid]);
    expect(uidOf(join(part("home"), ".config"))).toBe(boxUser.uid);
    writeFileSync(file, "a file over which one is mounted");
    writeFileSync(join(part("home"), ".cache/tool/x"), "");
    makeMountpoint("home", ".config/tool/settings", "file");
    makeMountpoint("home", ".cache/tool", "folder");
    expect(readFileSync(file, "utf8")).toBe("a file over which one is mounted");
    expect(readdirSync(join(part("home"), ".cache/tool"))).toEqual(["x"]);
  });

  const inTheWay: [string, (at: string) => void][] = [
    ["a link to a file", (at) => symlinkSync(join(outside, "secret"), at)],
    ["a link to a folder", (at) => symlinkSync(outside, at)],
    ["a link to nothing", (at) => symlinkSync(join(outside, "nothing"), at)],
    ["a folder with something in it", (at) => mkdirSync(join(at, "x"), { recursive: true })],
    ["a file", (at) => writeFileSync(at, "x")],
  ];
  test.each(inTheWay)("[A9] takes the place of %s", (_, plant) => {
    const { part, makeMountpoint } = open();
    for (const kind of ["file", "folder"] as const) {
      const at = join(part("home"), kind);
      plant(at);
      makeMountpoint("home", kind, kind);
      const stat = lstatSync(at);
      expect(kind === "file" ? stat.isFile() : stat.isDirectory()).toBe(true);
    }
    expect(outsideNow()).toEqual(untouched);
  });

  test.each(["file", "folder"] as const)(
    "[A9] a %s lies in the session's own folder, also where a link was on the way to something like it",
    (kind) => {
      const { part, makeMountpoint } = open();
      mkdirSync(join(outside, "folder"));
      symlinkSync(outside, join(part("home"), "way"));
      makeMountpoint("home", kind === "file" ? "way/secret" : "way/folder", kind);
      expect(lstatSync(join(part("home"), "way")).isDirectory()).toBe(true);
      rmSync(join(outside, "folder"), { recursive: true });
      expect(outsideNow()).toEqual(untouched);
    },
  );
});

describe("ownership", () => {
  test("[A9] of a folder that is a link by now nothing is given away but the link", () => {
    const link = join(folder, "link");
    symlinkSync(outside, link);
    giveAll(link, boxUser);
    expect(uidOf(link)).toBe(boxUser.uid);
    expect(outsideNow()).toEqual(untouched);
  });

  test("of what its user has already nothing is changed", () => {
    const file = join(outside, "secret");
    chmodSync(file, 0o4755);
    linkSync(file, join(folder, "second"));
    giveAll(outside, { uid: process.getuid!(), gid: process.getgid!() });
    // A change of the owner would take that bit away.
    expect(statSync(file).mode & 0o7777).toBe(0o4755);
  });
});

describe("the device", () => {
  test("is the operator's own CLI's", () => {
    const file = join(folder, ".claude.json");
    writeFileSync(file, JSON.stringify({ ...device, oauthAccount: { emailAddress: "who@example.org" } }));
    expect(deviceOf(folder, file)).toEqual(device);
    expect(existsSync(join(folder, "device.json"))).toBe(false);
  });

  test.each(["", "{", "{}", '{"machineID":1}'])("is made once if that has none but %j", (content) => {
    const file = join(folder, ".claude.json");
    writeFileSync(file, content);
    const made = deviceOf(folder, file);
    expect(made.machineID).toMatch(/^[0-9a-f]{64}$/);
    expect(deviceOf(folder, join(folder, "nowhere"))).toEqual(made);
    expect(statSync(join(folder, "device.json")).mode & 0o777).toBe(0o600);
  });
});
