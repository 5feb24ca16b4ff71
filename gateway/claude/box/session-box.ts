// [A9] The box of one process: what is in it, where its session's things are seen in it, and the environment that fits.
import { join, relative, sep } from "node:path";
import type { Command } from "../command.ts";
import type { Entry, EntryFolder } from "../entry.ts";
import type { FileOwner } from "../ownership.ts";
import type { PrivateFolder } from "../run-folder.ts";
import type { SessionFolder } from "../session-folder.ts";
import type { Bubblewrap } from "./bubblewrap.ts";
import type { BoxedCli } from "./cli-copy.ts";
import { boxedEntry } from "./enter.ts";
import { readable } from "./host.ts";
import {
  apiSocketInBox,
  cliInBox,
  filesInBox,
  loginInBox,
  sessionRoot,
  sharedMemoryBytes,
  temporaryBytes,
  temporaryInBox,
} from "./layout.ts";
import type { BoxPlan, Mount } from "./mounts.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** What all boxes of a gateway have in common. */
export interface BoxMaker {
  readonly bubblewrap: Bubblewrap;
  readonly cli: BoxedCli;
  readonly host: readonly Mount[];
  /** Of a gateway that is root: the program that gives that up in the box. Undefined for other users. */
  readonly setpriv: string | undefined;
}

export interface BoxContent {
  readonly folder: SessionFolder;
  /** The real path of the agent's workspace or worktree; undefined for the session's own. */
  readonly workspace: string | undefined;
  /** The workspace's mount, and what else the agent has; and what hides things in them. */
  readonly mounts: readonly Mount[];
  readonly user: FileOwner;
  /** The folder of the login on disk, for agents that may have it. */
  readonly login: string | undefined;
  /** Where a socket to the model's API is, for a box without any other network. */
  readonly apiSocket: string | undefined;
  /** The variables that the agent is given beyond the CLI's own. */
  readonly env: Readonly<Record<string, string>>;
}

/** What starting a process in its box needs; the counterpart of a bare start. */
export interface ProcessBox {
  /** The gateway's environment as it holds in the box. */
  readonly environment: Environment;
  readonly extraEnvironment: Readonly<Record<string, string>>;
  readonly workspace: string;
  readonly files: string;
  readonly temporary: string;
  /** Where something in the session's folder is seen. Throws for anything else. */
  seen(path: string): string;
  /** `program`: another than the CLI, for a trial. */
  enter(command: Pick<Command, "args" | "env">, folder: EnteredFolder, program?: string): Entry;
}

type EnteredFolder = EntryFolder & Pick<PrivateFolder, "files" | "write">;

/** Certificates that the operator trusts, and Google's way of giving a credential: files that the CLI is to find where its variables say. */
const fileVariables = ["SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "GOOGLE_APPLICATION_CREDENTIALS"];

export function createSessionBox(maker: BoxMaker, content: BoxContent, environment: Environment): ProcessBox {
  const { bubblewrap, cli, setpriv } = maker;
  const { folder, user } = content;
  const workspace = content.workspace ?? join(sessionRoot, "workspace");
  return {
    environment: environmentInBox(environment, content),
    extraEnvironment: {
      ...content.env,
      ...(content.login === undefined ? {} : { CLAUDE_SECURESTORAGE_CONFIG_DIR: loginInBox }),
      ...(content.apiSocket === undefined ? {} : { ANTHROPIC_UNIX_SOCKET: apiSocketInBox }),
    },
    workspace,
    files: filesInBox,
    temporary: temporaryInBox,
    seen(path) {
      const inside = relative(folder.path, path);
      if (inside.startsWith("..")) throw new Error(`${path} is not in the session's folder`);
      return join(sessionRoot, inside);
    },
    enter(command, files, program = cliOf(cli)) {
      files.write({ passwd: usersOf(user), group: groupsOf(user) });
      const plan: BoxPlan = {
        mounts: [...mountsOf(maker, content, files.files), ...fileMounts(environment)],
        workspace,
        network: content.apiSocket === undefined ? "open" : "none",
        form: setpriv === undefined ? "user" : "root",
      };
      const drop = setpriv === undefined ? undefined : { setpriv, user };
      return boxedEntry({ bubblewrap: bubblewrap.path, plan, cli: program, drop }, command, files);
    },
  };
}

function mountsOf({ cli, host }: BoxMaker, content: BoxContent, files: string): Mount[] {
  const { folder, login, apiSocket } = content;
  const own = (name: "claude" | "home" | "workspace"): Mount => ({
    kind: "write",
    from: folder.part(name),
    to: join(sessionRoot, name),
  });
  return [
    ...host.filter((mount) => !isInWritten(mount, content.mounts)),
    { kind: "memory", to: temporaryInBox, bytes: temporaryBytes, mode: "1777" },
    { kind: "memory", to: "/dev/shm", bytes: sharedMemoryBytes, mode: "1777" },
    own("claude"),
    own("home"),
    ...(content.workspace === undefined ? [own("workspace")] : []),
    { kind: "read", from: files, to: filesInBox },
    { kind: "read", from: join(files, "passwd"), to: "/etc/passwd" },
    { kind: "read", from: join(files, "group"), to: "/etc/group" },
    cliMount(cli),
    ...(login === undefined ? [] : [{ kind: "write", from: login, to: loginInBox } as const]),
    ...(apiSocket === undefined ? [] : [{ kind: "write", from: apiSocket, to: apiSocketInBox } as const]),
    ...content.mounts,
  ];
}

/** What lies in a folder that sessions write to comes with it; as a mount of its own it would be put wherever a session has led its place. */
function isInWritten({ to }: Mount, mounts: readonly Mount[]): boolean {
  return mounts.some((mount) => mount.kind === "write" && to.startsWith(`${mount.to}${sep}`));
}

/** A script needs what lies beside it, and must be found where it thinks it is. */
function cliMount({ path, isUnreadable }: BoxedCli): Mount {
  if (isUnreadable) return { kind: "read", from: path, to: cliInBox };
  const folder = path.slice(0, path.lastIndexOf(sep));
  return { kind: "read", from: folder, to: folder };
}

function cliOf({ path, isUnreadable }: BoxedCli): string {
  return isUnreadable ? cliInBox : path;
}

function environmentInBox(environment: Environment, { user }: BoxContent): Environment {
  return {
    ...environment,
    HOME: join(sessionRoot, "home"),
    CLAUDE_CONFIG_DIR: join(sessionRoot, "claude"),
    TMPDIR: undefined,
    USER: nameOf(user),
    LOGNAME: nameOf(user),
  };
}

function fileMounts(environment: Environment): Mount[] {
  return fileVariables.flatMap((name) => {
    const path = environment[name];
    return path?.startsWith("/") ? readable(path) : [];
  });
}

/** The box has users of its own: those of the host are nobody's business in it. */
function nameOf({ uid }: FileOwner): string {
  return uid === 65_534 ? "nobody" : "agent";
}

function usersOf(user: FileOwner): string {
  const own = `${nameOf(user)}:x:${user.uid}:${user.gid}::${sessionRoot}/home:/bin/bash\n`;
  const nobody = user.uid === 65_534 ? "" : "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n";
  return `root:x:0:0::/root:/usr/sbin/nologin\n${own}${nobody}`;
}

function groupsOf(user: FileOwner): string {
  const nobody = user.gid === 65_534 ? "" : "nogroup:x:65534:\n";
  return `root:x:0:\n${nameOf(user)}:x:${user.gid}:\n${nobody}`;
}
