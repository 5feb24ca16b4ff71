// [P3] One CLI process as an operating-system thing: a PTY for stdout and the controlling terminal, a FIFO for stdin, a FIFO for
// stderr, and one for bubblewrap's words, that are kept as a ring. It knows nothing of turns. Why each part is as it is: README.md beside this file.
import { closeSync, constants, openSync } from "node:fs";
import { Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { spawn as spawnPty } from "node-pty";
import type { Entry } from "./entry.ts";
import { createLineReader, type Line } from "./lines.ts";
import {
  boxedProgram,
  familyOf,
  killAll,
  markedWith,
  signalIfThere,
  stillThere,
  withDescriptors,
  type ProcessEntry,
} from "./process-table.ts";
import type { PrivateFolder } from "./run-folder.ts";

export interface Exit {
  readonly code: number;
  /** The signal's number; 0 for none. */
  readonly signal: number;
}

export interface ClaudeProcess {
  readonly pid: number;
  /** Resolves after the last line was given to `onLines`. Never rejects. */
  readonly exited: Promise<Exit>;
  /** Writes one whole line; resolves when the operating system has all of it, or the process is gone. Lines keep their order. */
  write(line: string): Promise<void>;
  /** The newest 64 KB of stderr, for diagnostics. */
  stderrTail(): string;
  /**
   * Ends the process and everything it started: end of stdin, SIGTERM, SIGKILL, a third of `withinMs` after each other, then the
   * sweep. Resolves when nothing of it is left, folder and file descriptors included. Interrupt a running turn before: that
   * alone makes the CLI end its tools itself.
   */
  end(withinMs: number): Promise<void>;
}

export interface StartOptions {
  readonly entry: Entry;
  readonly folder: PrivateFolder;
  /** Lines in order, as they come: the lines of one chunk together. */
  readonly onLines: (lines: Line[]) => void;
  readonly maxLineBytes?: number;
}

const stderrRingBytes = 64 * 1024;

export function startProcess({ entry, folder, onLines, maxLineBytes }: StartOptions): ClaudeProcess {
  const fifos = openFifos([folder.stdin, folder.stderr, ...(entry.isBoxed ? [folder.words] : [])]);
  const [stdinFd, stderrFd, wordsFd] = fifos as [number, number, number?];
  let pty: ReturnType<typeof spawnPty> | undefined;
  try {
    pty = spawnPty(entry.file, [...entry.args], {
      cwd: entry.cwd,
      env: { ...entry.env },
      encoding: null,
      cols: 500,
      rows: 50,
    });
    folder.note(pty.pid);
  } catch (error) {
    // A full disk: what cannot be noted must not run, since no sweep would find it.
    if (pty) signalIfThere(pty.pid, "SIGKILL");
    for (const fd of fifos) closeSync(fd);
    folder.remove();
    throw error;
  }
  // node-pty throws what it cannot name (anything but EIO) unless somebody listens.
  (pty as unknown as NodeJS.EventEmitter).on("error", () => {});

  const stdin = new Socket({ fd: stdinFd, readable: false, writable: true });
  stdin.on("error", () => stdin.destroy());
  const ring = collectWords(stderrFd, wordsFd);
  const reader = createLineReader(maxLineBytes);
  pty.onData((chunk) => {
    const lines = reader.push(chunk as unknown as Buffer);
    if (lines.length > 0) onLines(lines);
  });
  // node-pty says `exit` only when the last output has been read.
  const exited = new Promise<Exit>((resolve) => {
    pty.onExit(({ exitCode, signal }) => {
      const rest = reader.end();
      if (rest.length > 0) onLines(rest);
      stdin.destroy();
      resolve(exitOf(exitCode, signal, entry));
    });
  });

  if (entry.isBoxed) endWhenHungUp(pty, exited);

  let ending: Promise<void> | undefined;
  return {
    pid: pty.pid,
    exited,
    write: (line) =>
      new Promise((resolve) => {
        if (stdin.destroyed) return resolve();
        const gone = () => resolve();
        stdin.once("close", gone);
        stdin.write(line, () => {
          stdin.off("close", gone);
          resolve();
        });
      }),
    stderrTail: ring.tail,
    end: (withinMs) =>
      (ending ??= endProcess({ pid: pty.pid, isBoxed: entry.isBoxed }, exited, stdin, folder, withinMs).finally(
        ring.close,
      )),
  };
}

/** So long bubblewrap may take to say how its program ended, once that has nothing open any more. */
const lastWordsMs = 500;

/** Without a box the hang-up ends a program that closes its terminal and lives on. bubblewrap does not heed it. */
function endWhenHungUp(pty: ReturnType<typeof spawnPty>, exited: Promise<Exit>): void {
  (pty as unknown as NodeJS.EventEmitter).once("close", () => {
    const timer = setTimeout(() => signalIfThere(pty.pid, "SIGKILL"), lastWordsMs);
    void exited.then(() => clearTimeout(timer));
  });
}

/** Both ends are opened here and without waiting, so that the shell's own open does not block, and the other end never hangs up. */
function openFifos(paths: readonly string[]): number[] {
  const opened: number[] = [];
  try {
    for (const path of paths) opened.push(openSync(path, constants.O_RDWR | constants.O_NONBLOCK));
    return opened;
  } catch (error) {
    for (const fd of opened) closeSync(fd);
    throw error;
  }
}

/** bubblewrap ends by itself, as a shell does: with 128 and the number of the signal that ended what it ran. */
function exitOf(code: number, signal: number | undefined, { isBoxed }: Entry): Exit {
  const isSignal = isBoxed && code > 128 && code <= 128 + 64;
  return isSignal ? { code: 0, signal: code - 128 } : { code, signal: signal ?? 0 };
}

/** Of `wordsFd` only what comes before a NUL: with it bubblewrap's part is over, and whatever writes there later is no word of its. */
function collectWords(stderrFd: number, wordsFd: number | undefined): { tail: () => string; close: () => void } {
  let ring = Buffer.alloc(0);
  const add = (chunk: Buffer) => {
    ring = Buffer.concat([ring, chunk]).subarray(-stderrRingBytes);
  };
  const readers = [read(stderrFd, add)];
  if (wordsFd !== undefined) {
    const words = read(wordsFd, (chunk) => {
      const end = chunk.indexOf(0);
      add(end < 0 ? chunk : chunk.subarray(0, end));
      if (end >= 0) words.destroy();
    });
    readers.push(words);
  }
  return { tail: () => ring.toString("utf8"), close: () => readers.forEach((reader) => reader.destroy()) };
}

function read(fd: number, onData: (chunk: Buffer) => void): Socket {
  const socket = new Socket({ fd, readable: true, writable: false });
  socket.on("data", onData).on("error", () => socket.destroy());
  return socket;
}

interface Running {
  /** The child. */
  readonly pid: number;
  readonly isBoxed: boolean;
}

async function endProcess(
  { pid, isBoxed }: Running,
  exited: Promise<Exit>,
  stdin: Socket,
  folder: PrivateFolder,
  withinMs: number,
): Promise<void> {
  // Noted before anything dies: afterwards its children have another parent.
  const family: ProcessEntry[] = await withDescriptors(() => familyOf(pid));
  const stepMs = withinMs / 3;
  const isGone = (ms: number) => Promise.race([exited.then(() => true), wait(ms, false, { ref: false })]);
  stdin.destroy();
  if (!(await isGone(stepMs))) {
    await noteChildren(family, pid);
    // Sent to bubblewrap, it would kill the CLI on the spot, in the middle of a file.
    signalIfThere((isBoxed ? boxedProgram(pid) : undefined) ?? pid, "SIGTERM");
    if (!(await isGone(stepMs))) {
      await noteChildren(family, pid);
      signalIfThere(pid, "SIGKILL");
    }
  }
  await killAll(() => [...stillThere(family), ...markedWith(new Set([folder.marker]))]);
  await exited;
  await withDescriptors(folder.remove);
}

async function noteChildren(family: ProcessEntry[], pid: number): Promise<void> {
  for (const entry of await withDescriptors(() => familyOf(pid)))
    if (!family.some((known) => known.pid === entry.pid)) family.push(entry);
}
