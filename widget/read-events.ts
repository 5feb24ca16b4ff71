// Events without a stream: read up to a place that is known to be there. Loaded when they are wanted so.
import type { Api } from "./api.ts";
import { ApiProblem } from "./problem.ts";
import { patienceMs } from "./tokens.ts";
import type { WireEvent } from "./transcript.ts";

export interface Part {
  readonly api: Api;
  readonly session: string;
  readonly after: number;
  /** Reads on to the event with this `seq`, which must be there. */
  readonly until: number;
  readonly onEvent: (event: WireEvent) => void;
  readonly signal: AbortSignal;
}

/** Rejects with an `ApiProblem` where it did not get so far. */
export async function readEvents({ api, session, after, until, onEvent, signal }: Part): Promise<void> {
  if (after >= until) return;
  const init = {
    headers: { Accept: "application/x-ndjson" },
    // What is there already does not take so long, and a dead line would never end.
    signal: AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]),
  };
  const reply = await api.request("GET", `/api/sessions/${session}/events?after=${after}`, init);
  const reader = reply.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const lines = (rest + part.value).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        const event = JSON.parse(line) as WireEvent;
        if (event.type !== "ping") onEvent(event);
        if ((event.seq ?? 0) >= until) return;
      }
    }
  } finally {
    // The stream has no end of its own.
    void reader.cancel().catch(() => {});
  }
  throw new ApiProblem("unreachable", 0, "The events broke off.");
}
