// [A9, A5] What of this machine an agent's boxes hold beyond the system's programs: its workspace, and what the configuration opens to it; and what
// stays hidden although something that holds it is there. Looked at anew for each process: a folder may have become a link.
import { lstatSync, realpathSync, statSync, type Stats } from "node:fs";
import { dirname, join } from "node:path";
import { sessionRoot } from "../claude/box/layout.ts";
import type { Mount } from "../claude/box/mounts.ts";
import type { AgentConfig } from "../protocol/agents.ts";
import { plantedLink } from "./planted-links.ts";
import { isWithin, overlaps } from "./within.ts";

export interface ReachContext {
  readonly agents: readonly Pick<AgentConfig, "name" | "workspace" | "box" | "public">[];
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
  const workspace = own === undefined ? [] : [workspaceMount(agent, boxedWorkspace(own, context))];
  return { mounts: [...workspace, ...opened, ...devices], inHome };
}

/** What any box of the agent shows of this machine, as far as that is known before there is a session. Throws a `ReachFault`. */
export function shownTo(agent: AgentConfig, host: readonly Mount[], context: ReachContext): Mount[] {
  // A worktree is another folder than the workspace.
  const own = agent.worktree ? undefined : agent.workspace;
  const mounts = [...host, ...reachOf(agent, own, context).mounts];
  return [...mounts, ...coversFor(mounts, own, context)];
}

function workspaceMount(agent: AgentConfig, real: string): Mount {
  return { kind: workspaceRight(agent), from: real, to: real };
}

/** What visitors find, the next one is to find as well. */
export function workspaceRight({ box, public: visitors }: Pick<AgentConfig, "box" | "public">): "read" | "write" {
  return box?.workspace ?? (visitors ? "read" : "write");
}

function boxedWorkspace(own: string, context: ReachContext): string {
  checkLinks(own, "workspace", context);
  return checkWorkspace(own, context);
}

/** Throws a `ReachFault` for a path that a session could have led elsewhere since it was written down. */
function checkLinks(path: string, field: string, { agents, home }: ReachContext): void {
  const written = agents.flatMap((agent) => [
    ...(agent.workspace === undefined || workspaceRight(agent) === "read" ? [] : [agent.workspace]),
    ...(agent.box?.write ?? []).map((one) => onHost(one, home)),
  ]);
  const link = plantedLink(path, written.flatMap(realPathsIfThere));
  if (link === undefined) return;
  throw new ReachFault(
    field,
    `${path} leads through ${link}, a link in a folder that sessions write to`,
    "Name the folder or file that is meant itself.",
  );
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
  const named = onHost(path, home);
  checkLinks(named, field, context);
  const real = realPath(named, field);
  const refuse = (why: string, mend: string) => new ReachFault(field, `${path} ${why}`, mend);
  const smaller = "Name only the files that the agent needs.";
  if (real === "/" || kernelFolders.some((folder) => isWithin(folder, real) && !isSocket(real)))
    throw refuse("is a folder of the system's own", smaller);
  if (isWithin(real, dataFolder) || isWithin(dataFolder, real))
    throw refuse("holds the gateway's data folder", smaller);
  const secret = hidden.find((one) => isWithin(real, one));
  if (secret !== undefined) throw refuse(`holds ${secret}`, smaller);
  const isIn = (workspace: string | undefined, isIt: (folder: string) => boolean) =>
    workspace !== undefined && realPathsIfThere(workspace).some(isIt);
  const other = agents.find(
    ({ name, workspace }) => name !== agent.name && isIn(workspace, (folder) => overlaps(real, folder)),
  );
  if (other && !isIn(agent.workspace, (folder) => isWithin(folder, real)))
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
  const others = context.agents
    .flatMap(({ workspace }) => (workspace === undefined ? [] : realPathsIfThere(workspace)))
    .filter((real) => own === undefined || !overlaps(real, own));
  const secrets = new Set([context.dataFolder, ...context.hidden, ...others]);
  return [...secrets].flatMap((secret) => {
    const around = [...secrets].filter((other) => other !== secret && isWithin(other, secret));
    // What is covered with what holds it stays so: a pin on the way to it would uncover the rest.
    const isShown = (mount: Mount): mount is Shown =>
      isShownBy(mount, secret) && !around.some((one) => isShownBy(mount, one));
    return coversOf(mounts.filter(isShown), secret);
  });
}

type Shown = Extract<Mount, { readonly from: string }>;

/** One for each place where these mounts show it. */
function coversOf(shown: readonly Shown[], secret: string): Mount[] {
  const stat = lstatSync(secret, { throwIfNoEntry: false });
  if (!stat) return [];
  const placeIn = ({ from, to }: Shown) => join(to, secret.slice(from.length));
  return [...Map.groupBy(shown, placeIn)].flatMap(([place, mounts]) => {
    const outermostFirst = mounts.toSorted((a, b) => a.to.length - b.to.length);
    return [
      ...outermostFirst.flatMap((mount, index) => pins(mount, outermostFirst[index + 1]?.to ?? place)),
      coverOf(place, stat),
    ];
  });
}

function coverOf(to: string, stat: Stats): Mount {
  if (!stat.isDirectory()) return { kind: "read", from: "/dev/null", to };
  return { kind: "memory", to, bytes: 4096, mode: "0555" };
}

function isShownBy(mount: Mount, secret: string): mount is Shown {
  return (mount.kind === "read" || mount.kind === "write") && isWithin(mount.from, secret);
}

function pins({ kind, from, to }: Shown, until: string): Mount[] {
  const between: Mount[] = [];
  if (kind !== "write") return between;
  for (let at = dirname(until); at !== to && at.length > to.length; at = dirname(at))
    between.unshift({ kind: "write", from: join(from, at.slice(to.length)), to: at });
  return between;
}

/** Where "~/" leads on the host. */
function onHost(path: string, home: string): string {
  return path.startsWith("~/") ? join(home, path.slice(2)) : path;
}

function isSocket(path: string): boolean {
  return statSync(path).isSocket();
}

/** None, or one. */
function realPathsIfThere(path: string): string[] {
  try {
    return [realpathSync(path)];
  } catch {
    // Not there: nothing to hide.
    return [];
  }
}

function realPath(path: string, field: string): string {
  const [real] = realPathsIfThere(path);
  if (real !== undefined) return real;
  throw new ReachFault(field, `${path} does not exist, or cannot be reached`, "Make it, or name another one.");
}
