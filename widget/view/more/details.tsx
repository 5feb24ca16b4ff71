// What a turn has used.
import type { Turn } from "../../transcript.ts";
import { useWords } from "../scene.ts";

export function Details({ turn: { usage, costUsd, durationMs, model } }: { readonly turn: Turn }) {
  const say = useWords();
  const facts = [
    model !== null && say("model", { model }),
    durationMs !== null && say("duration", { time: say.duration(durationMs) }),
    usage &&
      say("tokens", { input: say.number(usage.input_tokens ?? 0), output: say.number(usage.output_tokens ?? 0) }),
    costUsd !== null && say("cost", { cost: say.cost(costUsd) }),
  ].filter(Boolean);
  return <p class="muted details">{facts.join(" · ")}</p>;
}
