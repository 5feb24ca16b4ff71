// How a process is started in its terminal: the shell's line that gives it its FIFOs. Without a box here; in one, box/enter.ts. Pure.
import type { Command } from "./command.ts";

/** What `sh` is started with, in the terminal. */
export interface Entry {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** The CLI is a grandchild then, and the first process of its box the child. */
  readonly isBoxed: boolean;
}

/** What an entry needs of the process's private folder. */
export interface EntryFolder {
  readonly path: string;
  readonly stdin: string;
  readonly stderr: string;
  /** What bubblewrap has for stderr, up to a NUL: see `boxedEntry`. */
  readonly words: string;
  /** The variable that the sweep finds processes by. */
  readonly mark: Readonly<Record<string, string>>;
  /** Files for the gateway's own use: no process is given them. */
  keep(files: Readonly<Record<string, string | Uint8Array>>): void;
}

export function bareEntry(binary: string, command: Command, { stdin, stderr }: EntryFolder): Entry {
  const script = `exec "$0" "$@" <${quoted(stdin)} 2>${quoted(stderr)}`;
  return {
    file: "/bin/sh",
    args: ["-c", script, binary, ...command.args],
    env: command.env,
    cwd: command.cwd,
    isBoxed: false,
  };
}

/** As one word of the shell. */
export function quoted(path: string): string {
  return `'${path.replaceAll("'", `'\\''`)}'`;
}
