// The checkout for an ordinary user. If folders around it are closed to others (it lies in a home of root's, say), programs run in a mount namespace
// of their own in which they are not: an empty folder lies over the outermost closed one, with what is needed at its own place in it.
import { lstatSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { quoted } from "../../../gateway/claude/entry.ts";

const checkout = join(import.meta.dirname, "../../..");
const packages = join(checkout, "node_modules");

/** Of the gateway and what the tries run as its user: its code, its packages with the CLI, and Node. */
const needed = [
  ...["package.json", "gateway", "test"].map((name) => join(checkout, name)),
  packages,
  realpathSync(packages),
  process.execPath,
];

/** What goes before a program's command line, so that it runs as this user and has the checkout. For root. */
export function asUser(uid: number): string[] {
  for (const path of needed)
    if ((statSync(path).mode & 0o004) === 0) throw new Error(`${path} is closed to other users: chmod -R go+rX`);
  const rights = ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"];
  const covered = Map.groupBy(needed, closedAround);
  covered.delete(undefined);
  const script = [...covered].map(([folder, paths]) => cover(folder!, [...new Set(paths)]));
  if (script.length === 0) return rights;
  const ownMounts = ["unshare", "--mount", "--propagation=private"];
  return [...ownMounts, "sh", "-ec", `${script.join("\n")}\nexec "$0" "$@"`, ...rights];
}

/** The outermost folder around a path into which others do not come. */
function closedAround(path: string): string | undefined {
  const folder = dirname(path);
  if (folder === path) return undefined;
  return closedAround(folder) ?? ((statSync(folder).mode & 0o001) === 0 ? folder : undefined);
}

/** Lines of the shell. What is covered is held open first, and mounted from there. */
function cover(folder: string, paths: readonly string[]): string {
  const outer = paths.filter((path) => !paths.some((other) => path.startsWith(`${other}/`)));
  const places = outer.map((path, index) => ({ path: quoted(path), fd: index + 3, stat: lstatSync(path) }));
  const held = places.filter(({ stat }) => !stat.isSymbolicLink());
  return [
    ...held.map(({ path, fd }) => `exec ${fd}<${path}`),
    `mount -t tmpfs -o mode=755 cover ${quoted(folder)}`,
    ...outer.map((path) => `mkdir -p ${quoted(dirname(path))}`),
    ...places.map(({ path, fd, stat }) => {
      if (stat.isSymbolicLink()) return `ln -s ${quoted(readlinkSync(outer[fd - 3]!))} ${path}`;
      // `-c`: the name that leads to what is open is no path to be resolved.
      return `${stat.isDirectory() ? "mkdir" : "touch"} ${path}; mount -c --bind /proc/self/fd/${fd} ${path}`;
    }),
    ...held.map(({ fd }) => `exec ${fd}<&-`),
  ].join("\n");
}
