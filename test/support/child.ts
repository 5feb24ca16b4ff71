// Node processes of the tests' own: a TypeScript file of this folder, started by the Node that runs the tests.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

export interface NodeChild {
  readonly process: ChildProcess;
  readonly pid: number;
  /** The first line of its stdout; rejects, with its stderr, where it ends without one. */
  readonly firstLine: Promise<string>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
}

export function startNode(file: string, ...args: string[]): NodeChild {
  const path = new URL(file, import.meta.url).pathname;
  const child = spawn(process.execPath, [path, ...args], { stdio: ["pipe", "pipe", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const exited = once(child, "exit");
  const firstLine = new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", resolve);
    child.once("close", () => reject(new Error(`${file} ended without a word: ${said.slice(-2000)}`)));
  });
  return {
    process: child,
    pid: child.pid!,
    firstLine,
    async kill() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
