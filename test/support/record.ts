// Records what the real CLI writes to its stdout, for test/fixtures/cli: `node test/support/record.ts [path of a claude binary [scene…]]`.
// One file a scene and version, without this machine's paths and ids.
import { randomUUID } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildCommand } from "../../gateway/claude/command.ts";
import type { Line } from "../../gateway/claude/lines.ts";
import { locateCli } from "../../gateway/claude/locate.ts";
import { bareEntry } from "../../gateway/claude/entry.ts";
import { startProcess } from "../../gateway/claude/process.ts";
import { jsonLine, promptLine } from "../../gateway/claude/prompt-line.ts";
import { makePrivateFolder } from "../../gateway/claude/run-folder.ts";
import { openScene, readAgent, type Scene } from "./real-cli.ts";
import { until } from "./wait.ts";

interface Recording {
  readonly agent?: Parameters<typeof readAgent>[0];
  readonly prompts: readonly string[];
  /** Interrupts each turn once this many deltas have come. */
  readonly interruptAfter?: number;
  /** `result` lines to wait for, where it is not one a prompt. */
  readonly results?: number;
}

const bash = (command: string, more = {}) => `demo:tool Bash ${JSON.stringify({ command, ...more })}`;

const recordings: Record<string, Recording> = {
  text: { prompts: ["demo:text Grüße, 世界 🌍", "demo:text A second turn of the same process."] },
  thinking: { prompts: ["demo:thinking Let me see."] },
  tool: { agent: { allowed_tools: ["Bash(echo:*)"] }, prompts: [`${bash("echo one")}\ndemo:text Done.`] },
  "two-tools": {
    agent: { allowed_tools: ["Bash(echo:*)"] },
    prompts: [
      'demo:tools [{"name":"Bash","input":{"command":"echo one"}},{"name":"Bash","input":{"command":"echo two"}}]\ndemo:text Done.',
    ],
  },
  denied: { prompts: [`${bash("touch x")}\ndemo:text Then not.`] },
  subagent: {
    prompts: [
      'demo:tool Agent {"description":"a look","prompt":"demo:text I looked.","subagent_type":"general-purpose"}\ndemo:text It looked.',
    ],
  },
  "subagent-tools": {
    agent: { allowed_tools: ["Bash(echo:*)", "Agent"] },
    prompts: [
      `demo:tool Agent ${JSON.stringify({
        description: "a look",
        prompt: `demo:tools ${JSON.stringify(["one", "two"].map((word) => ({ name: "Bash", input: { command: `echo ${word}` } })))}\n${bash("echo three")}\ndemo:text I looked.`,
        subagent_type: "general-purpose",
      })}\ndemo:text It looked.`,
    ],
  },
  overloaded: { prompts: ["demo:error status=529 times=1"] },
  unauthorized: { prompts: ["demo:error status=401"] },
  limit: { prompts: ["demo:limit status=rejected"] },
  cut: { prompts: ["demo:cut after=3"] },
  "cut-second-block": { prompts: ["demo:cut before=Kept after=12 rate=20"] },
  "cut-late": { prompts: ["demo:cut after=12 rate=20"] },
  interrupted: { prompts: ["demo:long words=4000 rate=200", "demo:text Still there."], interruptAfter: 5 },
  slash: { agent: { slash_commands: true }, prompts: ["/cost"] },
  "max-turns": {
    agent: { allowed_tools: ["Bash(echo:*)"], max_model_turns: 1 },
    prompts: [`${bash("echo one")}\ndemo:text Done.`],
  },
  "own-turn": {
    agent: { allowed_tools: ["Bash"], background_tasks: true },
    prompts: [`${bash("sleep 1", { run_in_background: true })}\ndemo:text It runs.\ndemo:text It is done.`],
    results: 2,
  },
};

/** Fields that no test reads and that are long, or of this machine. */
const leftOut = new Set(["pid", "commands", "models", "skills", "slash_commands", "plugins", "messaging_socket_path"]);

const binary = process.argv[2] ?? (await locateCli(undefined, "")).path;
const { version } = await locateCli(binary, "");
const folder = join(import.meta.dirname, "../fixtures/cli", version);
mkdirSync(folder, { recursive: true });
const chosen = process.argv.slice(3);
for (const [name, recording] of Object.entries(recordings)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  const scene = await openScene();
  const lines = await record(scene, recording);
  await scene.close();
  const names = new Map<string, string>();
  writeFileSync(
    join(folder, `${name}.ndjson`),
    lines.map((line) => `${neutral(line, scene.folder, names)}\n`).join(""),
  );
  process.stdout.write(`${version} ${name}: ${lines.length} lines\n`);
}

async function record(scene: Scene, { agent, prompts, interruptAfter, results }: Recording): Promise<string[]> {
  const recorded: string[] = [];
  let seen = 0;
  const settings = readAgent(agent);
  const privateFolder = await makePrivateFolder(scene.runFolder);
  const command = buildCommand({
    origin: { kind: "new" },
    agent: settings,
    session: randomUUID(),
    workspace: scene.workspace,
    privateFolder: privateFolder.files,
    environment: scene.environment,
    marker: privateFolder.marker,
  });
  privateFolder.write(command.files);
  const entry = bareEntry(binary, command, privateFolder);
  const child = startProcess({ entry, folder: privateFolder, onLines });
  await ask({ subtype: "initialize" });
  for (const [index, prompt] of prompts.entries()) {
    const turn = `00000000-0000-4000-8000-00000000000${index + 1}`;
    await child.write(promptLine(turn, [{ type: "text", text: prompt }], settings));
    if (interruptAfter !== undefined && index === 0) {
      await until("deltas", () => recorded.filter((line) => line.includes("text_delta")).length >= interruptAfter);
      await ask({ subtype: "interrupt" });
    }
    await until("the result", () => seen > index, 60_000);
  }
  await until("all results", () => seen >= (results ?? prompts.length), 60_000);
  await child.end(4500);
  return recorded;

  function ask(request: Record<string, unknown>): Promise<void> {
    return child.write(jsonLine({ type: "control_request", request_id: randomUUID(), request }));
  }

  function onLines(lines: Line[]): void {
    for (const line of lines) {
      if (line.kind === "noise") continue;
      recorded.push(JSON.stringify(line.value));
      if (line.value["type"] === "result") seen++;
      const request = line.value["request"] as { subtype?: string } | undefined;
      if (line.value["type"] === "control_request" && request?.subtype === "can_use_tool")
        void child.write(
          jsonLine({
            type: "control_response",
            response: {
              subtype: "success",
              request_id: line.value["request_id"],
              response: { behavior: "deny", message: "Not here." },
            },
          }),
        );
    }
  }
}

/** A line without what belongs to this machine; long lists are cut to five entries, UUIDs are numbered. */
function neutral(line: string, sceneFolder: string, names: Map<string, string>): string {
  const value: unknown = JSON.parse(line, (key, inner: unknown) => {
    if (leftOut.has(key)) return undefined;
    return Array.isArray(inner) && inner.length > 5 ? inner.slice(0, 5) : inner;
  });
  return JSON.stringify(value)
    .replaceAll(sceneFolder, "/scene")
    .replaceAll(sceneFolder.replaceAll("/", "-"), "-scene")
    .replaceAll(/\/tmp\/claude-\d+/g, "/cli-tmp")
    .replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (uuid) => {
      if (uuid.startsWith("00000000-")) return uuid;
      if (!names.has(uuid)) names.set(uuid, `10000000-0000-4000-8000-${String(names.size + 1).padStart(12, "0")}`);
      return names.get(uuid)!;
    });
}
