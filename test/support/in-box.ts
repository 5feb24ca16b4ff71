// A command in a box of some mounts, made by the real bubblewrap, as the user that sessions run as.
import { spawnSync } from "node:child_process";
import { hostMounts } from "../../gateway/claude/box/host.ts";
import { bubblewrapOptions, type BoxPlan, type Mount } from "../../gateway/claude/box/mounts.ts";

export const isRoot = process.getuid?.() === 0;

/** Whom a box runs as: of a gateway that is root, whoever owns nothing. */
export const boxUser = isRoot ? { uid: 65_534, gid: 65_534 } : { uid: process.getuid!(), gid: process.getgid!() };

const ids = ["--reuid=65534", "--regid=65534", "--clear-groups"];
const drop = [...ids, "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"];

/** What the shell said there, all of it; with the machine's programs beside the mounts. */
export function inBox(mounts: readonly Mount[], script: string, more: Partial<BoxPlan> = {}): string {
  const form = isRoot ? "root" : "user";
  const plan: BoxPlan = { mounts: [...hostMounts(""), ...mounts], workspace: "/", network: "open", form, ...more };
  const rights = isRoot ? ["setpriv", ...drop, "--"] : [];
  const args = [...bubblewrapOptions(plan), "--", ...rights, "/bin/sh", "-c", script];
  const { stdout, stderr } = spawnSync("bwrap", args, { encoding: "utf8", env: { PATH: "/usr/bin:/bin" } });
  return `${stdout}${stderr}`.trim();
}
