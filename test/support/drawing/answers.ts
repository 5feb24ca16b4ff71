// Answers of one shape in any size, as the events of a turn that a stream brings: their text comes in deltas of four characters, as a
// model's tokens do.
import type { EventBody } from "../../../gateway/protocol/events.ts";
import { blockStop, completed, deltasOf, queued } from "../log-drafts.ts";
import { inPieces } from "../markdown/render.ts";

/** An event as an EventSource gives it: its name and its `data`. */
export type Frame = readonly [type: string, data: string];

export const shapeNames = ["mixed", "code", "list", "paragraph", "table", "tools"] as const;

export type ShapeName = (typeof shapeNames)[number];

export const session = "00000000-0000-4000-8000-000000000001";

const deltaLength = 4;
const kilobyte = 1024;
const turn = "turn-1";

/** Markdown of so many kilobytes: in ASCII, so of as many characters. `tools` has none of its own, and is mixed between its calls. */
export function markdownOf(shape: ShapeName, kilobytes: number): string {
  const length = kilobytes * kilobyte;
  const { begin = "", part } = texts[shape];
  let text = begin;
  for (let index = 1; text.length < length; index++) text += part(index);
  return text.slice(0, length);
}

/** A whole turn, from its place in the queue to its end. */
export function answerOf(shape: ShapeName, kilobytes: number): Frame[] {
  return turnOf(shape === "tools" ? callsOf(kilobytes) : messageOf("m1", markdownOf(shape, kilobytes)));
}

/** A turn that answers with this Markdown. */
export function answerWith(text: string): Frame[] {
  return turnOf(messageOf("m1", text));
}

function turnOf(said: readonly EventBody[]): Frame[] {
  const begun: EventBody = { ...queued(session), prompt: [{ type: "text", text: "Go on" }] };
  const bodies: EventBody[] = [begun, { type: "turn_moved", position: null }, ...said, completed("")];
  return bodies.map((body, at) => [body.type, JSON.stringify({ ...body, seq: at + 1, turn })]);
}

/** How many deltas there are in it. */
export function deltasIn(frames: readonly Frame[]): number {
  return frames.filter(([type]) => type === "content_block_delta").length;
}

const texts: Readonly<Record<ShapeName, { readonly begin?: string; readonly part: (index: number) => string }>> = {
  mixed: {
    part: (index) =>
      [
        `## Part ${index} of it`,
        `The tide of *day ${index}* is **out**, and [the pier](https://example.org/${index}) stands in \`mud\`. Boats lie on their ` +
          "sides, gulls walk between them, and whoever wants to cross to the island can do so until about four in the afternoon.",
        `- first of ${index}, with **words**\n- second, with \`code\`\n  - and one within it\n- third`,
        `\`\`\`ts\nconst depth${index} = read(${index});\nif (depth${index} > 2) {\n  warn("deep", depth${index});\n}\n\`\`\``,
        `| place | depth ${index} | since |\n|---|--:|---|\n| pier | 0.${index} | noon |\n| quay | 1.${index} | **ten** |`,
        `> As they say: wait for number ${index}.`,
        "1. Look at the table\n2. Look at the sea\n3. Walk",
      ].join("\n\n") + "\n\n",
  },
  // Of no language that is highlighted: that is done once, when a block of up to 30,000 characters closes, and measured for itself.
  code: { begin: "```text\n", part: (index) => `const value${index} = compute(${index}, "of this line");\n` },
  list: { part: (index) => `- item ${index} with **words** and \`code\` in it\n` },
  paragraph: { part: (index) => `word${index} goes *on* and **on**, with \`code\` and [a link](/${index}), ` },
  table: { begin: "| a | b | c |\n|---|---|--:|\n", part: (index) => `| cell ${index} | **two** | \`three\` |\n` },
  tools: { part: (index) => `Step **${index}** comes now: it reads what the one before has written.\n` },
};

function messageOf(message: string, text: string): EventBody[] {
  return [
    { type: "message_start", message: { id: message, model: "a-model" } },
    { type: "content_block_start", message, index: 0, content_block: { type: "text", text: "" } },
    ...deltasOf(inPieces(text, deltaLength), { message }),
    blockStop(message),
    { type: "message_stop", message },
  ];
}

/** Messages with words and the call of a tool each; a quarter of all is the input of the last, which writes a long file. */
function callsOf(kilobytes: number): EventBody[] {
  const events: EventBody[] = [];
  const length = (kilobytes * kilobyte * 3) / 4;
  for (let index = 1, said = 0; said < length; index++) {
    const words = texts.tools.part(index);
    const input = JSON.stringify({
      command: `grep -rn "depth${index}" src | sort | head -${index}`,
      description: "Looks for what is used, in all of the folders that there are, and sorts it by where it was found",
    });
    said += words.length + input.length;
    events.push(...callOf(index, words, "Bash", input));
  }
  const file = { file_path: "/pier/depths.txt", content: "0.4 m at noon, 1.2 m at ten\n".repeat(length / 3 / 29) };
  return [...events, ...callOf(0, "And all of it into a file.\n", "Write", JSON.stringify(file))];
}

function callOf(index: number, words: string, name: string, input: string): EventBody[] {
  const message = `m${index}`;
  const id = `call-${index}`;
  return [
    ...messageOf(message, words).slice(0, -1),
    { type: "content_block_start", message, index: 1, content_block: { type: "tool_use", id, name, input: {} } },
    ...deltasOf(inPieces(input, deltaLength), { message, index: 1, type: "input_json_delta" }),
    blockStop(message, 1),
    { type: "message_stop", message },
    {
      type: "tool_result",
      tool_use_id: id,
      content: "one line\nand another\n".repeat(10),
      is_error: false,
      parent_tool_use_id: null,
    },
  ];
}
