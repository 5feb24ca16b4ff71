// [A9] The programs that an agent's hooks and MCP servers name, and whether its box has them. A guarding hook that is not there denies nothing: the CLI
// takes a program that cannot be run for one that has no objection.
import { existsSync } from "node:fs";
import { delimiter, join, normalize } from "node:path";
import { sessionRoot, temporaryInBox } from "../claude/box/layout.ts";
import type { Mount } from "../claude/box/mounts.ts";
import type { AgentConfig } from "../protocol/agents.ts";
import { isShown } from "./shown.ts";
import { isWithin } from "./within.ts";

export interface MissingProgram {
  /** `hooks.PreToolUse`, `mcp_servers.wiki` */
  readonly field: string;
  /** On this machine. */
  readonly path: string;
}

type Named = Omit<MissingProgram, "path"> & { readonly words: readonly string[] };

export interface Machine {
  /** The gateway's PATH. */
  readonly path: string | undefined;
  /** What "~" is here; in a box it is the session's home. */
  readonly home: string;
}

/** Those that are on this machine, and not in a box of these mounts. */
export function missingPrograms(
  agent: Pick<AgentConfig, "hooks" | "mcp_servers">,
  mounts: readonly Mount[],
  { path, home }: Machine,
): MissingProgram[] {
  const found = [...hookCommands(agent), ...serverCommands(agent)].flatMap(({ field, words }) =>
    words.flatMap((word, index): MissingProgram[] => {
      const missing =
        index === 0 && !word.includes("/") ? missingOnPath(word, mounts, path) : missingFile(word, mounts, home);
      return missing === undefined ? [] : [{ field, path: missing }];
    }),
  );
  return [...new Map(found.map((one) => [`${one.field} ${one.path}`, one])).values()];
}

/** A shell's words, as far as paths go: what is put together when it runs cannot be looked at. */
function hookCommands({ hooks = {} }: Pick<AgentConfig, "hooks">): Named[] {
  return Object.entries(hooks).flatMap(([event, matchers]) =>
    matchers
      .flatMap((matcher) => matcher.hooks)
      .flatMap((hook): Named[] => {
        const command = hook["command"];
        if (typeof command !== "string") return [];
        return [{ field: `hooks.${event}`, words: command.split(/[\s"'`;|&()<>=]+/).filter(Boolean) }];
      }),
  );
}

function serverCommands({ mcp_servers = {} }: Pick<AgentConfig, "mcp_servers">): Named[] {
  return Object.entries(mcp_servers).flatMap(([name, { command, args }]): Named[] => {
    if (typeof command !== "string") return [];
    const rest = Array.isArray(args) ? args.filter((arg): arg is string => typeof arg === "string") : [];
    return [{ field: `mcp_servers.${name}`, words: [command, ...rest] }];
  });
}

function missingFile(word: string, mounts: readonly Mount[], home: string): string | undefined {
  const inHome = word.startsWith("~/") ? word.slice(2) : undefined;
  if ((inHome === undefined && !word.startsWith("/")) || word.includes("\0")) return undefined;
  const path = normalize(inHome === undefined ? word : join(home, inHome));
  const inBox = inHome === undefined ? path : join(sessionRoot, "home", inHome);
  return existsSync(path) && !isOfEveryBox(inBox) && !isShown(inBox, mounts) ? path : undefined;
}

/** What a box has of its own under the same name. */
function isOfEveryBox(path: string): boolean {
  const ownFolders = ["/dev", "/proc"];
  return path === temporaryInBox || ownFolders.some((folder) => isWithin(folder, path));
}

/** Where this machine finds it, if the box finds it nowhere. */
function missingOnPath(name: string, mounts: readonly Mount[], path = ""): string | undefined {
  const places = path
    .split(delimiter)
    .filter((folder) => folder.startsWith("/"))
    .map((folder) => join(folder, name))
    .filter((file) => existsSync(file));
  return places.some((file) => isShown(file, mounts)) ? undefined : places[0];
}
