import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hostMounts, isSystem, readable } from "../../../../gateway/claude/box/host.ts";
import { inBox } from "../../../support/in-box.ts";
import { lacksBubblewrap } from "../../../support/programs.ts";

let folder: string;
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "sluice-host-")));
});
afterAll(() => rmSync(folder, { recursive: true }));

function program(path: string): string {
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, "#!/bin/sh\n");
  chmodSync(path, 0o755);
  return path;
}

test("[A9] all of it is to read, and of /etc there is no password, no key and no whole folder", () => {
  const mounts = hostMounts("/usr/bin:/bin");
  expect(mounts.map(({ kind }) => kind).filter((kind) => kind !== "read" && kind !== "link")).toEqual([]);
  const places = mounts.map(({ to }) => to);
  for (const never of [
    "/",
    "/etc",
    "/etc/shadow",
    "/etc/passwd",
    "/etc/ssl",
    "/etc/ssh",
    "/home",
    "/root",
    "/var",
    "/tmp",
  ])
    expect(places).not.toContain(never);
  expect(places).toContain("/usr");
});

describe("the Node of the PATH", () => {
  test("comes with its own installation, if that is one of its own", () => {
    const node = program(join(folder, "versions/v24/bin/node"));
    mkdirSync(join(folder, "versions/v24/lib/node_modules"), { recursive: true });
    symlinkSync(join(folder, "versions/v24"), join(folder, "current"));
    for (const path of [join(node, ".."), join(folder, "current/bin")])
      expect(hostMounts(path).at(-1)).toEqual({
        kind: "read",
        from: join(folder, "versions/v24"),
        to: join(folder, "versions/v24"),
      });
  });

  test("[A9] comes alone if it lies loose in a folder: what is around it may be anything", () => {
    const node = program(join(folder, "home/bin/node"));
    expect(hostMounts(join(node, "..")).at(-1)).toEqual({ kind: "read", from: node, to: node });
  });

  test.each(["", ".", "bin:", "/usr/bin"])("brings nothing with the PATH %j", (path) =>
    expect(hostMounts(path)).toEqual(hostMounts(undefined)),
  );
});

test("what is there is shown where it was named, from where it really lies; what is not is left out", () => {
  writeFileSync(join(folder, "real"), "");
  symlinkSync(join(folder, "real"), join(folder, "link"));
  expect(readable(join(folder, "link"))).toEqual([
    { kind: "read", from: join(folder, "real"), to: join(folder, "link") },
  ]);
  expect(readable(join(folder, "nowhere"))).toEqual([]);
});

test("a folder of the system is one by its whole name", () =>
  expect(["/usr/bin/x", "/usrx/y", "/usr", "/home/usr/x"].map(isSystem)).toEqual([true, false, false, false]));

describe.skipIf(lacksBubblewrap)("in a real box", () => {
  test("[A9] programs, names of hosts and certificates are there; passwords, keys and homes are not", () => {
    const look = (path: string) => inBox([], `ls -d ${path} >/dev/null 2>&1 && echo there || echo gone`);
    for (const path of ["/bin/sh", "/usr/bin/env", "/etc/hosts", "/etc/nsswitch.conf"])
      expect([path, look(path)]).toEqual([path, "there"]);
    for (const path of ["/etc/shadow", "/etc/passwd", "/etc/ssh", "/home", "/root", "/var", "/sys", "/run", folder])
      expect([path, look(path)]).toEqual([path, "gone"]);
    expect(inBox([], "getent hosts localhost")).toContain("localhost");
  });
});

test("the one that npm puts first on PATH, a link, hides no installation behind it", () => {
  const node = program(join(folder, "versions/v22/bin/node"));
  mkdirSync(join(folder, "versions/v22/lib/node_modules"), { recursive: true });
  const linked = join(folder, "project/node_modules/.bin");
  mkdirSync(linked, { recursive: true });
  symlinkSync(program(join(folder, "project/node_modules/node/bin/node")), join(linked, "node"));
  const own = hostMounts(`${linked}:${join(node, "..")}`).filter(({ to }) => to.startsWith(folder));
  const installation = join(folder, "versions/v22");
  expect(own).toEqual([{ kind: "read", from: installation, to: installation }]);
});
