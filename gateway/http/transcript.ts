// GET /api/sessions/{session}/transcript: JSON page by page; Markdown and NDJSON whole and streamed, or page by page where a limit is given.
import { createHash } from "node:crypto";
import type { Context, Hono } from "hono";
import { transcriptJson } from "../formats/transcript-json.ts";
import { transcriptMarkdown, transcriptMarkdownHead } from "../formats/transcript-markdown.ts";
import { transcriptNdjson } from "../formats/transcript-ndjson.ts";
import { placeOf, placeText } from "../log/place.ts";
import {
  isKnownPlace,
  readPage,
  readTurns,
  type Page,
  type Place,
  type TranscriptScope,
} from "../log/transcript-reader.ts";
import type { TurnTranscript } from "../log/transcript.ts";
import { GatewayError } from "../protocol/errors.ts";
import { transcriptQuery, type TranscriptFormat, type TranscriptQuery } from "../protocol/transcript.ts";
import type { SessionRow } from "../store/port.ts";
import { negotiateType } from "./accept.ts";
import { approvalJson } from "./approvals.ts";
import { streamBody } from "./body.ts";
import type { Env } from "./env.ts";
import { pathId, readQuery } from "./input.ts";
import { absoluteUrl, type RouteDeps } from "./routes.ts";

export type TranscriptDeps = RouteDeps & {
  /** A bug that shows only while a reply is being sent. */
  readonly onBug: (error: unknown, requestId: string) => void;
};

const mediaTypes: Record<TranscriptFormat, string> = {
  json: "application/json",
  md: "text/markdown",
  ndjson: "application/x-ndjson",
};

const defaultLimit = 100;
/** More cannot wait at a time: a session's turns run one by one. */
const maxApprovals = 200;

export function mountTranscript(app: Hono<Env>, deps: TranscriptDeps): void {
  app.get("/api/sessions/:session/transcript", (c) => getTranscript(c, deps));
}

async function getTranscript(c: Context<Env>, deps: TranscriptDeps): Promise<Response> {
  const query = readQuery(c, transcriptQuery);
  const format = query.format ?? negotiateType(c, mediaTypes, "json");
  const after = readPlace(query.cursor);
  const id = pathId(c, "session");
  const session = await deps.store.session(c.get("caller"), id);
  if (!session) throw new GatewayError("not_found", `There is no session "${id}".`);
  const urlOf = (hash: string) => absoluteUrl(c, deps, `/api/attachments/${hash}`);
  const scope = { store: deps.store, caller: c.get("caller"), session, order: query.order, after, urlOf };
  if (after && !(await isKnownPlace(scope, after))) throw unknownCursor();
  const isPage = format === "json" || query.limit !== undefined;
  if (!isPage) deps.rates.stream(c, c.get("caller"));
  const etag = etagOf([deps.version, urlOf(""), session, format, query]);
  const isKnown = matches(c.req.header("if-none-match"), etag);
  const page = isPage && !isKnown ? await readPage(scope, query.limit ?? defaultLimit) : undefined;
  const json = page && format === "json" ? await pageJson(scope, page) : undefined;

  // All that can be refused is refused before the first header.
  c.header("ETag", etag);
  c.header("Cache-Control", "private, no-cache");
  c.header("Vary", "Accept, Authorization", { append: true });
  if (isKnown) return c.body(null, 304);
  setContentHeaders(c, session, format, query);
  if (json !== undefined) return c.body(json);
  if (page?.next) c.header("Link", `<${nextUrl(c, deps, page.next)}>; rel="next"`);
  if (page) return c.body(rendered(session, format, page));
  const onError = (error: unknown) => error instanceof GatewayError || deps.onBug(error, c.get("requestId"));
  const isGood = () => deps.isGood(c.get("identity"));
  return c.body(streamBody(whole(scope, format, isGood), { stallMs: deps.limits.write_timeout_s * 1000, onError }));
}

function setContentHeaders(
  c: Context<Env>,
  session: SessionRow,
  format: TranscriptFormat,
  { download }: TranscriptQuery,
): void {
  c.header("Content-Type", `${mediaTypes[format]}; charset=utf-8`);
  c.header("X-Content-Type-Options", "nosniff");
  // Where the live stream goes on; JSON says so itself.
  if (format !== "json") c.header("Sluice-Last-Seq", String(session.lastSeq));
  if (download === "1") c.header("Content-Disposition", `attachment; filename="session-${session.session}.${format}"`);
}

async function pageJson(scope: TranscriptScope, { messages, turns, lastSeq, next }: Page): Promise<string> {
  const { session, agent, title } = scope.session;
  return transcriptJson({
    session,
    agent,
    title,
    messages: [...messages],
    turns: [...turns],
    approvals: await pendingApprovals(scope),
    last_seq: lastSeq,
    next_cursor: next && placeText(next),
  });
}

/** Those of now: what the events after `last_seq` say of them once more does no harm. */
async function pendingApprovals({ store, caller, session }: TranscriptScope): Promise<unknown[]> {
  const filter = { session: session.session, state: "pending", limit: maxApprovals } as const;
  return (await store.approvals(caller, filter)).map(approvalJson);
}

/** [A3] A reader may take long: one whose key is revoked meanwhile gets no more of it. */
async function* whole(scope: TranscriptScope, format: TranscriptFormat, isGood: () => boolean): AsyncGenerator<string> {
  if (format === "md") yield head(scope.session);
  for await (const { turn, messages } of readTurns(scope)) {
    if (!isGood()) throw new GatewayError("unauthorized", "This key or token is not good any more.");
    yield renderedTurn(format, { turn, messages });
  }
}

/** A page, which is not streamed. */
function rendered(session: SessionRow, format: TranscriptFormat, { turns, messages }: Page): string {
  const parts = turns.map((turn) =>
    renderedTurn(format, { turn, messages: messages.filter((message) => message.turn === turn.turn) }),
  );
  return (format === "md" ? head(session) : "") + parts.join("");
}

function renderedTurn(format: TranscriptFormat, { turn, messages }: TurnTranscript): string {
  return format === "md" ? transcriptMarkdown(turn, messages) : transcriptNdjson(turn, messages);
}

function head({ session: id, agent, title }: SessionRow): string {
  return transcriptMarkdownHead({ id, agent, title });
}

function readPlace(cursor: string | undefined): Place | undefined {
  if (cursor === undefined) return undefined;
  const place = placeOf(cursor);
  if (!place) throw unknownCursor();
  return place;
}

function unknownCursor(): GatewayError {
  return new GatewayError("invalid_request", "cursor: is not the next_cursor of this session's transcript", {
    field: "cursor",
  });
}

function nextUrl(c: Context<Env>, deps: TranscriptDeps, next: Place): string {
  const { pathname, searchParams } = new URL(c.req.url);
  searchParams.set("cursor", placeText(next));
  return absoluteUrl(c, deps, `${pathname}?${searchParams.toString()}`);
}

/** Weak: what is fresh at the same event says the same, but folding may have cut it a few deltas later. */
function etagOf(parts: readonly unknown[]): string {
  return `W/"${createHash("sha256").update(JSON.stringify(parts)).digest("base64url").slice(0, 22)}"`;
}

/** `If-None-Match`: https://www.rfc-editor.org/rfc/rfc9110#field.if-none-match */
function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  const opaque = etag.slice(2);
  return header.trim() === "*" || header.split(",").some((tag) => tag.trim().replace(/^W\//, "") === opaque);
}
