// How calls are played: as turns of the gateway on the grounds, or by a plain CLI.
import { randomUUID } from "node:crypto";
import { chownSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { jsonBody, type Client } from "../gateway.ts";
import { openReader, type WireEvent } from "../reader.ts";
import { until } from "../wait.ts";
import type { ModelRequest } from "../../../gateway/demo/model.ts";
import { asUser } from "./checkout.ts";
import { attackers, type Attacker, type AttackerName } from "./attackers.ts";
import type { Grounds } from "./grounds.ts";
import { promptOf, startPlainCli, type PlainCli } from "./plain-cli.ts";
import type { Desk } from "./try.ts";

export interface Played {
  readonly session: string;
  /** Undefined with a plain CLI. */
  readonly turn?: string;
  /** The answers to its calls, in their order, as far as they went. */
  readonly results: readonly string[];
  /** Everything that the turn's stream showed. */
  readonly stream: string;
  /** For further turns of the session. */
  readonly desk?: Desk;
}

export type Player = (at: Grounds, name: AttackerName, prompt: string) => Promise<Played>;

/** What the model was sent in a session, in its newest request. */
export function modelHeard({ scene }: Grounds, session: string): string {
  type Named = ModelRequest["body"] & { readonly metadata?: { readonly user_id?: string } };
  const isOfSession = ({ body }: ModelRequest) => (body as Named).metadata?.user_id?.includes(session) ?? false;
  return JSON.stringify(scene.requests.findLast(isOfSession)?.body.messages ?? []);
}

export const playByGateway: Player = async (at, name, prompt) => {
  const attacker: Attacker = attackers[name];
  const client = await at.clientOf(attacker, name);
  if (attacker.supervisor !== undefined) return playBelow(at, client, attacker.supervisor, name, prompt);
  const first = await say(client, attacker, prompt, { agent: name });
  const desk: Desk = {
    client,
    session: first.session,
    async say(calls, session = first.session) {
      const { results, stream } = await say(client, attacker, promptOf(calls.map((call) => [call])), { session });
      return [...results, stream, modelHeard(at, session)].join("\n");
    },
  };
  return { ...first, desk };
};

const longestTurnS = 240;

/** Runs a turn to its end; the person answers all its approvals. */
async function say(
  client: Client,
  { answer }: Attacker,
  prompt: string,
  where: { readonly agent?: string; readonly session?: string },
): Promise<Played> {
  const { turn, session, events_url } = await client.post(prompt, { turn_timeout_s: longestTurnS, ...where });
  const reader = await openReader(events_url, { headers: client.headers });
  const answered = new Set<unknown>();
  let isCut = false;
  void reader.ended.then(() => (isCut = true));
  const isNews = (event: WireEvent) =>
    isEnding(event) || (event.type === "approval_requested" && !answered.has(event["approval"]));
  for (;;) {
    const event = await until(
      "an ending or a question",
      () => reader.events.find(isNews) ?? isCut,
      1000 * longestTurnS + 10_000,
    );
    // Cut off: the gateway is gone. Without a box some tries end it.
    if (event === true || isEnding(event)) break;
    answered.add(event["approval"]);
    // It may have been taken back meanwhile.
    await client.fetch(`/api/approvals/${String(event["approval"])}`, jsonBody({ decision: answer }));
  }
  reader.leave();
  return { session, turn, results: resultsIn(reader.events), stream: JSON.stringify(reader.events) };
}

function isEnding({ type }: WireEvent): boolean {
  return /^turn_(completed|failed|cancelled)$/.test(type);
}

/** The same in a session of a supervised agent: its supervisor is told to give it the work. */
async function playBelow(
  at: Grounds,
  client: Client,
  supervisor: string,
  name: AttackerName,
  prompt: string,
): Promise<Played> {
  const work = { name: "mcp__sluice__message_agent", input: { agent: name, prompt, wait: true } };
  await say(client, attackers[name], promptOf([[work]]), { agent: supervisor });
  const { turns } = (await (await client.fetch(`/api/turns?agent=${name}`)).json()) as {
    turns: { turn: string; session: string; events_url: string }[];
  };
  const { turn, session, events_url } = turns[0]!;
  const reader = await openReader(events_url, { headers: client.headers });
  await reader.find("its ending", isEnding);
  reader.leave();
  return { session, turn, results: resultsIn(reader.events), stream: JSON.stringify(reader.events) };
}

/** The answers to a turn's own calls, not to those of its subagents. */
function resultsIn(events: readonly WireEvent[]): string[] {
  const own = events.filter((event) => (event["parent_tool_use_id"] ?? null) === null);
  const answers = new Map(
    own
      .filter(({ type }) => type === "tool_result")
      .map((event) => [event["tool_use_id"], JSON.stringify(event["content"])]),
  );
  return own
    .filter(({ type }) => type === "content_block_start")
    .map((event) => event["content_block"] as { type: string; id?: string })
    .filter(({ type }) => type === "tool_use")
    .flatMap(({ id }) => answers.get(id) ?? []);
}

export interface PlainSession {
  readonly session: string;
  readonly cli: PlainCli;
}

/** A plain CLI with the settings of an attacker's agent and the operator's home. */
export function openPlainSession(at: Grounds, name: AttackerName): PlainSession {
  const { agent, answer }: Attacker = attackers[name];
  const { permission_mode = "default", allowed_tools = [], workspace } = agent(at);
  const session = randomUUID();
  const allowed = allowed_tools.length > 0 ? [`--allowed-tools=${allowed_tools.join(",")}`] : [];
  const cli = startPlainCli({
    binary: at.scene.binary,
    args: [`--session-id=${session}`, `--permission-mode=${permission_mode}`, ...allowed],
    cwd: workspace ?? ownFolder(at),
    environment: { ...at.scene.environment, CLAUDE_CODE_TMPDIR: ownFolder(at) },
    prefix: at.uid === undefined ? [] : asUser(at.uid),
    answer,
  });
  return { session, cli };
}

export const playPlainly: Player = async (at, name, prompt) => {
  const { session, cli } = openPlainSession(at, name);
  try {
    return { session, ...(await cli.play(prompt)) };
  } finally {
    await cli.end();
  }
};

function ownFolder({ folder, uid }: Grounds): string {
  const path = mkdtempSync(join(folder, "plain-"));
  if (uid !== undefined) chownSync(path, uid, uid);
  return path;
}
