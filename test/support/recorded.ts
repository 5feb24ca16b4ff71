// The recorded streams of the real CLI (test/fixtures/cli, made by record.ts), and what the gateway makes of them.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createLineReader } from "../../gateway/claude/lines.ts";
import { readMessage, type CliMessage } from "../../gateway/claude/messages.ts";
import { createTranslator } from "../../gateway/claude/translate.ts";
import { terminalEventTypes } from "../../gateway/protocol/codes.ts";
import type { EventOf, TerminalEvent, TurnEvent } from "../../gateway/protocol/events.ts";

const folder = join(import.meta.dirname, "../fixtures/cli");

export const recordedVersions = readdirSync(folder);

/** The prompts' ids in every recording, in order. */
export const recordedTurns = ["00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"] as const;

export function recordedScenes(version: string): string[] {
  return readdirSync(join(folder, version)).map((name) => name.replace(".ndjson", ""));
}

export function readRecording(version: string, scene: string): CliMessage[] {
  const bytes = readFileSync(join(folder, version, `${scene}.ndjson`));
  return createLineReader()
    .push(bytes)
    .flatMap((line) => (line.kind === "json" ? [readMessage(line.value)] : []));
}

const withTwoPrompts = new Set(["text", "interrupted"]);

/** Translates a recording as the driver would have: each prompt is expected once the one before has ended. */
export function translateRecording(version: string, scene: string): TurnEvent[] {
  const translator = createTranslator({ session: "s", agent: "a", newTurnId: () => "own" });
  const turns: string[] = recordedTurns.slice(0, withTwoPrompts.has(scene) ? 2 : 1);
  const events: TurnEvent[] = [];
  for (const message of readRecording(version, scene)) {
    if (translator.ours === undefined && !translator.isBusyOnItsOwn && isBeginning(message, turns[0])) {
      translator.expect(turns.shift()!);
    }
    events.push(...translator.push(message));
  }
  return events;
}

/** The first line that only a prompt brings about; in recordings of versions that do not name prompts, any `init`. */
function isBeginning(message: CliMessage, turn: string | undefined): boolean {
  if (turn === undefined) return false;
  if (message.type === "command_lifecycle") return message.command_uuid === turn;
  return message.type === "system" && message.subtype === "init" && message["user_message_uuids"] === undefined;
}

export function isTerminal(event: TurnEvent): event is TerminalEvent & TurnEvent {
  return terminalEventTypes.some((type) => type === event.type);
}

export function eventsOf<Type extends TurnEvent["type"]>(
  events: readonly TurnEvent[],
  type: Type,
): (EventOf<Type> & { turn: string | null })[] {
  return events.filter((event): event is EventOf<Type> & { turn: string | null } => event.type === type);
}

/** What a client that follows the rules has of each block at the end: `<message> <index>` → its content. */
export function applied(events: readonly TurnEvent[]): Map<string, string> {
  const blocks = new Map<string, string>();
  for (const event of events) {
    if (event.type === "content_block_start") blocks.set(`${event.message} ${event.index}`, "");
    else if (event.type === "message_discarded") {
      for (const key of blocks.keys()) {
        const [message, index] = key.split(" ");
        if (message === event.message && Number(index) >= (event.from_index ?? 0)) blocks.delete(key);
      }
    } else if (event.type === "content_block_delta" && event.delta.type !== "signature_delta") {
      const { text, thinking, partial_json } = event.delta as Record<string, string | undefined>;
      const key = `${event.message} ${event.index}`;
      blocks.set(key, (blocks.get(key) ?? "").slice(0, event.offset) + (text ?? thinking ?? partial_json ?? ""));
    }
  }
  return blocks;
}
