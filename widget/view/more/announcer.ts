// What a screen reader is told, in regions that are always there and that nobody sees: that an answer begins, what tools do (at most every 5 s),
// the finished answer (a long one by its length); and as alerts what waits for a person and what went wrong. Never a word as it streams.
import type { ChatEvent } from "../../chat.ts";
import type { Signal } from "@preact/signals";
import type { ToolWords } from "../tools/tool-words.ts";
import type { Say } from "../words.ts";
import { text as markdown, tools } from "../chunks.ts";

export interface Announcer {
  onEvent(event: ChatEvent): void;
  destroy(): void;
}

export interface AnnouncerOptions {
  /** What the two regions say. */
  readonly polite: Signal<string>;
  readonly alert: Signal<string>;
  readonly words: () => Say;
  /** The answer of a turn as it is drawn, without marks. */
  readonly plainText: (turn: string) => string;
  readonly now?: () => number;
}

const toolPauseMs = 5000;
const longAnswer = 600;

export function createAnnouncer(options: AnnouncerOptions): Announcer {
  const { polite, alert, words, plainText, now = Date.now } = options;
  let lastTool = -Infinity;
  /** The turn that was last said to begin. */
  let begun: string | undefined;
  /** The same words again are no change to a screen reader. */
  const speak = (region: typeof polite, text: string) => {
    region.value = region.peek() === text ? `${text}\u00a0` : text;
  };
  const timers = new Set<ReturnType<typeof setTimeout>>();
  let isGone = false;

  function sayAnswer(turn: string, fallback: string): void {
    const text = plainText(turn) || fallback;
    const count = text.split(/\s+/).filter(Boolean).length;
    speak(polite, text.length <= longAnswer ? words()("answer_done", { text }) : words()("answer_long", { count }));
  }

  /** The words for a tool come with the code that draws it. */
  function describe(tool: string, use: (words: ToolWords) => void): void {
    const unknown: ToolWords = {
      icon: "",
      verb: "tool_other",
      name: tool,
      target: "",
      isCode: false,
      exact: null,
      path: null,
      question: "approve_other",
    };
    void tools().then(
      (chunk) => use(chunk.describeTool(tool, undefined)),
      () => use(unknown),
    );
  }

  /** Once the answer is drawn: until the code for that is there it stands with its marks. */
  function whenDrawn(act: () => void): void {
    void markdown().then(
      () => soon(act),
      () => soon(act),
    );
  }

  /** After the next drawing. */
  function soon(act: () => void): void {
    if (isGone) return;
    const timer = setTimeout(() => {
      timers.delete(timer);
      act();
    }, 100);
    timers.add(timer);
  }

  return {
    onEvent(event) {
      const say = words();
      switch (event.type) {
        case "turn":
          if (event.state === "cancelled") speak(polite, say("stopped"));
          // Not again behind an approval.
          if (event.state === "running" && event.turn !== begun) speak(polite, say("answer_begins"));
          if (event.state === "running") begun = event.turn;
          return;
        case "tool": {
          if (now() - lastTool < toolPauseMs) return;
          lastTool = now();
          const state = event.state === "started" ? "running" : event.state;
          return describe(event.name, ({ verb, name }) =>
            speak(polite, `${say(verb, { tool: name })}: ${say(`tool_${state}`)}`),
          );
        }
        case "answer":
          return whenDrawn(() => sayAnswer(event.turn, event.text));
        case "approval": {
          if (event.decision !== null) return;
          return describe(event.tool, ({ question, name }) => speak(alert, say(question, { tool: name })));
        }
        case "error":
          speak(alert, say.code(event.code) ?? event.detail);
          return;
        case "status":
        case "session":
      }
    },
    destroy() {
      isGone = true;
      for (const timer of timers) clearTimeout(timer);
    },
  };
}
