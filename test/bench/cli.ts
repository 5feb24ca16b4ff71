// One CLI in the ways that the benchmark compares: under our driver, on plain pipes, run anew for each prompt, and under the Agent
// SDK. All with the same binary, environment and demo model.
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { buildCommand } from "../../gateway/claude/command.ts";
import type { BoxOpener } from "../../gateway/claude/launch.ts";
import { createLineReader } from "../../gateway/claude/lines.ts";
import { jsonLine, promptLine } from "../../gateway/claude/prompt-line.ts";
import { readAgent, type Scene } from "../support/real-cli.ts";

/** What a turn took, in milliseconds from its prompt (or from the start of the process, where that comes after). */
export interface Took {
  readonly firstDeltaMs: number;
  readonly allMs: number;
}

/** A process that takes prompts, one after the other. */
export interface LiveCli {
  /** It is up and has answered `initialize`. */
  readonly ready: Promise<unknown>;
  ask(prompt: string): Promise<Took>;
  close(): Promise<void>;
}

/** Measures one turn: `delta` at each delta, `end` at the end. */
function stopwatch(): { delta(): void; end(): void; readonly took: Promise<Took> } {
  const startedAt = performance.now();
  const { promise: took, resolve } = Promise.withResolvers<Took>();
  let firstDeltaMs: number | undefined;
  return {
    delta: () => (firstDeltaMs ??= performance.now() - startedAt),
    end: () => resolve({ firstDeltaMs: firstDeltaMs ?? Number.NaN, allMs: performance.now() - startedAt }),
    took,
  };
}

export interface DrivenCli extends LiveCli {
  readonly pid: number;
}

/** Under our driver: a PTY, translated to events; in a box if there is one for its session. */
export async function driverCli(scene: Scene, boxOf?: (session: string) => Promise<BoxOpener>): Promise<DrivenCli> {
  let watch = stopwatch();
  const session = randomUUID();
  const { driver } = await scene.drive({
    session,
    box: await boxOf?.(session),
    onEvents(events) {
      for (const { type } of events)
        if (type === "content_block_delta") watch.delta();
        else if (type === "turn_completed") watch.end();
    },
  });
  return {
    pid: driver.pid,
    ready: driver.ready,
    ask(text) {
      watch = stopwatch();
      void driver.run({ turn: randomUUID(), prompt: [{ type: "text", text }] });
      return watch.took;
    },
    close: () => driver.end(),
  };
}

/** The same command on plain pipes, its lines parsed and no more. */
export function pipesCli(scene: Scene): LiveCli {
  const agent = readAgent();
  const { args, env, cwd, files } = buildCommand({
    agent,
    session: randomUUID(),
    origin: { kind: "new" },
    workspace: scene.workspace,
    privateFolder: scene.runFolder,
    environment: scene.environment,
    marker: randomUUID(),
  });
  for (const [name, content] of Object.entries(files)) writeFileSync(join(scene.runFolder, name), content);
  const child = spawn(scene.binary, args, { cwd, env, stdio: ["pipe", "pipe", "ignore"] });
  const reader = createLineReader();
  const { promise: ready, resolve: setReady } = Promise.withResolvers<void>();
  let watch = stopwatch();
  child.stdout.on("data", (chunk: Buffer) => {
    for (const line of reader.push(chunk)) {
      if (line.kind !== "json") continue;
      const { type } = line.value;
      if (type === "control_response") setReady();
      else if (type === "result") watch.end();
      else if (isDelta(line.value)) watch.delta();
    }
  });
  child.stdin.write(
    jsonLine({ type: "control_request", request_id: randomUUID(), request: { subtype: "initialize" } }),
  );
  return {
    ready,
    ask(text) {
      watch = stopwatch();
      child.stdin.write(promptLine(randomUUID(), [{ type: "text", text }], agent));
      return watch.took;
    },
    close: () => ended(child),
  };
}

/** `claude -p` for one prompt, as a script would call it. */
export async function printOnce(scene: Scene, prompt: string): Promise<Took> {
  const watch = stopwatch();
  const child = spawn(
    scene.binary,
    ["-p", prompt, "--output-format", "stream-json", "--include-partial-messages", "--verbose"],
    { cwd: scene.workspace, env: environmentOf(scene), stdio: ["ignore", "pipe", "ignore"] },
  );
  const reader = createLineReader();
  child.stdout.on("data", (chunk: Buffer) => {
    for (const line of reader.push(chunk)) if (line.kind === "json" && isDelta(line.value)) watch.delta();
  });
  child.once("exit", watch.end);
  return watch.took;
}

/** The part of the Agent SDK that is used here; it is installed for the benchmark alone. */
interface Sdk {
  query(call: { prompt: string | AsyncIterable<unknown>; options: Record<string, unknown> }): AsyncIterable<{
    readonly type: string;
  }>;
}

async function loadSdk(): Promise<Sdk> {
  const path = createRequire(join(import.meta.dirname, "package.json")).resolve("@anthropic-ai/claude-agent-sdk");
  return (await import(pathToFileURL(path).href)) as Sdk;
}

const sdkOptions = (scene: Scene) => ({
  pathToClaudeCodeExecutable: scene.binary,
  cwd: scene.workspace,
  env: environmentOf(scene),
  includePartialMessages: true,
});

/** The SDK's `query()` for one prompt. */
export async function sdkOnce(scene: Scene, prompt: string): Promise<Took> {
  const { query } = await loadSdk();
  const watch = stopwatch();
  for await (const message of query({ prompt, options: sdkOptions(scene) })) if (isDelta(message)) watch.delta();
  watch.end();
  return watch.took;
}

/** The SDK's streaming-input mode: one `query()` for many prompts. */
export async function sdkCli(scene: Scene): Promise<LiveCli> {
  const { query } = await loadSdk();
  const prompts = new TransformStream<unknown, unknown>();
  const writer = prompts.writable.getWriter();
  let watch = stopwatch();
  const messages = query({ prompt: prompts.readable, options: sdkOptions(scene) });
  const done = (async () => {
    for await (const message of messages)
      if (isDelta(message)) watch.delta();
      else if (message.type === "result") watch.end();
  })();
  return {
    ready: Promise.resolve(),
    ask(prompt) {
      watch = stopwatch();
      const message = { role: "user", content: [{ type: "text", text: prompt }] };
      void writer.write({ type: "user", session_id: "", parent_tool_use_id: null, message });
      return watch.took;
    },
    async close() {
      await writer.close();
      await done;
    },
  };
}

function isDelta(value: object): boolean {
  const { event } = value as { event?: { type?: unknown } };
  return event?.type === "content_block_delta";
}

function environmentOf(scene: Scene): Record<string, string> {
  return Object.fromEntries(
    Object.entries(scene.environment).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

function ended(child: ReturnType<typeof spawn>): Promise<void> {
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.stdin?.end();
  });
}
