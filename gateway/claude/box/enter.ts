// [A9, P2] How a process gets into its box. The shell opens what the CLI alone is to hold (stdin, stderr, the terminal, its environment) under numbers
// that bubblewrap's own processes close, so that none is to be found in the box's first process, which its tools can look into.
import type { Command } from "../command.ts";
import { quoted, type Entry, type EntryFolder } from "../entry.ts";
import type { FileOwner } from "../ownership.ts";
import { keyringFilter } from "./call-filter.ts";
import { asArgsFile, bubblewrapOptions, type BoxPlan } from "./mounts.ts";

export interface BoxedEntry {
  readonly bubblewrap: string;
  readonly plan: BoxPlan;
  /** As the box has it. */
  readonly cli: string;
  /** For the gateway as root: its `setpriv`, and the user that the box runs as. */
  readonly drop?: { readonly setpriv: string; readonly user: FileOwner } | undefined;
}

/** Of bubblewrap and of the shell before the CLI; the CLI has its own. */
const plainPath = "/usr/bin:/bin";

/**
 * The terminal hangs up when the CLI, which alone has it open, is gone; bubblewrap must live on for as long as it takes to say how that ended, and
 * goes with the gateway by --die-with-parent. What is ignored stays so in all that is started, unless something takes it back (env(1) of GNU).
 */
const ignoreHangUp = "trap '' HUP";
const heedHangUp = "env --default-signal=HUP";

/**
 * Its environment comes as a script, so that it is in no argument and in no other process's environment. The NUL is the end of what bubblewrap, and
 * this, have to say: no tool has run yet.
 */
const takeOver = `eval "$(cat <&3)"; printf '\\0' >&2; exec ${heedHangUp} "$0" "$@" <&4 >&5 2>&8 3<&- 4<&- 5>&- 8>&-`;

/**
 * The command line of a boxed process. Writes the files that the shell opens, and removes, at its start. The box's first process has `folder.words` for
 * stderr, and tools may write there what they like: only what comes before a NUL is bubblewrap's.
 */
export function boxedEntry(
  { bubblewrap, plan, cli, drop }: BoxedEntry,
  command: Pick<Command, "args" | "env">,
  folder: EntryFolder,
): Entry {
  const kept = {
    environment: takeOverScript(command.env, plan.workspace),
    options: asArgsFile([...bubblewrapOptions(plan), "--seccomp", "7"]),
    calls: keyringFilter(),
  };
  folder.keep(kept);
  const path = (name: keyof typeof kept) => quoted(`${folder.path}/${name}`);
  const open = `exec 3<${path("environment")} 4<${quoted(folder.stdin)} 5>&1 6<${path("options")} 7<${path("calls")} 8>${quoted(folder.stderr)}`;
  const forget = `rm -f ${path("environment")} ${path("options")} ${path("calls")}`;
  const script = `${ignoreHangUp}; ${open}; ${forget}; exec "$0" "$@" </dev/null >/dev/null 2>${quoted(folder.words)}`;
  const rights = drop ? dropRights(drop) : [];
  return {
    file: "/bin/sh",
    args: ["-c", script, bubblewrap, "--args", "6", "--", ...rights, "/bin/sh", "-c", takeOver, cli, ...command.args],
    env: { PATH: plainPath, ...folder.mark },
    cwd: "/",
    isBoxed: true,
  };
}

function dropRights({ setpriv, user }: NonNullable<BoxedEntry["drop"]>): string[] {
  const ids = [`--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups"];
  return [setpriv, ...ids, "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"];
}

/** bubblewrap itself would go there as root without its rights, to whom a folder of the box's user may be closed. */
function takeOverScript(env: Readonly<Record<string, string>>, workspace: string): string {
  const exports = Object.entries(env).map(([name, value]) => `export ${name}=${quoted(value)}\n`);
  return `${exports.join("")}cd ${quoted(workspace)} || exit 126\n`;
}
