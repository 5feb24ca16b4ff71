// What a turn has used.
import type { Turn } from "../../transcript.ts";
import { useWords } from "../scene.ts";
import { compact, dollars } from "./amounts.ts";

export function Details({ turn: { usage, costUsd, durationMs, model } }: { readonly turn: Turn }) {
  const say = useWords();
  const facts = [
    model !== null && say("model", { model }),
    durationMs !== null && say("duration", { time: say.duration(durationMs) }),
    usage &&
      say("tokens", { input: compact(usage.input_tokens ?? 0, say), output: compact(usage.output_tokens ?? 0, say) }),
    costUsd !== null && say("cost", { cost: dollars(costUsd, say) }),
  ].filter(Boolean);
  return <p class="muted details">{facts.join(" · ")}</p>;
}
