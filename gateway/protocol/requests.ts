// Bodies and queries of requests. Unknown fields are errors; a problem reply names the field.
import { z } from "zod";
import { agentName } from "./agents.ts";
import { permissionModes, turnStates } from "./codes.ts";
import { prompt } from "./prompt.ts";
import { maxSearchWords, wordsOf } from "./words.ts";

/** In lower case, as all ids of the gateway are. */
const uuid = z.uuid("must be a UUID").toLowerCase();
/** Half a surrogate pair cannot be stored: what is kept instead would be another user's name. */
export const userName = z
  .string()
  .min(1)
  .max(200)
  .refine((name) => name.isWellFormed(), "must be well-formed text: it has half a surrogate pair");

/** At most so many characters of JSON; the caller gets them back in `turn_queued`. */
const smallJson = z
  .unknown()
  .refine((value) => JSON.stringify(value).length <= 64 * 1024, "must be at most 64 KB of JSON");

/** `POST /api/turns` */
export const createTurn = z.strictObject({
  prompt,
  agent: agentName.optional(),
  session: uuid.optional(),
  user: userName.optional(),
  on_busy: z.enum(["queue", "reject", "interrupt"]).default("queue"),
  context: smallJson.optional(),
  metadata: smallJson.optional(),
  model: z.string().min(1).max(200).optional(),
  permission_mode: z.enum(permissionModes).optional(),
  turn_timeout_s: z.number().positive().max(86_400).optional(),
  /** Where the CLI has lost the session: go on from what our log has of it. */
  continue_from: z.literal("transcript").optional(),
});

export type CreateTurn = z.infer<typeof createTurn>;

/** `POST /api/agents/{name}/message`: for the caller's standing session; `reset` begins another one. */
export const messageAgent = z.strictObject({ prompt, reset: z.boolean().default(false) });

/** `DELETE /api/agents/{name}` */
export const removeAgent = z.strictObject({
  force: z.enum(["true", "false"]).default("false"),
  user: userName.optional(),
});

/** `?limit=` of a list. */
const limit = wholeNumber(1, 200).default(50);
/** `?cursor=` of a list whose cursors are ids. */
const idCursor = z.uuid("must be the next_cursor of an earlier page").toLowerCase().optional();

/** A number of a query, which is a text. */
export function wholeNumber(least: number, most: number) {
  const error = `must be a whole number from ${least} to ${most}`;
  return z
    .string(error)
    .regex(/^\d{1,15}$/, error)
    .transform(Number)
    .pipe(z.number().min(least, error).max(most, error));
}

/** `GET /api/turns` */
export const listTurns = z.strictObject({
  limit,
  cursor: idCursor,
  session: uuid.optional(),
  agent: agentName.optional(),
  state: z.enum(turnStates).optional(),
  user: userName.optional(),
});

/** `GET /api/approvals` */
export const listApprovals = z.strictObject({
  limit,
  cursor: idCursor,
  session: uuid.optional(),
  state: z.enum(["pending", "resolved"]).default("pending"),
  user: userName.optional(),
});

/** `POST /api/approvals/{approval}` */
export const answerApproval = z
  .strictObject({
    decision: z.enum(["allow", "deny"]),
    /** With a deny: what the model is told. */
    message: z.string().max(10_000).optional(),
    /** With an allow: the tool's input, changed. */
    input: z.record(z.string(), z.unknown()).optional(),
    /** With an allow of `AskUserQuestion`: question → the chosen label, or labels, or words of one's own. */
    answers: z
      .record(z.string(), z.union([z.string().max(10_000), z.array(z.string().max(10_000)).max(20)]))
      .optional(),
    scope: z.enum(["once", "session"]).default("once"),
  })
  .superRefine((answer, context) => {
    const misplaced = (field: "message" | "input" | "answers" | "scope", decision: string) =>
      context.addIssue({ code: "custom", path: [field], message: `goes only with the decision "${decision}"` });
    if (answer.decision === "allow" && answer.message !== undefined) misplaced("message", "deny");
    if (answer.decision === "allow") return;
    if (answer.input !== undefined) misplaced("input", "allow");
    if (answer.answers !== undefined) misplaced("answers", "allow");
    if (answer.scope === "session") misplaced("scope", "allow");
  });

export type AnswerApproval = z.infer<typeof answerApproval>;

const title = z.string().trim().min(1).max(200);

/** `POST /api/sessions` */
export const createSession = z.strictObject({
  agent: agentName.optional(),
  user: userName.optional(),
  title: title.optional(),
});

/** `PATCH /api/sessions/{session}` */
export const changeSession = z.strictObject({ title });

/** `POST /api/sessions/{session}/fork`: behind a turn, or at the end. */
export const forkSession = z.strictObject({ turn: uuid.optional(), title: title.optional() });

const time = z.iso
  .datetime({ offset: true, message: "must be a time such as 2026-01-31T12:00:00Z" })
  .transform((text) => Date.parse(text));

/** `GET /api/sessions` */
export const listSessions = z.strictObject({
  limit,
  cursor: z.string().max(200).optional(),
  agent: agentName.optional(),
  user: userName.optional(),
  state: z.enum(turnStates).optional(),
  since: time.optional(),
  until: time.optional(),
  q: z
    .string()
    .trim()
    .min(1, "must not be empty")
    .max(500, "must be at most 500 characters")
    .refine((text) => wordsOf(text).length <= maxSearchWords, `must be at most ${maxSearchWords} words`)
    .optional(),
});

/** `PUT /api/turns/{turn}/rating`; null takes it back. */
export const rateTurn = z
  .strictObject({ rating: z.enum(["up", "down"]).nullable(), comment: z.string().trim().min(1).max(2000).optional() })
  .refine(({ rating, comment }) => rating !== null || comment === undefined, {
    path: ["comment"],
    message: "goes only with a rating",
  });

const date = z.iso.date("must be a day such as 2026-01-31");

/** `GET /api/usage`: days of UTC, both inclusive. */
export const readUsage = z.strictObject({
  by: z.enum(["day", "agent", "user", "api_key_source"]).default("day"),
  since: date.optional(),
  until: date.optional(),
  user: userName.optional(),
});

const origins = z
  .array(
    z
      .string()
      .refine(
        (text) => URL.canParse(text) && new URL(text).origin === text,
        "must be an origin such as https://intranet.example",
      ),
  )
  .min(1);

/** `DELETE /api/tokens`: `key` is whose user it is, of an administrator's choice. */
export const revokeTokens = z.strictObject({ user: userName, key: z.string().min(1).max(100).optional() });

/** `POST /api/tokens`: of a service key for one of its users, or of a page's visitor for a public agent. */
export const createToken = z.strictObject({
  user: userName.optional(),
  agent: agentName.optional(),
  agents: z.array(agentName).min(1).optional(),
  origins: origins.optional(),
  expires_in: z.int("must be whole seconds").min(10).max(86_400).default(900),
});
