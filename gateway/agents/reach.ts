// [A9, A5] What of this machine an agent's boxes hold beyond the system's programs: its workspace, and what the configuration opens to it; and what
// stays hidden although something that holds it is there. Looked at anew for each process: a folder may have become a link.
import { lstatSync, realpathSync, statSync, type Stats } from "node:fs";
import { dirname, join, sep } from "node:path";
import { sessionRoot } from "../claude/box/layout.ts";
import type { Mount } from "../claude/box/mounts.ts";
import type { AgentConfig } from "../protocol/agents.ts";

export interface ReachContext {
  readonly agents: readonly Pick<AgentConfig, "name" | "workspace">[];
  /** The gateway's data folder. */
  readonly dataFolder: string;
  /** Files and folders of the operator that no box shows: the CLI's configuration folder, the gateway's configuration file. */
  readonly hidden: readonly string[];
  /** The gateway's home, which "~" means. */
  readonly home: string;
}

export interface Reach {
  readonly mounts: readonly Mount[];
  /** Those of `mounts` whose place in the box is in a folder that a session can write to: a file or an empty folder is to be made for each. */
  readonly inHome: readonly { readonly name: string; readonly kind: "file" | "folder" }[];
}

/** What is wrong with one field of an agent, and what to do about it. */
export class ReachFault extends Error {
  override readonly name = "ReachFault";
  readonly field: string;
  readonly mend: string;

  constructor(field: string, message: string, mend: string) {
    super(message);
    this.field = field;
    this.mend = mend;
  }
}

/** Never shown as a whole: the kernel's own, and what boxes have of their own. */
const kernelFolders = ["/proc", "/sys", "/dev", "/run", "/session"];

/** Throws a `ReachFault`. `own`: the folder that the processes work in by its path on the host, if it is not the session's own. */
export function reachOf(agent: AgentConfig, own: string | undefined, context: ReachContext): Reach {
  const { box } = agent;
  const inHome: { name: string; kind: "file" | "folder" }[] = [];
  const opened = (["read", "write"] as const).flatMap((field) =>
    (box?.[field] ?? []).map((path, index): Mount => {
      const name = `box.${field}.${index}`;
      const from = openedPath(path, name, agent, context);
      if (!path.startsWith("~/")) return { kind: field, from, to: path.replace(/\/+$/, "") };
      inHome.push({ name: path.slice(2), kind: statSync(from).isDirectory() ? "folder" : "file" });
      return { kind: field, from, to: join(sessionRoot, "home", path.slice(2)) };
    }),
  );
  const devices = (box?.devices ?? []).map((path, index) => device(path, `box.devices.${index}`));
  const workspace = own === undefined ? [] : [workspaceMount(agent, checkWorkspace(own, context))];
  return { mounts: [...workspace, ...opened, ...devices], inHome };
}

function workspaceMount(agent: AgentConfig, real: string): Mount {
  return { kind: workspaceRight(agent), from: real, to: real };
}

/** What visitors find, the next one is to find as well. */
export function workspaceRight({ box, public: visitors }: AgentConfig): "read" | "write" {
  return box?.workspace ?? (visitors ? "read" : "write");
}

/** The real path of a workspace that a box may hold. Throws a `ReachFault`. */
export function checkWorkspace(workspace: string, { dataFolder }: Pick<ReachContext, "dataFolder">): string {
  const real = realPath(workspace, "workspace");
  if (real === "/" || kernelFolders.some((folder) => isWithin(folder, real)))
    throw new ReachFault("workspace", `${workspace} is a folder of the system's own`, "Name a folder of your files.");
  const isOwn = [join(dataFolder, "workspace"), join(dataFolder, "worktrees")].some((folder) => isWithin(folder, real));
  if (isWithin(dataFolder, real) && !isOwn)
    throw new ReachFault(
      "workspace",
      `${workspace} is in the gateway's data folder, which holds its keys and all conversations`,
      "Name a folder outside the data folder, or move the data folder (SLUICE_DATA).",
    );
  return real;
}

function openedPath(path: string, field: string, agent: AgentConfig, context: ReachContext): string {
  const { agents, dataFolder, hidden, home } = context;
  const real = realPath(path.startsWith("~/") ? join(home, path.slice(2)) : path, field);
  const refuse = (why: string, mend: string) => new ReachFault(field, `${path} ${why}`, mend);
  const smaller = "Name only the files that the agent needs.";
  if (real === "/" || kernelFolders.some((folder) => isWithin(folder, real) && !isSocket(real)))
    throw refuse("is a folder of the system's own", smaller);
  if (isWithin(real, dataFolder) || isWithin(dataFolder, real))
    throw refuse("holds the gateway's data folder", smaller);
  const secret = hidden.find((one) => isWithin(real, one));
  if (secret !== undefined) throw refuse(`holds ${secret}`, smaller);
  const other = agents.find(
    ({ name, workspace }) => name !== agent.name && workspace !== undefined && overlaps(real, workspace),
  );
  if (other && !(agent.workspace !== undefined && isWithin(agent.workspace, real)))
    throw refuse(`is in the workspace of the agent "${other.name}", or holds it`, smaller);
  if (isSocket(real)) checkSocket(real, agent, refuse);
  return real;
}

function checkSocket(real: string, { box }: AgentConfig, refuse: (why: string, mend: string) => ReachFault): void {
  const isDocker = real.endsWith("/docker.sock");
  if (isDocker && box?.docker) return;
  throw isDocker
    ? refuse(
        "makes whoever reaches it root of this machine",
        'If that is meant, add "docker": true to the agent\'s box.',
      )
    : refuse("is a socket: what listens there acts with rights of its own", "Reach it over the network instead.");
}

function device(path: string, field: string): Mount {
  const real = realPath(path, field);
  const stat = statSync(real);
  if (!stat.isCharacterDevice() && !stat.isBlockDevice())
    throw new ReachFault(field, `${path} is not a device`, "Name a device file, such as /dev/kvm.");
  return { kind: "device", from: real, to: path };
}

/**
 * Covers for what must stay hidden although a mount holds it. An empty folder in its place, or an empty file; and where a session could move the
 * folder that holds it out of the way, that folder becomes a mount of its own, which cannot be moved.
 */
export function coversFor(mounts: readonly Mount[], own: string | undefined, context: ReachContext): Mount[] {
  const others = context.agents.flatMap(({ workspace }) => {
    const real = workspace === undefined ? undefined : realPathIfThere(workspace);
    return real === undefined || (own !== undefined && overlaps(real, own)) ? [] : [real];
  });
  return [context.dataFolder, ...context.hidden, ...others].flatMap((secret) => coverFor(mounts, secret));
}

function coverFor(mounts: readonly Mount[], secret: string): Mount[] {
  const stat = lstatSync(secret, { throwIfNoEntry: false });
  const holder = mounts.findLast((mount) => isShownBy(mount, secret));
  if (!stat || !holder) return [];
  return [...pins(holder, secret), coverOf(secret, stat)];
}

function coverOf(secret: string, stat: Stats): Mount {
  if (!stat.isDirectory()) return { kind: "read", from: "/dev/null", to: secret };
  return { kind: "memory", to: secret, bytes: 4096, mode: "0555" };
}

function isShownBy(mount: Mount, secret: string): boolean {
  return (mount.kind === "read" || mount.kind === "write") && mount.from === mount.to && isWithin(mount.to, secret);
}

function pins({ kind, to }: Mount, secret: string): Mount[] {
  const between: Mount[] = [];
  if (kind !== "write") return between;
  for (let at = dirname(secret); at !== to && at.length > to.length; at = dirname(at))
    between.unshift({ kind: "write", from: at, to: at });
  return between;
}

export function isWithin(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder === sep ? sep : folder + sep);
}

function overlaps(one: string, other: string): boolean {
  return isWithin(one, other) || isWithin(other, one);
}

function isSocket(path: string): boolean {
  return statSync(path).isSocket();
}

function realPathIfThere(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    // Not there: nothing to hide.
    return undefined;
  }
}

function realPath(path: string, field: string): string {
  const real = realPathIfThere(path);
  if (real !== undefined) return real;
  throw new ReachFault(field, `${path} does not exist, or cannot be reached`, "Make it, or name another one.");
}
