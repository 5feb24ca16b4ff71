// The tools that give agents work and follow it: message_agent, read_turn, cancel_turn, answer_approval.
import { z } from "zod";
import { agentName } from "../protocol/agents.ts";
import { turnStates } from "../protocol/codes.ts";
import type { Caller } from "../protocol/callers.ts";
import { GatewayError } from "../protocol/errors.ts";
import { answerApproval, createTurn } from "../protocol/requests.ts";
import { validated } from "../protocol/validated.ts";
import type { ApprovalRow } from "../store/port.ts";
import { hasEnded } from "../turns/machine.ts";
import type { TurnView } from "../turns/turns.ts";
import { addTool, readsOnly, type Scene, type ToolAnswer } from "./tool.ts";

/**
 * How long a call may wait, in milliseconds. The CLI of a supervising agent is told to wait for longer than its turn may run; other clients give
 * a call up after a minute.
 */
const longestWaitMs = { supervisor: 24 * 60 * 60 * 1000, other: 50_000 };
/** A longer answer is cut: a client would keep it from its model, or cut it itself. */
const maxAnswerChars = 50_000;

const id = (what: string) => z.uuid(`must be the id of ${what}`).toLowerCase();
const turnId = id("a turn").describe("the turn's id, as message_agent gave it");

const message = z.strictObject({
  agent: agentName.describe("the agent's name, see list_agents"),
  prompt: z.string().describe("the message: all that the agent needs to know for it"),
  wait: z.boolean().default(true).describe("wait for the answer; false returns at once, with the turn's id"),
  session: id("a session").optional().describe("go on in this session instead"),
  reset: z.boolean().default(false).describe("begin a new session, which knows nothing of what was said before"),
});

const approvalShown = z.object({
  approval: z.string(),
  tool: z.string(),
  input: z.unknown(),
  reason: z.string().nullable(),
  expires_at: z.string(),
});

const turnShown = z.object({
  turn: z.string(),
  session: z.string(),
  agent: z.string(),
  state: z.enum(turnStates),
  position: z.number().nullable().describe("its place in the queue, 1 is next; null once it runs"),
  answer: z.string().optional().describe("the agent's last message, once the turn is completed"),
  failure: z.object({ code: z.string(), message: z.string(), retryable: z.boolean() }).optional(),
  said: z.string().optional().describe("what a failed or cancelled turn had said"),
  approvals: z.array(approvalShown).optional().describe("tool calls that wait for a decision"),
  note: z.string().optional().describe("what to do next"),
});

type TurnShown = z.infer<typeof turnShown>;

export function addTurnTools(scene: Scene): void {
  addTool(scene, "message_agent", {
    title: "Message an agent",
    description:
      "Gives an agent work, in the session that you have with it: it remembers what was said there before. Waits for the answer unless wait is false. " +
      "Messages that are sent with wait: true are answered one after the other; to have several agents work at the same time, send each its message with " +
      "wait: false and read the answers with read_turn.",
    input: message,
    output: turnShown,
    hints: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
    run: (caller, input) => messageAgent(scene, caller, input),
  });
  addTool(scene, "read_turn", {
    title: "Read a turn",
    description:
      "The state of a turn, and its answer once there is one. With wait: true it waits until the turn has ended, or asks for a decision (see answer_approval).",
    input: z.strictObject({ turn: turnId, wait: z.boolean().default(false) }),
    output: turnShown,
    hints: readsOnly,
    run: (caller, { turn, wait }) => readTurn(scene, caller, turn, wait),
  });
  addTool(scene, "cancel_turn", {
    title: "Cancel a turn",
    description:
      "Ends a turn that runs or waits, and its tools. What it had said is kept. A turn that has ended is left as it is.",
    input: z.strictObject({ turn: turnId }),
    output: turnShown,
    hints: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
    run: async (caller, { turn }) => answerOf(await scene.turns.cancel(caller, turn), []),
  });
  addTool(scene, "answer_approval", {
    title: "Answer an approval",
    description:
      "Allows or denies a tool call of an agent that waits for a decision, or answers its question. Allow only what the work that you gave it needs. The first answer counts.",
    input: z.strictObject({
      approval: id("an approval").describe("the approval's id, as read_turn or message_agent gave it"),
      decision: z.enum(["allow", "deny"]),
      message: answerApproval.shape.message.describe("with a deny: what the agent is told"),
      answers: answerApproval.shape.answers.describe(
        "with an allow of AskUserQuestion: question → chosen label, or labels, or own words",
      ),
      scope: z
        .enum(["once", "session"])
        .default("once")
        .describe("session: allow the tool for the rest of the agent's session"),
    }),
    output: z.object({ approval: z.string(), turn: z.string(), session: z.string(), decision: z.string() }),
    hints: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false },
    run: (caller, { approval, ...answer }) => decide(scene, caller, approval, answer),
  });
}

async function messageAgent(
  scene: Scene,
  caller: Caller,
  input: z.infer<typeof message>,
): Promise<ToolAnswer<TurnShown>> {
  const { agent, prompt, session, reset, wait } = input;
  if (session !== undefined && reset)
    throw new GatewayError("invalid_request", "reset: begins a new session, so it does not go with session");
  const request = validated(createTurn, { prompt, agent, session });
  await scene.countTurn(caller);
  const standing = session === undefined ? { reset } : undefined;
  const { turn } = await scene.turns.create(caller, { ...request, standing });
  return readTurn(scene, caller, turn, wait);
}

async function readTurn(scene: Scene, caller: Caller, id: string, wait: boolean): Promise<ToolAnswer<TurnShown>> {
  const longest = caller.as ? longestWaitMs.supervisor : longestWaitMs.other;
  const { turn, approvals } = await whileGood(scene, (signal) =>
    scene.turns.follow(caller, id, { ms: wait ? longest : 0, signal }),
  );
  return answerOf(turn, approvals);
}

/** [A3] Waits as long as the client is there; one whose key is revoked meanwhile gets nothing any more. */
async function whileGood<Result>(
  { isGood, checkMs, gone }: Scene,
  wait: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const revoked = new AbortController();
  const checks = setInterval(() => isGood() || revoked.abort(), checkMs);
  const result = await wait(AbortSignal.any([gone, revoked.signal])).finally(() => clearInterval(checks));
  if (!isGood()) throw new GatewayError("unauthorized", "This key or token is not good any more.");
  return result;
}

async function decide({ turns }: Scene, caller: Caller, approval: string, given: Record<string, unknown>) {
  const { session, turn, resolved } = await turns.approvals.answer(caller, approval, validated(answerApproval, given));
  const decision = resolved?.decision ?? String(given["decision"]);
  return {
    data: { approval, turn, session, decision },
    text: `Decided: ${decision}. Turn ${turn} goes on; read_turn follows it.`,
  };
}

function answerOf(turn: TurnView, open: readonly ApprovalRow[]): ToolAnswer<TurnShown> {
  const { turn: id, session, agent, state, position, ending } = turn;
  const data: TurnShown = { turn: id, session, agent, state, position };
  if (ending?.type === "turn_completed") data.answer = shortened(ending.answer);
  if (ending?.type === "turn_failed") {
    const { code, message, retryable } = ending;
    data.failure = { code, message, retryable };
  }
  if (ending && ending.type !== "turn_completed" && hasWords(ending.text)) data.said = shortened(ending.text);
  if (open.length > 0)
    data.approvals = open.map(({ approval, requested: { tool, input, reason, expires_at } }) => ({
      approval,
      tool,
      input,
      reason,
      expires_at,
    }));
  const note = noteOf(turn, open.length);
  if (note !== undefined) data.note = note;
  return { data, text: textOf(data) };
}

function noteOf({ state, turn }: TurnView, open: number): string | undefined {
  if (hasEnded(state)) return undefined;
  if (open > 0)
    return "It waits for a decision: answer_approval gives it. Or read_turn with wait: true waits for another one's, and for the turn's end.";
  return `It goes on. read_turn with {"turn": "${turn}", "wait": true} waits for its answer.`;
}

function textOf({
  turn,
  session,
  agent,
  state,
  position,
  answer,
  failure,
  said,
  approvals = [],
  note,
}: TurnShown): string {
  const place = position === null ? "" : ` at place ${position}`;
  return [
    `${agent}: ${state}${place} (turn ${turn}, session ${session})`,
    answer,
    failure && `${failure.code}: ${failure.message}`,
    said && `It had said:\n${said}`,
    ...approvals.map(({ approval, tool, input }) => `Approval ${approval}: ${tool} ${JSON.stringify(input)}`),
    note,
  ]
    .filter((part) => part !== undefined)
    .join("\n\n");
}

/** A text that was too large for its event is not there: the log has a reference in its place. */
function shortened(text: unknown): string {
  if (typeof text !== "string") return "(The answer is too long to stand here: read_transcript has it.)";
  if (text.length <= maxAnswerChars) return text;
  const rest = text.length - maxAnswerChars;
  return `${text.slice(0, maxAnswerChars).toWellFormed()}\n(${rest} more characters: read_transcript has them.)`;
}

function hasWords(text: unknown): boolean {
  return text !== "";
}
