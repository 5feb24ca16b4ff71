// What the gateway does with the CLI's bytes (lines, messages, translation) beside a bare JSON.parse of the same bytes.
import { randomUUID } from "node:crypto";
import { createLineReader } from "../../../gateway/claude/lines.ts";
import { readMessage } from "../../../gateway/claude/messages.ts";
import { createTranslator } from "../../../gateway/claude/translate.ts";
import { takeTurns, type Benchmark } from "../bench.ts";

const deltas = 20_000;
/** As node-pty reads. */
const chunkBytes = 4096;
const turn = randomUUID();

const rowNames = {
  bare: "parse: bare JSON.parse of each line",
  lines: "parse: lines",
  messages: "parse: lines, messages",
  all: "parse: lines, messages, translation",
};

export const benchmark: Benchmark = {
  name: "Parsing and translating a stream of 20,000 deltas",
  ratios: [{ name: "bare JSON.parse against all of our reading", of: rowNames.bare, to: rowNames.all, target: "≤ 4" }],
  run({ rounds }) {
    const bytes = recording();
    const measures = { bare, lines, messages, all };
    for (const measure of Object.values(measures)) for (let i = 0; i < 3; i++) measure(bytes);
    return takeTurns(
      rounds,
      "events/s",
      Object.fromEntries(
        Object.entries(measures).map(([key, measure]) => [
          rowNames[key as keyof typeof rowNames],
          () => rate(() => measure(bytes)),
        ]),
      ),
    );
  },
};

function rate(measure: () => number): number {
  const startedAt = performance.now();
  const events = measure();
  return (events / (performance.now() - startedAt)) * 1000;
}

/** A stream as 2.1.330 writes it. */
function recording(): Buffer {
  const session = randomUUID();
  const lines: unknown[] = [
    { type: "system", subtype: "init", session_id: session, model: "m", tools: [], user_message_uuids: [turn] },
  ];
  const stream = (event: unknown) =>
    lines.push({
      type: "stream_event",
      event,
      session_id: session,
      parent_tool_use_id: null,
      uuid: randomUUID(),
      api_message_id: "msg_1",
    });
  stream({ type: "message_start", message: { id: "msg_1", model: "m", content: [] } });
  stream({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } });
  for (let i = 0; i < deltas; i++)
    stream({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: `word ${i} ` } });
  stream({ type: "content_block_stop", index: 0 });
  return Buffer.from(lines.map((line) => `${JSON.stringify(line)}\r\n`).join(""));
}

function bare(bytes: Buffer): number {
  return bytes
    .toString("utf8")
    .split("\n")
    .filter((line) => line !== "" && typeof JSON.parse(line) === "object").length;
}

function* chunksOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

function lines(bytes: Buffer): number {
  const reader = createLineReader();
  let count = 0;
  for (const chunk of chunksOf(bytes)) count += reader.push(chunk).length;
  return count;
}

function messages(bytes: Buffer): number {
  const reader = createLineReader();
  let count = 0;
  for (const chunk of chunksOf(bytes))
    for (const line of reader.push(chunk))
      if (line.kind === "json" && readMessage(line.value).type !== "unknown") count++;
  return count;
}

function all(bytes: Buffer): number {
  const reader = createLineReader();
  const translator = createTranslator({ session: "s", agent: "a", newTurnId: randomUUID });
  translator.expect(turn);
  let count = 0;
  for (const chunk of chunksOf(bytes))
    for (const line of reader.push(chunk))
      if (line.kind === "json") count += translator.push(readMessage(line.value)).length;
  return count;
}
