import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import { measureMemory } from "../../../gateway/claude/process-memory.ts";

const megabyte = 1024 * 1024;
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

/** A node that fills so much memory; with `below`, in a child of its own too. Says when it is there, and ends with its stdin. */
async function eater(own: number, below = 0): Promise<ChildProcess> {
  const fill = (bytes: number) => `globalThis.kept = Buffer.alloc(${bytes}, 1)`;
  const grandchild = `${fill(below)}; console.log("there"); process.stdin.resume()`;
  const script = [
    fill(own),
    below === 0
      ? 'console.log("there")'
      : `require("child_process").spawn(process.execPath, ["-e", ${JSON.stringify(grandchild)}], { stdio: "inherit" })`,
    "process.stdin.resume()",
  ].join(";");
  const child = spawn(process.execPath, ["-e", script], { stdio: ["pipe", "pipe", "inherit"] });
  children.push(child);
  await once(child.stdout, "data");
  return child;
}

describe("the memory of processes", () => {
  test("is what each takes, with its descendants", async () => {
    const [alone, parent] = [await eater(200 * megabyte), await eater(50 * megabyte, 300 * megabyte)];
    const bytes = await measureMemory([alone.pid!, parent.pid!]);
    expect(bytes.get(alone.pid!)).toBeGreaterThan(200 * megabyte);
    expect(bytes.get(alone.pid!)).toBeLessThan(350 * megabyte);
    expect(bytes.get(parent.pid!)).toBeGreaterThan(350 * megabyte);
    const own = await measureMemory([process.pid]);
    expect(own.get(process.pid)).toBeGreaterThan(bytes.get(alone.pid!)! + bytes.get(parent.pid!)!);
  });

  test("of one that is gone is not there", async () => {
    const child = await eater(0);
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(await measureMemory([child.pid!])).toEqual(new Map());
  });
});
