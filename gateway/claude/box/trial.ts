// [A9] A box like that of any session, tried before the first one: it must come up, and must hold. What it cannot do here is told to the operator,
// with bubblewrap's own words.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { makePrivateFolder } from "../run-folder.ts";
import { openSessionFolder } from "../session-folder.ts";
import { NoBox } from "./bubblewrap.ts";
import { cliInBox } from "./layout.ts";
import type { Mount } from "./mounts.ts";
import { createSessionBox, type BoxMaker } from "./session-box.ts";
import type { FileOwner } from "../ownership.ts";

export interface TrialOptions {
  readonly maker: BoxMaker;
  readonly user: FileOwner;
  readonly dataFolder: string;
  readonly runFolder: string;
  /** What hides the data folder, if a folder of the system holds it. */
  readonly covers: readonly Mount[];
  /** Whether some agent's boxes are to have no network, which takes one right more. */
  readonly network: "open" | "none";
}

/** One line for each thing that must not be. The core pattern is written as it is: where that is possible, another could be. */
const script = `
grep -E '^Cap(Inh|Prm|Eff|Amb):' /proc/self/status | grep -v '0000000000000000$' | sed 's/^/it has capabilities: /'
[ "$(id -u)" = 0 ] && echo 'it runs as root'
pattern=$(cat /proc/sys/kernel/core_pattern)
(printf %s "$pattern" > /proc/sys/kernel/core_pattern) 2>/dev/null && echo 'it can write to /proc/sys'
[ "$(ls -d /proc/[0-9]* | wc -l)" -gt 9 ] && echo 'it sees processes of the host'
[ -e "$1/run" ] && echo 'it sees the data folder'
(: > /usr/sluice-trial) 2>/dev/null && echo 'it can write to /usr'
[ -r "$2" ] && echo 'it can read the CLI'
grep -q '^Seccomp:.*2' /proc/self/status && ! grep -q "^Seccomp_filters:[[:space:]]*$3$" /proc/self/status || echo 'it has all system calls'
(: > "$HOME/trial") || echo 'it cannot write to its home'
(: > /tmp/trial) || echo 'it cannot write to /tmp'
env --default-signal=HUP true || echo 'its env (of GNU coreutils 8.31 or newer) is missing'
echo done
`;

const patienceMs = 20_000;

/** Rejects with `NoBox` if a box does not come up, or does not hold. */
export async function tryBox({ maker, user, dataFolder, runFolder, covers, network }: TrialOptions): Promise<void> {
  const owner = maker.setpriv === undefined ? undefined : user;
  const folder = await makePrivateFolder(runFolder, owner);
  try {
    const session = openSessionFolder(join(folder.path, "session"), { machineID: "", userID: "" }, owner);
    const content = { folder: session, workspace: undefined, mounts: covers, user, env: {} };
    // Nothing is sent: what is mounted as the socket may be anything.
    const apiSocket = network === "none" ? "/dev/null" : undefined;
    const box = createSessionBox(maker, { ...content, login: undefined, apiSocket }, {});
    const [words, stderr] = [join(folder.path, "of-bubblewrap"), join(folder.path, "of-the-box")];
    const env = { HOME: "/session/home", PATH: "/usr/bin:/bin" };
    const unreadable = maker.cli.isUnreadable ? cliInBox : "";
    const entry = box.enter(
      { args: ["-c", script, "sh", dataFolder, unreadable, filtersHere()], env },
      { ...folder, stdin: "/dev/null", stderr, words },
      "/bin/sh",
    );
    const said = await run(entry.file, entry.args, entry.env);
    const faults = said.split("\n").filter((line) => line !== "" && line !== "done");
    if (!said.endsWith("done\n"))
      throw doesNotStart([words, stderr].map((file) => readFileSync(file, "utf8")).join(""));
    if (faults.length > 0) throw new NoBox(`A box does not hold here: ${faults.join("; ")}.`, asOrdinaryUser);
  } finally {
    folder.remove();
  }
}

function run(file: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env, cwd: "/", stdio: ["ignore", "pipe", "ignore"], timeout: patienceMs });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.once("error", reject);
    child.once("close", () => resolve(output));
  });
}

/** How many filters of system calls the gateway itself is under; empty of a kernel before 5.9, which does not say. */
function filtersHere(): string {
  return /^Seccomp_filters:\s*(\d+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "";
}

const asOrdinaryUser =
  "Run the gateway as an ordinary user, on a kernel that lets ordinary users have user namespaces.";

/** The usual reasons, by bubblewrap's words. */
const reasons: readonly (readonly [RegExp, string])[] = [
  [
    /ENOSPC|No space left/,
    "No user namespace is to be had: raise user.max_user_namespaces (sysctl), or run the gateway outside of another sandbox.",
  ],
  [
    /loopback|RTM_NEWADDR|NEWLINK/,
    'A box without a network needs one right more: as root in a container --cap-add NET_ADMIN, or give the agents that are public "box": {"network": "open"}.',
  ],
  [
    /setting up uid map|uid_map/,
    "AppArmor keeps ordinary users from user namespaces (Ubuntu 23.10 and later): install its profile for bwrap, or set kernel.apparmor_restrict_unprivileged_userns=0.",
  ],
  [
    /EPERM|Operation not permitted|Permission denied|No permissions/,
    "This system, or the container, forbids what a box needs. In a container allow user namespaces (Docker: --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined; as root: --cap-add SYS_ADMIN).",
  ],
];

function doesNotStart(words: string): NoBox {
  const said = words.replace("\0", "").trim().split("\n").slice(-3).join(" ");
  const mend = reasons.find(([pattern]) => pattern.test(said))?.[1] ?? asOrdinaryUser;
  return new NoBox(`bubblewrap cannot make a box here${said === "" ? "" : ` (${said})`}.`, mend);
}
