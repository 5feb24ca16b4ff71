import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { asArgsFile, bubblewrapOptions, type BoxPlan, type Mount } from "../../../../gateway/claude/box/mounts.ts";
import { boxUser, inBox } from "../../../support/in-box.ts";
import { lacksBubblewrap } from "../../../support/programs.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "sluice-mounts-"));
  for (const name of ["open/inner", "other"]) mkdirSync(join(folder, name), { recursive: true });
  for (const name of ["open/file", "open/inner/secret", "other/file"]) writeFileSync(join(folder, name), `${name}\n`);
  for (const name of ["open", "open/inner", "other"]) chownSync(join(folder, name), boxUser.uid, boxUser.gid);
});
afterAll(() => rmSync(folder, { recursive: true }));

const plan = (mounts: readonly Mount[], more: Partial<BoxPlan> = {}): BoxPlan => ({
  mounts,
  workspace: "/work",
  network: "open",
  form: "user",
  ...more,
});

/** Where the options put something, in their order. */
function places(options: readonly string[]): string[] {
  const at = (name: string, value: number) =>
    options.flatMap((option, index) => (option === name ? [[index, options[index + value]!] as const] : []));
  const all = [
    ...at("--ro-bind", 2),
    ...at("--bind", 2),
    ...at("--tmpfs", 1),
    ...at("--dir", 1),
    ...at("--symlink", 2),
  ];
  return all.toSorted(([a], [b]) => a - b).map(([, place]) => place);
}

describe("the options", () => {
  test("[A9] what lies deeper comes later, however the mounts are ordered, and each parent is made first", () => {
    const mounts: Mount[] = [
      { kind: "memory", to: "/a/b/c/d", bytes: 1, mode: "0555" },
      { kind: "read", from: "/x", to: "/a/b" },
      { kind: "link", target: "usr/bin", to: "/bin" },
      { kind: "write", from: "/y", to: "/a" },
    ];
    expect(places(bubblewrapOptions(plan(mounts)))).toEqual(["/bin", "/a", "/a/b", "/a/b/c", "/a/b/c/d", "/proc/sys"]);
  });

  test("[A9] of two mounts at one place the later one counts", () => {
    const mounts: Mount[] = [
      { kind: "write", from: "/y", to: "/a" },
      { kind: "memory", to: "/a", bytes: 1, mode: "0555" },
    ];
    const options = bubblewrapOptions(plan(mounts));
    expect(options.lastIndexOf("--tmpfs")).toBeGreaterThan(options.lastIndexOf("--bind"));
  });

  test("[A9] parents are open to the box's user whatever they are on the host", () => {
    const options = bubblewrapOptions(plan([{ kind: "read", from: "/root/x/y", to: "/root/x/y" }]));
    expect(options.join(" ")).toContain("--perms 0755 --dir /root --perms 0755 --dir /root/x --ro-bind /root/x/y");
  });

  test.each([
    ["user", ["--unshare-user", "--disable-userns"], ["CAP_SETUID"]],
    ["root", ["CAP_SETUID", "CAP_SETGID"], ["--unshare-user", "--disable-userns"]],
  ] as const)("[A9] the form of %s gives up what it has not asked for", (form, has, hasNot) => {
    const options = bubblewrapOptions(plan([], { form }));
    for (const option of [...has, "--unshare-pid", "--unshare-ipc", "--die-with-parent"])
      expect(options).toContain(option);
    for (const option of hasNot) expect(options).not.toContain(option);
    expect(options.slice(options.indexOf("--cap-drop")).slice(0, 2)).toEqual(["--cap-drop", "ALL"]);
  });

  test("[A9] the network is the host's, or none", () => {
    expect(bubblewrapOptions(plan([]))).not.toContain("--unshare-net");
    expect(bubblewrapOptions(plan([], { network: "none" }))).toContain("--unshare-net");
  });

  test("a file of options ends each with NUL, so that a path may hold any other sign", () =>
    expect(asArgsFile(["--bind", "/a b\n'c\"", "/d"])).toBe("--bind\0/a b\n'c\"\0/d\0"));
});

describe.skipIf(lacksBubblewrap)("in a real box", () => {
  const open = (kind: "read" | "write"): Mount => ({ kind, from: join(folder, "open"), to: join(folder, "open") });

  test("[A9] nothing is there but what is mounted, and that as it is mounted", () => {
    expect(inBox([open("read")], `ls ${folder}; cat ${folder}/open/file`)).toBe("open\nopen/file");
    expect(inBox([open("read")], `echo x > ${folder}/open/file`)).toContain("Read-only");
    expect(inBox([open("write")], `echo x > ${folder}/open/new && cat ${folder}/open/new`)).toBe("x");
    expect(readFileSync(join(folder, "open/new"), "utf8")).toBe("x\n");
    expect(inBox([], "ls / /home /root /srv /var")).not.toMatch(/sluice|data/);
  });

  test("[A9] a cover hides what it stands over, and can be neither taken away nor moved", () => {
    const cover: Mount = { kind: "memory", to: join(folder, "open/inner"), bytes: 4096, mode: "0555" };
    const attack = `cd ${folder}/open; ls inner; mv inner away; rmdir inner; umount inner; unshare -rm umount inner; ls inner; cat inner/secret`;
    const said = inBox([open("write"), cover], attack);
    expect(said).not.toContain("open/inner/secret\n");
    expect(said).toContain("No such file");
    expect(readFileSync(join(folder, "open/inner/secret"), "utf8")).toBe("open/inner/secret\n");
  });

  test("[A9] the box has no rights, sees no process of the host, and changes nothing of its own frame", () => {
    const zero = "0000000000000000";
    const status = inBox([], "cat /proc/self/status");
    for (const set of ["Inh", "Prm", "Eff", "Amb"]) expect(status).toContain(`Cap${set}:\t${zero}`);
    expect(inBox([], "id -u")).toBe(String(boxUser.uid));
    expect(Number(inBox([], "ls -d /proc/[0-9]* | wc -l"))).toBeLessThan(10);
    for (const path of ["/new", "/dev/new", "/usr/new", "/proc/sys/kernel/core_pattern"])
      expect([path, inBox([], `echo x > ${path}`)]).toEqual([path, expect.stringMatching(/Read-only|denied/)]);
  });

  test("[A9] without a network there is the box's own loopback, and no other way", () => {
    const names = (network: "open" | "none") =>
      inBox([], "cut -d: -s -f1 /proc/net/dev | tr -d ' '", { network }).split("\n");
    expect(names("none")).toEqual(["lo"]);
    expect(names("open")).toContain("lo");
  });
});
