import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { jsonBody, openGateway, type OwnGateway, type Turn } from "../support/gateway.ts";
import { openScene, type Scene } from "../support/real-cli.ts";
import { until } from "../support/wait.ts";

let scene: Scene;
let gateway: OwnGateway;
beforeAll(async () => {
  scene = await openScene();
  gateway = await openGateway(scene, {
    agents: [{ name: "tester", allowed_tools: ["Bash"], spares: 1, box: { read: [process.execPath] } }],
    limits: { process_memory_mb: 900 },
  });
});
afterAll(async () => {
  await gateway.close();
  await scene.close();
});

interface Processes {
  readonly live: number;
  readonly spare: number;
  readonly memory_mb: number;
}

async function processes(): Promise<Processes> {
  const reply = await gateway.fetch("/api/agents/tester");
  return ((await reply.json()) as { now: { processes: Processes } }).now.processes;
}

const tell = async (prompt: string) => {
  const reply = await gateway.fetch("/api/agents/tester/message", jsonBody({ prompt }, { prefer: "wait=60" }));
  return (await reply.json()) as Turn;
};

describe("the pool with the real CLI", () => {
  test("[P6] a tool that takes too much memory ends the process: its turn says so, and the session goes on", async () => {
    const spare = await until(
      "a spare, measured",
      async () => {
        const now = await processes();
        return now.spare === 1 && now.memory_mb > 0 && now;
      },
      30_000,
    );
    // One idle process: some 150 MB.
    expect(spare.memory_mb).toBeGreaterThan(50);
    expect(spare.memory_mb).toBeLessThan(900);
    const first = await tell("demo:text I keep this in mind.");
    const script = "globalThis.kept = Buffer.alloc(1200 * 1024 * 1024, 1); setTimeout(() => {}, 120_000)";
    const eater = `demo:tool Bash ${JSON.stringify({ command: `${process.execPath} -e '${script}'` })}`;
    const failed = await tell(eater);
    expect(failed).toMatchObject({
      state: "failed",
      session: first.session,
      code: "process_died",
      retryable: true,
      message: "The CLI was ended: with its tools it took more than 900 MB of memory.",
    });
    const next = await tell("demo:text And go on.");
    expect(next).toMatchObject({ state: "completed", session: first.session });
    expect(JSON.stringify(scene.requests.at(-1)!.body.messages)).toContain("I keep this in mind.");
    await until("what took it to be gone", async () => (await processes()).memory_mb < 900, 30_000);
  });
});
