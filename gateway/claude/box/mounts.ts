// [A9] A plan of what a box holds → bubblewrap's options (bwrap(1)). Pure.
import { dirname } from "node:path";

export type Mount =
  | { readonly kind: "read" | "write" | "device"; readonly from: string; readonly to: string }
  | { readonly kind: "memory"; readonly to: string; readonly bytes: number; readonly mode: string }
  | { readonly kind: "link"; readonly target: string; readonly to: string }
  | { readonly kind: "folder"; readonly to: string };

export interface BoxPlan {
  readonly mounts: readonly Mount[];
  readonly workspace: string;
  readonly network: "open" | "none";
  /**
   * `user`: the gateway is an ordinary user, and the box has a user namespace without any capability. `root`: the gateway is root; bubblewrap makes
   * the mounts with its rights, and keeps the two capabilities that `setpriv` needs to give up everything else.
   */
  readonly form: "root" | "user";
}

/** The options in the order that bubblewrap carries them out: what lies deeper comes later, so nothing is hidden by what holds it. */
export function bubblewrapOptions({ mounts, network, form }: BoxPlan): string[] {
  const sorted = mounts.toSorted((a, b) => depth(a.to) - depth(b.to));
  return [
    "--dev",
    "/dev",
    "--proc",
    "/proc",
    // A parent that bubblewrap made itself would be closed to the box's own user if it is closed on the host.
    ...withParents(sorted),
    // Written there, a path is run by the kernel as root of the host.
    "--ro-bind",
    "/proc/sys",
    "/proc/sys",
    // Not to be filled: they are memory without a bound.
    "--remount-ro",
    "/dev",
    "--remount-ro",
    "/",
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup-try",
    "--hostname",
    "sluice",
    ...(network === "none" ? ["--unshare-net"] : []),
    ...(form === "user" ? ["--unshare-user", "--disable-userns"] : []),
    "--cap-drop",
    "ALL",
    ...(form === "root" ? ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"] : []),
    "--die-with-parent",
    "--chdir",
    "/",
  ];
}

function withParents(sorted: readonly Mount[]): string[] {
  const made = new Set(["/", "/dev", "/proc"]);
  return sorted.flatMap((mount) => {
    const missing: string[] = [];
    for (let parent = dirname(mount.to); !made.has(parent); parent = dirname(parent)) missing.unshift(parent);
    for (const path of [...missing, mount.to]) made.add(path);
    return [...missing.flatMap(folder), ...optionsOf(mount)];
  });
}

function optionsOf(mount: Mount): string[] {
  switch (mount.kind) {
    case "read":
      return ["--ro-bind", mount.from, mount.to];
    case "write":
      return ["--bind", mount.from, mount.to];
    case "device":
      return ["--dev-bind", mount.from, mount.to];
    case "memory":
      return ["--perms", mount.mode, "--size", String(mount.bytes), "--tmpfs", mount.to];
    case "link":
      return ["--symlink", mount.target, mount.to];
    case "folder":
      return folder(mount.to);
  }
}

function folder(path: string): string[] {
  return ["--perms", "0755", "--dir", path];
}

function depth(path: string): number {
  return path === "/" ? 0 : path.split("/").length;
}

/** A whole command line, for `--args`: ended by NUL each. */
export function asArgsFile(options: readonly string[]): string {
  return options.map((option) => `${option}\0`).join("");
}
