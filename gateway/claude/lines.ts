// [P4] Bytes of the PTY → values of JSON lines, in any chunking. A bounded incremental parser: the one buffer holds the
// unfinished line, at most `maxLineBytes`; what is longer is dropped up to its end and reported, as is what is nested too deep to be
// written as JSON again. Pure, never throws.
import { isNestedDeeper, maxLevels } from "../protocol/nesting.ts";

/** A line as a value. `noise` is a line that is no JSON object, or none to go on with; its text is cut to 2,000 characters. */
export type Line =
  | { readonly kind: "json"; readonly value: Record<string, unknown> }
  | {
      readonly kind: "noise";
      readonly reason: "not_json" | "too_long" | "too_deep" | "incomplete";
      readonly text: string;
    };

export interface LineReader {
  /** The lines that this chunk completes, in order. */
  push(chunk: Uint8Array): Line[];
  /** What is left when the stream has ended: a last line without its end, or nothing. */
  end(): Line[];
}

export const defaultMaxLineBytes = 64 * 1024 * 1024;

const newline = 0x0a;
const maxNoiseChars = 2000;

export function createLineReader(maxLineBytes: number = defaultMaxLineBytes): LineReader {
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  let isDropping = false;

  function keep(bytes: Uint8Array): void {
    if (bytes.length === 0 || isDropping) return;
    pending.push(bytes);
    pendingBytes += bytes.length;
    if (pendingBytes > maxLineBytes) {
      isDropping = true;
      // No more than the limit even where more came at once: what is reported must not depend on the chunking.
      pending = [Buffer.from(Buffer.concat(pending).subarray(0, Math.min(maxNoiseChars, maxLineBytes)))];
    }
  }

  function take(isWhole: boolean): Line | undefined {
    const bytes = pending.length === 1 ? pending[0]! : Buffer.concat(pending);
    const wasDropping = isDropping;
    pending = [];
    pendingBytes = 0;
    isDropping = false;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
    if (wasDropping) return noise("too_long", text);
    return readLine(text, isWhole);
  }

  return {
    push(chunk) {
      const lines: Line[] = [];
      let from = 0;
      for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
        keep(chunk.subarray(from, at));
        from = at + 1;
        const line = take(true);
        if (line) lines.push(line);
      }
      // A copy, which a Buffer's own `slice` is not: the sender may use the chunk's memory again.
      keep(new Uint8Array(chunk.subarray(from)));
      return lines;
    },
    end() {
      const line = take(false);
      return line ? [line] : [];
    },
  };
}

function readLine(raw: string, isWhole: boolean): Line | undefined {
  const clean = parseObject(raw.trim());
  if (clean) return bounded(clean, raw);
  const text = withoutControls(raw);
  const value =
    parseObject(text) ??
    // Text that something wrote to the terminal without a line end stands in front of the JSON.
    parseObject(fromBrace(text)) ??
    // So does a control string without its end: by the terminal's rules it would take the JSON with it.
    parseObject(withoutControls(fromBrace(raw)));
  if (value) return bounded(value, raw);
  const visible = text.replaceAll("\u007f", "");
  if (visible === "") return undefined;
  return noise(isWhole ? "not_json" : "incomplete", visible);
}

function bounded(value: Record<string, unknown>, raw: string): Line {
  // Every level takes two characters: most lines are too short to need a look.
  const mayBeDeep = raw.length > 2 * maxLevels;
  return mayBeDeep && isNestedDeeper(value, maxLevels) ? noise("too_deep", raw) : { kind: "json", value };
}

function fromBrace(text: string): string {
  const brace = text.indexOf('{"');
  return brace > 0 ? text.slice(brace) : "";
}

function parseObject(text: string): Record<string, unknown> | undefined {
  if (!text.startsWith("{")) return undefined;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    // Not JSON after all: the line is reported as noise.
    return undefined;
  }
}

function noise(reason: Extract<Line, { kind: "noise" }>["reason"], text: string): Line {
  return { kind: "noise", reason, text: text.slice(0, maxNoiseChars) };
}

/**
 * Takes out of a line what steers a terminal: ECMA-48's CSI, string sequences (OSC, DCS, SOS, PM, APC) and two-character escapes,
 * then single control characters. Inside JSON none of them can stand raw, so nothing of the text is lost.
 */
function withoutControls(raw: string): string {
  return raw
    .replace(/\u001b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[ -/]*[0-Z\\`-~])/g, "")
    .replace(/[\u0000-\u0008\u000b-\u001f]/g, "")
    .trim();
}
