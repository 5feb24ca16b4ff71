// The folder of all live processes, `<data>/run`: one private folder (0700) a process, named by its marker, with its FIFOs and
// files. It is the registry too: what stands in it after a crash is what the next start has to sweep [P3].
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { markerVariable } from "./command.ts";
import type { EntryFolder } from "./entry.ts";
import type { FileOwner } from "./ownership.ts";
import {
  familyOf,
  isWithoutDescriptors,
  killAll,
  markedWith,
  startTimeOf,
  type ProcessEntry,
} from "./process-table.ts";

export interface PrivateFolder extends EntryFolder {
  readonly marker: string;
  /** The folder of the files that are for the process. */
  readonly files: string;
  /** Files for the process. */
  write(files: Readonly<Record<string, string>>): void;
  /** Notes the process, for the sweep. */
  note(pid: number): void;
  /** Throws only where a file descriptor is missing. */
  remove(): void;
}

/** Makes the private folder of a new process, with its FIFOs. `owner`: whom its files are for, if not the gateway's own user. */
export async function makePrivateFolder(runFolder: string, owner?: FileOwner): Promise<PrivateFolder> {
  const marker = randomUUID();
  const path = join(runFolder, marker);
  const [stdin, stderr, words, files] = ["stdin", "stderr", "words", "files"].map((name) => join(path, name)) as [
    string,
    string,
    string,
    string,
  ];
  const give = (made: string) => owner && chownSync(made, owner.uid, owner.gid);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  try {
    mkdirSync(files, { mode: 0o700 });
    give(files);
    await promisify(execFile)("mkfifo", ["-m", "600", stdin, stderr, words]);
  } catch (error) {
    removeFolder(path);
    throw error;
  }
  return {
    marker,
    mark: { [markerVariable]: marker },
    path,
    stdin,
    stderr,
    words,
    files,
    write(named) {
      for (const [name, content] of Object.entries(named)) {
        writeFileSync(join(files, name), content, { mode: 0o600 });
        give(join(files, name));
      }
    },
    keep(named) {
      for (const [name, content] of Object.entries(named)) writeFileSync(join(path, name), content, { mode: 0o600 });
    },
    note(pid) {
      writeFileSync(join(path, "pid"), `${pid} ${startTimeOf(pid) ?? ""}`);
    },
    remove: () => removeFolder(path),
  };
}

/**
 * Ends what an earlier gateway left behind: every process that it noted, with its descendants, and everything that carries a
 * marker of it. Only for a data folder whose lock is held. Returns how many processes were ended.
 */
export async function sweep(runFolder: string): Promise<number> {
  const markers = new Set(foldersIn(runFolder));
  if (markers.size === 0) return 0;
  const killed = await killAll(() => [
    ...[...markers].flatMap((marker) => noted(join(runFolder, marker))),
    ...markedWith(markers),
  ]);
  for (const marker of markers) removeFolder(join(runFolder, marker));
  return killed;
}

/** Removes a folder that tools can write to, and so close against being emptied. Throws only if a file descriptor is missing. */
export function removeFolder(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch (error) {
    if (isWithoutDescriptors(error)) throw error;
    try {
      openFolders(path);
      rmSync(path, { recursive: true, force: true });
    } catch (again) {
      if (isWithoutDescriptors(again)) throw again;
      // Nothing runs in it any more, and the next start tries anew: no reason for a process, or a gateway, to fail.
    }
  }
}

function openFolders(path: string): void {
  chmodSync(path, 0o700);
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) openFolders(join(path, entry.name));
}

function foldersIn(runFolder: string): string[] {
  try {
    return readdirSync(runFolder);
  } catch {
    // No process has ever run here.
    return [];
  }
}

function noted(folder: string): ProcessEntry[] {
  let text: string;
  try {
    text = readFileSync(join(folder, "pid"), "utf8");
  } catch {
    // The gateway went before it had noted the process; the marker finds it.
    return [];
  }
  const [pid, startedAt] = text.split(/ (.*)/s);
  const family = familyOf(Number(pid));
  return family[0]?.startedAt === startedAt ? family : [];
}
