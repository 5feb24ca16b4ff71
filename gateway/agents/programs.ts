// [A9] The programs that an agent's hooks and MCP servers name, and whether its box has them. A guarding hook that is not there denies nothing: the CLI
// takes a program that cannot be run for one that has no objection.
import { existsSync } from "node:fs";
import { delimiter, dirname, join, normalize } from "node:path";
import type { Mount } from "../claude/box/mounts.ts";
import type { AgentConfig } from "../protocol/agents.ts";
import { isWithin } from "./within.ts";

export interface MissingProgram {
  /** `hooks.PreToolUse`, `mcp_servers.wiki` */
  readonly field: string;
  /** On this machine. */
  readonly path: string;
}

type Named = Omit<MissingProgram, "path"> & { readonly words: readonly string[] };

/** Those that are on this machine, and not in a box of these mounts. */
export function missingPrograms(
  agent: Pick<AgentConfig, "hooks" | "mcp_servers">,
  mounts: readonly Mount[],
  path: string | undefined,
): MissingProgram[] {
  const found = [...hookCommands(agent), ...serverCommands(agent)].flatMap(({ field, words }) =>
    words.flatMap((word, index): MissingProgram[] => {
      const missing =
        index === 0 && !word.includes("/") ? missingOnPath(word, mounts, path) : missingFile(word, mounts);
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

function missingFile(word: string, mounts: readonly Mount[]): string | undefined {
  if (!word.startsWith("/") || word.includes("\0")) return undefined;
  const path = normalize(word);
  return existsSync(path) && !isShown(path, mounts) ? path : undefined;
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

/** Whether a box of these mounts has what this machine has at a path. */
export function isShown(path: string, mounts: readonly Mount[]): boolean {
  const holders = mounts.filter((mount) => isWithin(mount.to, path)).toSorted((a, b) => b.to.length - a.to.length);
  const [holder] = holders;
  switch (holder?.kind) {
    case "link":
      return isShown(join(dirname(holder.to), holder.target, path.slice(holder.to.length)), mounts);
    case "read":
    case "write":
    case "device":
      // An empty file stands in a secret's place.
      return holder.from !== "/dev/null" && existsSync(join(holder.from, path.slice(holder.to.length)));
    case "memory":
    case "folder":
    case undefined:
      return false;
  }
}
