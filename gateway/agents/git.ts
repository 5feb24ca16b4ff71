// Calls of git that run nothing a repository could bring: its hooks, monitors, editors, pagers, signing and transports are off, nothing of the
// operator's own configuration is read, and of the environment git gets only where programs are. Filters and drivers of a repository are
// the one thing that no switch turns off: what reads or writes a work tree goes through a private git folder (private-git.ts).
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { markerVariable } from "../claude/command.ts";
import { findOnPath } from "../claude/locate.ts";
import { SetupError } from "../protocol/errors.ts";

export interface GitCall {
  readonly cwd: string;
  /** `GIT_DIR` and its like. */
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: Buffer;
  /** What is more is cut off, and git is ended. */
  readonly maxBytes?: number;
  readonly timeoutMs?: number;
}

export interface GitOutput {
  readonly bytes: Buffer;
  readonly isCut: boolean;
}

export interface Git {
  /** Rejects with a `GitFailure` where git does not end with 0, and with a `SetupError` where there is none. */
  run(args: readonly string[], call: GitCall): Promise<GitOutput>;
  /** Ends what runs, and runs no more. */
  close(): void;
}

export interface GitOptions {
  readonly path: string | undefined;
  /** `<data>/run`: what a killed gateway leaves of its calls is swept with the processes that are noted there [P3]. */
  readonly runFolder: string;
}

/** `stderr` is for the operator: it may name folders. `exitCode` is null where git did not run to its end. */
export class GitFailure extends Error {
  override readonly name = "GitFailure";
  readonly stderr: string;
  readonly exitCode: number | null;

  constructor(command: string, why: string, { stderr, exitCode }: Pick<GitFailure, "stderr" | "exitCode">) {
    super(`git ${command} ${why}: ${stderr.trim()}`);
    this.stderr = stderr;
    this.exitCode = exitCode;
  }
}

const maxStderrChars = 16 * 1024;
const defaultTimeoutMs = 60_000;
const defaultMaxBytes = 16 * 1024 * 1024;
/** For git to take its lock files away; then it is killed. */
const lastWordsMs = 3000;

/** Command line settings stand before whatever a repository says. */
const settings = [
  "core.hooksPath=/dev/null",
  // A gateway that is root works in the repositories of those that its sessions run as.
  "safe.directory=*",
  "core.fsmonitor=false",
  "core.editor=:",
  "core.sshCommand=false",
  "credential.helper=",
  "gc.auto=0",
  "submodule.recurse=false",
].flatMap((setting) => ["-c", setting]);

const fixedEnvironment: Readonly<Record<string, string>> = {
  LC_ALL: "C",
  // Where a repository includes or names something of the home folder, it finds nothing.
  HOME: "/nonexistent",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_ATTR_NOSYSTEM: "1",
  GIT_TERMINAL_PROMPT: "0",
  GIT_PAGER: "cat",
  GIT_OPTIONAL_LOCKS: "0",
  GIT_NO_REPLACE_OBJECTS: "1",
  // A partial clone fetches what it misses, by a remote's own helper program. No protocol is allowed; newer versions do not even try.
  GIT_ALLOW_PROTOCOL: "",
  GIT_NO_LAZY_FETCH: "1",
};

export function createGit({ path, runFolder }: GitOptions): Git {
  const abort = new AbortController();
  const marker = randomUUID();
  const markerFolder = join(runFolder, marker);

  async function run(args: readonly string[], call: GitCall): Promise<GitOutput> {
    const binary = locateGit(path);
    mkdirSync(markerFolder, { recursive: true, mode: 0o700 });
    const env = { ...fixedEnvironment, PATH: path ?? "", [markerVariable]: marker, ...call.env };
    return runGit(binary, args, { ...call, env, signal: abort.signal });
  }

  return {
    run,
    close() {
      abort.abort();
      rmSync(markerFolder, { recursive: true, force: true });
    },
  };
}

/** The absolute path of git. Throws a `SetupError`. */
export function locateGit(path: string | undefined): string {
  const found = findOnPath("git", path ?? "");
  if (found !== undefined) return found;
  throw new SetupError(
    "git_missing",
    "git was not found on PATH.",
    'Install it (Debian: apt-get install git). Agents with "worktree": true need it.',
  );
}

interface Spawned extends GitCall {
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

function runGit(binary: string, args: readonly string[], call: Spawned): Promise<GitOutput> {
  const { cwd, env, input, signal, maxBytes = defaultMaxBytes, timeoutMs = defaultTimeoutMs } = call;
  return new Promise((resolve, reject) => {
    const fail = (why: string, exitCode: number | null = null) =>
      reject(new GitFailure(args[0]!, why, { stderr, exitCode }));
    const chunks: Buffer[] = [];
    let size = 0;
    let stderr = "";
    let why: string | undefined;
    if (signal.aborted) return fail("was not begun: the gateway is shutting down");
    const child = spawn(binary, ["--no-pager", ...settings, ...args], { cwd, env, stdio: "pipe" });
    let isStopped = false;
    const stop = (reason?: string) => {
      if (isStopped) return;
      isStopped = true;
      why = reason;
      child.kill("SIGTERM");
      setTimeout(() => child.kill("SIGKILL"), lastWordsMs).unref();
    };
    const onAbort = () => stop("was ended: the gateway is shutting down");
    signal.addEventListener("abort", onAbort, { once: true });
    const timer = setTimeout(() => stop(`took longer than ${timeoutMs} ms`), timeoutMs);
    child.stdout.on("data", (chunk: Buffer) => {
      if (size <= maxBytes) chunks.push(chunk);
      size += chunk.length;
      if (size > maxBytes) stop();
    });
    child.stderr.on("data", (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-maxStderrChars)));
    // It may end before it has read all.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    };
    child.once("error", (error) => {
      done();
      fail(`could not be started (${error.message})`);
    });
    child.once("close", (code, by) => {
      done();
      if (why !== undefined) return fail(why);
      const isCut = size > maxBytes;
      if (code !== 0 && !isCut) return fail(by === null ? `ended with ${code}` : `was ended by ${by}`, code);
      resolve({ bytes: Buffer.concat(chunks).subarray(0, maxBytes), isCut });
    });
  });
}

/** The lines of what git printed. */
export function linesOf({ bytes }: GitOutput): string[] {
  return bytes.toString().split("\n").slice(0, -1);
}
