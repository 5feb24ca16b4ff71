import {
  chmodSync,
  chownSync,
  existsSync,
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
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { coversFor, reachOf, ReachFault, type ReachContext } from "../../../gateway/agents/reach.ts";
import type { Mount } from "../../../gateway/claude/box/mounts.ts";
import type { BoxConfig } from "../../../gateway/protocol/box.ts";
import { boxUser, inBox } from "../../support/in-box.ts";
import { lacksBubblewrap } from "../../support/programs.ts";
import { readAgent } from "../../support/real-cli.ts";

let folder: string;
let agents: { name: string; workspace?: string; box?: Partial<BoxConfig> }[];
let hidden: string[];
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "sluice-reach-")));
  for (const name of ["data/sessions", "data/workspace", "data/worktrees/w", "home", "work", "other/inner", "files"])
    mkdirSync(join(folder, name), { recursive: true });
  for (const name of ["data/key", "home/.gitconfig", "files/a", "other/secret"])
    writeFileSync(join(folder, name), `${name}\n`);
  agents = [
    { name: "tester", workspace: at("work") },
    { name: "other", workspace: at("other") },
  ];
  hidden = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

const at = (...parts: string[]) => join(folder, ...parts);
const context = (): ReachContext => ({
  agents: agents.map(({ name, ...fields }) => readAgent({ name, ...fields })),
  dataFolder: at("data"),
  hidden,
  home: at("home"),
});

const reach = (box: Partial<BoxConfig> = {}, own?: string) =>
  reachOf(readAgent({ name: "tester", workspace: at("work"), box }), own, context());

/** The fault's field, and its words. */
function faultOf(box: Partial<BoxConfig>, own?: string): { field: string; words: string } {
  try {
    reach(box, own);
  } catch (error) {
    if (!(error instanceof ReachFault)) throw error;
    return { field: error.field, words: error.mend === "" ? "nothing to do" : error.message };
  }
  return { field: "none", words: "" };
}

function listenAt(path: string): Promise<void> {
  const server = createServer();
  onTestFinished(() => void server.close());
  return new Promise((resolve) => server.listen(path, resolve));
}

describe("what a box holds", () => {
  test("is the workspace to write, or to read, by its real path", () => {
    symlinkSync(at("work"), at("link"));
    const mount = (kind: string) => [{ kind, from: at("work"), to: at("work") }];
    expect(reach({}, at("link")).mounts).toEqual(mount("write"));
    expect(reach({ workspace: "read" }, at("work")).mounts).toEqual(mount("read"));
    expect(reach().mounts).toEqual([]);
  });

  test("is what is named, where it is named, from where it really lies", () => {
    symlinkSync(at("files"), at("link"));
    expect(reach({ read: [`${at("link")}/`], write: [at("files/a")] }).mounts).toEqual([
      { kind: "read", from: at("files"), to: at("link") },
      { kind: "write", from: at("files/a"), to: at("files/a") },
    ]);
  });

  test("of the gateway's home it is in the session's, over what is made for it there", () => {
    mkdirSync(at("home/.cache/tool"), { recursive: true });
    expect(reach({ read: ["~/.gitconfig"], write: ["~/.cache/tool"] })).toEqual({
      mounts: [
        { kind: "read", from: at("home/.gitconfig"), to: "/session/home/.gitconfig" },
        { kind: "write", from: at("home/.cache/tool"), to: "/session/home/.cache/tool" },
      ],
      inHome: [
        { name: ".gitconfig", kind: "file" },
        { name: ".cache/tool", kind: "folder" },
      ],
    });
  });

  test("is a device, and nothing else that calls itself one", () => {
    expect(reach({ devices: ["/dev/zero"] }).mounts).toEqual([{ kind: "device", from: "/dev/zero", to: "/dev/zero" }]);
    expect(faultOf({ devices: ["/dev/shm"] })).toMatchObject({ field: "box.devices.0" });
    expect(faultOf({ devices: ["/dev/nowhere"] })).toMatchObject({ field: "box.devices.0" });
  });

  test("[A9] of the data folder it is a workspace or a worktree in there, and nothing else", () => {
    for (const name of ["data/workspace", "data/worktrees/w"])
      expect(reach({}, at(name)).mounts).toEqual([{ kind: "write", from: at(name), to: at(name) }]);
  });
});

describe("[A9] a path is refused by its field", () => {
  const cases: [string, () => string | Promise<string>, RegExp][] = [
    ["what does not exist", () => at("nowhere"), /does not exist/],
    ["a link that leads nowhere", () => (symlinkSync("/nowhere", at("l")), at("l")), /does not exist/],
    ["a link to itself", () => (symlinkSync(at("l"), at("l")), at("l")), /does not exist/],
    ["the root", () => "/", /system's own/],
    ["a link to the root", () => (symlinkSync("/", at("l")), at("l")), /system's own/],
    ["/proc", () => "/proc", /system's own/],
    ["what is in /proc", () => "/proc/1/cmdline", /system's own/],
    ["/sys/kernel", () => "/sys/kernel", /system's own/],
    ["/dev", () => "/dev", /system's own/],
    ["/run", () => "/run", /system's own/],
    ["a link into /proc", () => (symlinkSync("/proc/1", at("l")), at("l")), /system's own/],
    ["the data folder", () => at("data"), /data folder/],
    ["what is in the data folder", () => at("data/key"), /data folder/],
    ["a workspace in the data folder", () => at("data/workspace"), /data folder/],
    ["a folder that holds the data folder", () => folder, /data folder/],
    ["a link into the data folder", () => (symlinkSync(at("data/sessions"), at("l")), at("l")), /data folder/],
    ["a link in the home into the data folder", () => (symlinkSync(at("data"), at("home/d")), "~/d"), /data folder/],
    ["the workspace of another agent", () => at("other"), /workspace of the agent "other"/],
    ["what is in the workspace of another agent", () => at("other/secret"), /workspace of the agent "other"/],
    [
      "what is in the workspace of another agent, which that one names by a link",
      () => {
        symlinkSync(at("other"), at("way"));
        agents[1] = { name: "other", workspace: at("way") };
        return at("other/inner");
      },
      /workspace of the agent "other"/,
    ],
    [
      "a folder with a hidden file",
      () => {
        mkdirSync(at("secrets"));
        writeFileSync(at("secrets/a"), "");
        hidden = [at("secrets/a")];
        return at("secrets");
      },
      /holds .*secrets\/a/,
    ],
    ["a socket", async () => (await listenAt(at("s")), at("s")), /is a socket/],
    [
      "a link to a socket",
      async () => (await listenAt(at("s")), symlinkSync(at("s"), at("l")), at("l")),
      /is a socket/,
    ],
    ["Docker's socket", async () => (await listenAt(at("docker.sock")), at("docker.sock")), /root of this machine/],
  ];
  test.each(cases)("%s", async (_, make, words) => {
    const path = await make();
    for (const field of ["read", "write"] as const) {
      const fault = faultOf({ [field]: [at("files"), path] });
      expect(fault).toEqual({ field: `box.${field}.1`, words: expect.stringMatching(words) as string });
      expect(fault.words).toContain(path);
    }
  });

  test("Docker's socket is there for an agent that says so; another socket is not", async () => {
    await Promise.all([listenAt(at("docker.sock")), listenAt(at("other.sock"))]);
    const named = { docker: true, write: [at("docker.sock")] };
    expect(reach(named).mounts).toEqual([{ kind: "write", from: at("docker.sock"), to: at("docker.sock") }]);
    expect(faultOf({ docker: true, write: [at("other.sock")] }).words).toContain("is a socket");
  });

  test("what is in the agent's own workspace is its own, also if another agent's lies around it", () => {
    mkdirSync(at("other/mine/x"), { recursive: true });
    agents[0] = { name: "tester", workspace: at("other/mine") };
    const agent = readAgent({ name: "tester", workspace: at("other/mine"), box: { read: [at("other/mine/x")] } });
    expect(() => reachOf(agent, undefined, context())).not.toThrow();
  });
});

describe("[A9] a workspace is refused", () => {
  const cases: [string, () => string, RegExp][] = [
    ["that is the root", () => "/", /system's own/],
    ["in /proc", () => "/proc/self", /system's own/],
    ["that is gone", () => at("nowhere"), /does not exist/],
    ["that is the data folder", () => at("data"), /data folder/],
    ["that is other sessions'", () => at("data/sessions"), /data folder/],
    ["that is a link into the data folder", () => (symlinkSync(at("data/sessions"), at("l")), at("l")), /data folder/],
    [
      "that became a link into the data folder after it was checked",
      () => {
        reach({}, at("work"));
        rmSync(at("work"), { recursive: true });
        symlinkSync(at("data"), at("work"));
        return at("work");
      },
      /data folder/,
    ],
  ];
  test.each(cases)("%s", (_, make, words) =>
    expect(faultOf({}, make())).toEqual({ field: "workspace", words: expect.stringMatching(words) as string }),
  );

  test("a name that only begins like the data folder's is another folder", () => {
    mkdirSync(at("data-beside"));
    expect(reach({ read: [at("data-beside")] }, at("data-beside")).mounts).toHaveLength(2);
  });
});

describe("[A9] a link that a session may have planted is not followed", () => {
  const swapped = (name: string, target: string) => {
    rmSync(at(name), { recursive: true });
    symlinkSync(target, at(name));
  };

  test("in the place of a workspace that lies in another agent's", () => {
    agents = [
      { name: "tester", workspace: at("other/inner") },
      { name: "other", workspace: at("other") },
    ];
    expect(reach({}, at("other/inner")).mounts).toHaveLength(1);
    swapped("other/inner", at("home"));
    expect(faultOf({}, at("other/inner"))).toMatchObject({ field: "workspace" });
  });

  test("in the place of what is opened, whoever of the agents may write there", () => {
    mkdirSync(at("shared/docs/deep"), { recursive: true });
    agents[1]!.box = { write: [at("shared")] };
    expect(reach({ read: [at("shared/docs/deep")] }).mounts).toHaveLength(1);
    mkdirSync(at("home/deep"));
    swapped("shared/docs", at("home"));
    expect(faultOf({ read: [at("shared/docs/deep")] })).toEqual({
      field: "box.read.0",
      words: expect.stringContaining(at("shared/docs")) as string,
    });
    // Nobody but the operator has written this one.
    symlinkSync(at("files"), at("link"));
    expect(reach({ read: [at("link")] }).mounts).toHaveLength(1);
  });

  test("in the agent's own workspace, unless that is only to read", () => {
    mkdirSync(at("work/docs"));
    swapped("work/docs", at("home"));
    expect(faultOf({ read: [at("work/docs/.gitconfig")] })).toMatchObject({ field: "box.read.0" });
    agents[0]!.box = { workspace: "read" };
    expect(reach({ workspace: "read", read: [at("work/docs/.gitconfig")] }).mounts).toHaveLength(1);
  });

  test("by a link of the operator's that leads to it", () => {
    mkdirSync(at("work/docs"));
    symlinkSync(at("work/docs"), at("link"));
    expect(reach({ read: [at("link")] }).mounts).toHaveLength(1);
    swapped("work/docs", at("home"));
    expect(faultOf({ read: [at("link")] }).words).toContain(at("work/docs"));
  });

  test("nor to the folder that is shared itself, which the operator may well have named by a link", () => {
    symlinkSync(at("work"), at("way"));
    agents[0] = { name: "tester", workspace: at("way") };
    expect(reach({ read: [at("way")] }, at("way")).mounts).toHaveLength(2);
  });
});

describe("covers", () => {
  const mount = (kind: "read" | "write", name: string, to = at(name)): Mount => ({ kind, from: at(name), to });
  const hole = (name: string, to = at(name)): Mount => ({ kind: "memory", to, bytes: 4096, mode: "0555" });
  const covers = (mounts: readonly Mount[], own?: string) => coversFor(mounts, own, context());

  test("[A9] stand over what a mount would show of the data folder, of hidden files and of other agents' workspaces", () => {
    hidden = [at("home/.gitconfig"), at("home/.claude")];
    const all: Mount[] = [
      hole("data"),
      { kind: "read", from: "/dev/null", to: at("home/.gitconfig") },
      hole("work"),
      hole("other"),
    ];
    expect(covers([{ kind: "read", from: folder, to: folder }])).toEqual(all);
  });

  test("are none where nothing is shown, and none over the agent's own workspace, or what it shares with another", () => {
    expect(covers([mount("write", "work"), mount("read", "files")], at("work"))).toEqual([]);
    expect(covers([mount("write", "other/inner")], at("other/inner"))).toEqual([]);
  });

  test("[A9] what holds a covered folder cannot be moved away, if a session may write there", () => {
    mkdirSync(at("work/a/b"), { recursive: true });
    agents[1] = { name: "other", workspace: at("work/a/b") };
    agents = [agents[1]];
    const wide = { kind: "write", from: folder, to: folder } as const;
    expect(covers([wide]).filter(({ to }) => to.startsWith(at("work")))).toEqual([
      mount("write", "work"),
      mount("write", "work/a"),
      hole("work/a/b"),
    ]);
  });

  test("[A9] stand wherever it is shown, also under another name", () => {
    agents = [{ name: "other", workspace: at("files/inner") }];
    mkdirSync(at("files/inner"));
    expect(covers([mount("read", "files", "/elsewhere"), mount("write", "files", "/session/home/files")])).toEqual([
      hole("files/inner", "/elsewhere/inner"),
      hole("files/inner", "/session/home/files/inner"),
    ]);
  });

  test("[A9] of what lies in another hidden folder there is one cover, over that: nothing uncovers it again", () => {
    hidden = [at("data/sluice.config.json"), at("home"), at("home/.gitconfig")];
    writeFileSync(at("data/sluice.config.json"), "{}");
    agents = [{ name: "other", workspace: at("data/workspace") }];
    const wide = { kind: "write", from: folder, to: folder } as const;
    expect(covers([wide])).toEqual([hole("data"), hole("home")]);
  });

  test("[A9] but in a part of the data folder that is a workspace they stand over what is hidden there", () => {
    hidden = [at("data/workspace/sluice.config.json")];
    writeFileSync(at("data/workspace/sluice.config.json"), "{}");
    agents = [];
    expect(covers([mount("write", "data/workspace")], at("data/workspace"))).toEqual([
      { kind: "read", from: "/dev/null", to: at("data/workspace/sluice.config.json") },
    ]);
  });

  test("what a narrower mount opens to read stays so: no pin of the wider one writes over it", () => {
    mkdirSync(at("work/a/b/c"), { recursive: true });
    agents = [{ name: "other", workspace: at("work/a/b/c") }];
    expect(covers([mount("write", "work"), mount("read", "work/a/b")])).toEqual([
      mount("write", "work/a"),
      hole("work/a/b/c"),
    ]);
  });

  describe.skipIf(lacksBubblewrap)("in a real box", () => {
    test("[A9] a workspace around all of it shows nothing of it, and lets nothing of it be moved", () => {
      mkdirSync(at("deep/er/data"), { recursive: true });
      writeFileSync(at("deep/er/data/key"), "the key\n");
      writeFileSync(at("deep/er/data/sluice.config.json"), "the key\n");
      for (const name of ["", "deep", "deep/er", "deep/er/data", "home", "other"])
        chownSync(at(name), boxUser.uid, boxUser.gid);
      hidden = [at("deep/er/data/sluice.config.json"), at("home/.gitconfig")];
      const around = { ...context(), dataFolder: at("deep/er/data") };
      const mounts: Mount[] = [{ kind: "write", from: folder, to: folder }];
      const attack = `cd ${folder}; mv deep away; mv deep/er away; rm -rf deep other home; find . -type f | xargs cat`;
      const said = inBox([...mounts, ...coversFor(mounts, undefined, around)], attack);
      expect(said).toContain("files/a\n");
      expect(said).not.toMatch(/^the key$|^other\/secret$|^home\/.gitconfig$/m);
      expect(existsSync(at("deep/er/data"))).toBe(true);
      expect(readFileSync(at("deep/er/data/key"), "utf8")).toBe("the key\n");
      expect(readFileSync(at("home/.gitconfig"), "utf8")).toBe("home/.gitconfig\n");
    });

    test("a workspace in a covered data folder is there", () => {
      chmodSync(folder, 0o755);
      chownSync(at("data/worktrees/w"), boxUser.uid, boxUser.gid);
      const wide: Mount = { kind: "read", from: folder, to: folder };
      const mounts = [wide, mount("write", "data/worktrees/w")];
      const said = inBox(
        [...mounts, ...coversFor([wide], at("data/worktrees/w"), context())],
        `cd ${at("data/worktrees/w")} && echo here > file && cat file; ls ${at("data")} ${at("data/worktrees")}`,
      );
      expect(said).toBe(`here\n${at("data")}:\nworktrees\n\n${at("data/worktrees")}:\nw`);
    });
  });
});
