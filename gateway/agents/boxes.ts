// [A9] An agent and a session → the box of its process. What the agent's boxes hold: reach.ts. How a box is made: claude/box/.
import { existsSync, lstatSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Mount } from "../claude/box/mounts.ts";
import { createSessionBox, type BoxMaker, type ProcessBox } from "../claude/box/session-box.ts";
import { credentialVariables } from "../claude/command.ts";
import { StartFailure, type BoxOpener } from "../claude/launch.ts";
import { failure } from "../claude/outcome.ts";
import { give, giveAll, type FileOwner } from "../claude/ownership.ts";
import { openSessionFolder, type Device, type SessionFolder } from "../claude/session-folder.ts";
import type { AgentConfig } from "../protocol/agents.ts";
import { missingPrograms } from "./programs.ts";
import { coversFor, reachOf, ReachFault, shownTo, workspaceRight, type ReachContext } from "./reach.ts";
import type { Workplace } from "./workspace.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export interface BoxesOptions {
  readonly maker: BoxMaker;
  readonly environment: Environment;
  /** `<data>/sessions` */
  readonly sessions: string;
  readonly device: Device;
  readonly context: () => ReachContext;
  /** The operator's configuration folder of the CLI, which `setting_sources: ["user"]` shows parts of. */
  readonly configFolder: string;
  /** Where a login on disk lies that boxes may have. */
  readonly loginFolder: string;
  /** The socket of a box without a network. */
  readonly apiSocket: () => string;
  /** Of a gateway that is root: the user of boxes; undefined for the owner of the agent's workspace. */
  readonly boxUid: number | undefined;
  /** What the folder of a visitor's session may hold. */
  readonly maxVisitorBytes: number;
}

export interface Boxes {
  opener(agent: AgentConfig, session: string, workplace: Workplace): BoxOpener;
  /** Throws a `ReachFault` if the agent's boxes cannot have what they are to have. */
  check(agent: AgentConfig): void;
}

const megabyte = 1024 * 1024;

/** Whoever owns nothing else on this machine. */
const nobody: FileOwner = { uid: 65_534, gid: 65_534 };

/** Without the credentials that the agent must not use: of some the box has the file. */
function billedEnvironment({ billing }: AgentConfig, environment: Environment): Environment {
  const own = credentialVariables(billing);
  const others = new Set(credentialVariables("any").filter((name) => !own.includes(name)));
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !others.has(name)));
}

/** Of the operator's configuration folder: what the CLI reads as the user's settings. Never logins, conversations, histories. */
const userSettings = ["settings.json", "CLAUDE.md", "skills", "agents", "commands", "plugins", "output-styles"];

export function createBoxes(options: BoxesOptions): Boxes {
  const { maker, environment, sessions, device, context, boxUid, maxVisitorBytes } = options;
  const isRoot = maker.setpriv !== undefined;

  /** The gateway's own user, or that which it gives up being root for. */
  function userOf({ workspace }: Pick<AgentConfig, "workspace">): FileOwner {
    if (!isRoot) return { uid: process.getuid!(), gid: process.getgid!() };
    if (boxUid !== undefined) return { uid: boxUid, gid: boxUid };
    // One that is gone is for the start itself to complain about.
    const { uid, gid } = (workspace && statSync(workspace, { throwIfNoEntry: false })) || nobody;
    return uid === 0 ? nobody : { uid, gid: gid === 0 ? uid : gid };
  }

  async function open(agent: AgentConfig, session: string, workplace: Workplace): Promise<ProcessBox> {
    const user = userOf(agent);
    const own = workplace.isOwn ? undefined : workplace.folder;
    const reach = reachOf(agent, own, context());
    if (agent.workspace !== undefined) checkAccess(agent, agent.workspace, user);
    if (isRoot && workplace.git) giveWorktree(workplace, user);
    const folder = openSessionFolder(join(sessions, session), device, isRoot ? user : undefined);
    if (agent.public && bytesIn(folder.path, maxVisitorBytes) > maxVisitorBytes)
      throw visitorsFolderFull(maxVisitorBytes);
    for (const { name, kind } of reach.inHome) folder.makeMountpoint("home", name, kind);
    const settings = agent.setting_sources.includes("user") ? settingMounts(folder, options.configFolder) : [];
    const git = workplace.git ? gitMounts(workplace.git) : [];
    const mounts = [...reach.mounts, ...git, ...settings];
    const content = {
      folder,
      workspace: own,
      mounts: [...mounts, ...coversFor([...maker.host, ...mounts], own, context())],
      user,
      login: loginOf(agent, options, isRoot ? user : undefined),
      apiSocket: networkOf(agent, environment) === "none" ? options.apiSocket() : undefined,
      env: Object.fromEntries((agent.box?.env ?? []).map((name) => [name, environment[name] ?? ""])),
    };
    return createSessionBox(maker, content, billedEnvironment(agent, environment));
  }

  function checkPrograms(agent: AgentConfig): void {
    const mounts = shownTo(agent, maker.host, context());
    const [missing] = missingPrograms(agent, mounts, { path: environment["PATH"], home: context().home });
    if (missing === undefined) return;
    const { field, path } = missing;
    throw new ReachFault(
      field,
      `${path} is not in the agent's box, so it would not be run`,
      `Show it to the agent: "box": {"read": [${JSON.stringify(path)}]}, or the folder of all that it needs.`,
    );
  }

  return {
    opener: (agent, session, workplace) => ({
      owner: isRoot ? userOf(agent) : undefined,
      open: () =>
        open(agent, session, workplace).catch((cause: unknown) => {
          if (!(cause instanceof ReachFault)) throw cause;
          throw new StartFailure(failure("spawn_failed", faultWords(cause)), { cause });
        }),
    }),
    check(agent) {
      const { workspace } = agent;
      reachOf(agent, workspace, context());
      checkPrograms(agent);
      if (workspace !== undefined) checkAccess(agent, workspace, userOf(agent));
      const missing = (agent.box?.env ?? []).find((name) => environment[name] === undefined);
      if (missing !== undefined)
        throw new ReachFault("box.env", `the gateway's environment has no ${missing}`, "Set it, or take its name out.");
    },
  };
}

/** For whoever uses the agent: which field is wrong, and no path. */
function faultWords({ field }: ReachFault): string {
  return `The agent's box cannot be made: its \`${field}\` is wrong. The gateway's log says more.`;
}

/** Enough of a folder's size to know whether it is over `most`. Follows no link. */
function bytesIn(folder: string, most: number): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    // An empty file takes room too.
    bytes += entry.isDirectory() ? bytesIn(path, most - bytes) : Math.max(lstatSync(path).size, 1024);
    if (bytes > most) break;
  }
  return bytes;
}

function visitorsFolderFull(maxBytes: number): StartFailure {
  const words = `This conversation has filled the ${maxBytes / megabyte} MB that a visitor's may take. Begin another one.`;
  return new StartFailure({ ...failure("spawn_failed", words), isRetryable: false });
}

/** By mode and owner alone: of more the kernel speaks when it comes to it. Throws a `ReachFault`. */
function checkAccess(agent: AgentConfig, folder: string, { uid, gid }: FileOwner): void {
  const wanted = workspaceRight(agent) === "read" ? 0o5 : 0o7;
  const stat = statSync(folder);
  const shift = stat.uid === uid ? 6 : stat.gid === gid ? 3 : 0;
  if (agent.worktree ? stat.uid === uid : ((stat.mode >> shift) & wanted) === wanted) return;
  throw new ReachFault(
    "workspace",
    `${folder} belongs to the user ${stat.uid}, and sessions, which run as the user ${uid}, cannot use it`,
    `Give it to them (chown -R ${uid} ${folder}), set box_uid to its owner if that is not root, or let them read it alone ("box": {"workspace": "read"}, and chmod -R o+rX).`,
  );
}

/** `none` for visitors, unless the agent needs more of a network than the model's API. */
export function networkOf(agent: AgentConfig, environment: Environment): "open" | "none" {
  const { box, public: visitors, supervises, mcp_servers = {} } = agent;
  const isCloud = cloudProviders.some((name) => (environment[name] ?? "") !== "");
  const isRemote = Object.values(mcp_servers).some((server) => typeof server["url"] === "string");
  return box?.network ?? (visitors && supervises.length === 0 && !isRemote && !isCloud ? "none" : "open");
}

/** With these the CLI asks another API, by addresses of its own. */
const cloudProviders = ["CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY"];

/** Which an agent gets if it has no token. Never those that anybody may use: a tool could read it, or put another one in its place. */
function loginOf(
  agent: AgentConfig,
  { environment, loginFolder }: Pick<BoxesOptions, "environment" | "loginFolder">,
  owner: FileOwner | undefined,
): string | undefined {
  const hasCredential = credentialVariables(agent.billing).some((name) => (environment[name] ?? "") !== "");
  if (hasCredential || agent.public || !existsSync(loginFolder)) return undefined;
  if (owner) giveAll(loginFolder, owner);
  return loginFolder;
}

function settingMounts(folder: SessionFolder, configFolder: string): Mount[] {
  return userSettings.flatMap((name): Mount[] => {
    const from = join(configFolder, name);
    const stat = statSync(from, { throwIfNoEntry: false });
    if (!stat) return [];
    folder.makeMountpoint("claude", name, stat.isDirectory() ? "folder" : "file");
    return [{ kind: "read", from, to: join("/session/claude", name) }];
  });
}

/**
 * Of a worktree's repository: all of its git folder to read, and to write what a commit on the agent's own branch needs. With those pieces alone `git
 * gc` would take every other branch for deleted. Throws a `ReachFault`.
 */
function gitMounts({ common, entry }: NonNullable<Workplace["git"]>): Mount[] {
  return [
    { kind: "read", from: common, to: common },
    ...[entry, ...writtenIn(common)].map((path): Mount => ({ kind: "write", from: path, to: path })),
    { kind: "read", from: placesOfObjects(common), to: placesOfObjects(common) },
  ];
}

/**
 * The folder whose files tell every git of the repository, the operator's too, where there are more objects. A commit writes nothing there. It is made
 * if it is not there, or a session could make it; a mount keeps it from being moved away.
 */
function placesOfObjects(common: string): string {
  const objects = join(common, "objects");
  const path = join(objects, "info");
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) {
    mkdirSync(path);
    give(path, lstatSync(objects));
  } else if (!stat.isDirectory())
    // It would be mounted wherever it leads to, and a session may have put it there.
    throw new ReachFault("workspace", `${path} is no folder`, "Look who made it, remove it, and make a folder.");
  return path;
}

function writtenIn(common: string): string[] {
  return ["objects", "refs/heads/sluice", "logs/refs/heads/sluice"].map((name) => join(common, name));
}

/** What git made as root, for the user of the box. */
function giveWorktree({ folder, git }: Workplace, user: FileOwner): void {
  const { common, entry } = git!;
  const [, ...branches] = writtenIn(common);
  for (const path of branches) mkdirSync(path, { recursive: true });
  for (const path of [entry, ...branches]) giveAll(path, user);
  if (lstatSync(folder).uid !== user.uid) giveAll(folder, user);
}
