// The real CLI with the demo model as its API: a made-up credential, and a home, data folder and workspace of its own.
import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDriver, type Driver, type DriverOptions, type TurnRequest } from "../../gateway/claude/driver.ts";
import { locateCli } from "../../gateway/claude/locate.ts";
import { startDemoModel, type DemoModel, type DemoModelOptions, type ModelRequest } from "../../gateway/demo/model.ts";
import { agentConfig, type AgentConfig } from "../../gateway/protocol/agents.ts";
import type { TerminalEvent, TurnEvent } from "../../gateway/protocol/events.ts";
import type { PromptBlock } from "../../gateway/protocol/prompt.ts";
import type { z } from "zod";

export interface Scene {
  readonly folder: string;
  readonly runFolder: string;
  readonly workspace: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Every request that reached the model, in order. */
  readonly requests: ModelRequest[];
  readonly model: DemoModel;
  /** The npm-installed CLI. */
  readonly binary: string;
  /** Starts a process; it is ended with the scene. */
  drive(
    options?: Partial<Omit<DriverOptions, "agent">> & { agent?: Partial<z.input<typeof agentConfig>> },
  ): Promise<Driven>;
  close(): Promise<void>;
}

export interface Driven {
  readonly driver: Driver;
  readonly session: string;
  /** Everything that the process gave, in order. */
  readonly events: TurnEvent[];
  /** Runs one turn with a text prompt. */
  say(prompt: string | PromptBlock[]): Promise<Turn>;
  /** Starts a turn and leaves it running. */
  begin(prompt: string | PromptBlock[]): { readonly turn: string; readonly ended: Promise<Turn> };
}

export interface Turn {
  readonly turn: string;
  readonly ending: TerminalEvent;
  readonly events: TurnEvent[];
}

/** A made-up credential, as every test uses it. */
export const madeUpToken = "made-up-token-for-tests";

export async function openScene(
  extraEnvironment: Record<string, string | undefined> = {},
  modelOptions: Pick<DemoModelOptions, "chars"> = {},
): Promise<Scene> {
  const folder = mkdtempSync(join(tmpdir(), "sluice-test-"));
  const [home, runFolder, workspace] = ["home", "run", "workspace"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  for (const path of [home, runFolder, workspace]) mkdirSync(path);
  const requests: ModelRequest[] = [];
  const model = await startDemoModel({ ...modelOptions, onRequest: (request) => requests.push(request) });
  const { path: binary } = await locateCli(undefined, "");
  const environment = {
    PATH: process.env["PATH"],
    HOME: home,
    ANTHROPIC_BASE_URL: model.url,
    CLAUDE_CODE_OAUTH_TOKEN: madeUpToken,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    CLAUDE_CODE_MAX_RETRIES: "1",
    ...extraEnvironment,
  };
  const drivers: Driver[] = [];
  const bugs: unknown[] = [];
  return {
    folder,
    runFolder,
    workspace,
    environment,
    requests,
    model,
    binary,
    async drive({ agent, ...options } = {}) {
      const events: TurnEvent[] = [];
      const driver = await startDriver({
        binary,
        session: randomUUID(),
        workspace,
        runFolder,
        environment,
        onEvents: (batch) => events.push(...batch),
        onBug: (error) => bugs.push(error),
        ...options,
        agent: readAgent(agent),
      });
      drivers.push(driver);
      return drivenBy(driver, events);
    },
    async close() {
      await Promise.all(drivers.map((driver) => driver.end()));
      await model.close();
      rmSync(folder, { recursive: true, force: true });
      if (bugs.length > 0) throw new AggregateError(bugs, "drivers have met bugs");
    },
  };
}

/** An agent of these fields, with defaults. */
export function readAgent(fields: Partial<z.input<typeof agentConfig>> = {}): AgentConfig {
  return agentConfig.parse({ name: "tester", ...fields });
}

/** A driver with the events that it gives. */
export function drivenBy(driver: Driver, events: TurnEvent[]): Driven {
  const begin = (prompt: string | PromptBlock[]) => {
    const request: TurnRequest = {
      turn: randomUUID(),
      prompt: typeof prompt === "string" ? [{ type: "text", text: prompt }] : prompt,
    };
    const ended = driver.run(request).then((ending) => ({
      turn: request.turn,
      ending,
      events: events.filter((event) => event.turn === request.turn),
    }));
    return { turn: request.turn, ended };
  };
  return { driver, session: driver.session, events, begin, say: (prompt) => begin(prompt).ended };
}
