// [A9] What of this machine is in every box, to read: its programs and libraries, and of /etc what programs need to run. Read once, at the start.
import { lstatSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { findOnPath } from "../locate.ts";
import type { Mount } from "./mounts.ts";

/** Folders of programs, whole. Of those that are links into /usr the box has the same links. */
const systemFolders = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store"];

/** Without these: no names of hosts, no certificates, half of Debian's commands. Users and groups are the box's own. */
const systemSettings = [
  "nsswitch.conf",
  "hosts",
  "host.conf",
  "resolv.conf",
  "gai.conf",
  "localtime",
  "timezone",
  "ld.so.cache",
  "ld.so.conf",
  "ld.so.conf.d",
  "ssl/certs",
  "ssl/openssl.cnf",
  "ca-certificates",
  "ca-certificates.conf",
  "pki",
  "alternatives",
  "protocols",
  "services",
  "profile",
  "bash.bashrc",
  "gitconfig",
  "mime.types",
];

/** The mounts of every box. `path` is the gateway's PATH: a Node that it leads to is there, wherever it lies. */
export function hostMounts(path: string | undefined): Mount[] {
  return [
    ...systemFolders.flatMap(systemFolder),
    // Real paths: `resolv.conf` is often a link into /run.
    ...systemSettings.flatMap((name) => readable(join("/etc", name))),
    ...toolchain(path ?? ""),
  ];
}

function systemFolder(path: string): Mount[] {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (!stat) return [];
  if (stat.isSymbolicLink()) return [{ kind: "link", target: readlinkSync(path), to: path }];
  return [{ kind: "read", from: path, to: path }];
}

/** What is there, from its real path; nothing if it is not there. */
export function readable(path: string): Mount[] {
  const real = realPathOf(path);
  return real === undefined ? [] : [{ kind: "read", from: real, to: path }];
}

/**
 * What the PATH has of Node, which hooks and MCP servers are often run by: whole installations (nvm's folder of one version, say), and of a node that
 * lies loose in some folder that alone, not all that lies around it. The system's are there anyway.
 */
function toolchain(path: string): Mount[] {
  const folders = path.split(delimiter).filter((folder) => folder.startsWith("/"));
  return [...new Set(folders)].flatMap((folder): Mount[] => {
    const node = findOnPath("node", folder);
    const real = node === undefined ? undefined : realPathOf(node);
    if (node === undefined || real === undefined || isSystem(real)) return [];
    const installation = dirname(dirname(real));
    const isWhole = statSync(join(installation, "lib/node_modules"), { throwIfNoEntry: false })?.isDirectory();
    if (isWhole && realPathOf(folder) === join(installation, "bin")) return readable(installation);
    // One that is a link to somewhere else would need that too: another is on PATH behind it, or the system's.
    return real === node ? readable(real) : [];
  });
}

export function isSystem(path: string): boolean {
  return systemFolders.some((folder) => path.startsWith(`${folder}/`));
}

function realPathOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    // Not there, which is for whoever wanted it to say.
    return undefined;
  }
}
