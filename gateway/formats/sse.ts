// Server-Sent Events: https://html.spec.whatwg.org/multipage/server-sent-events.html. `id` is the event's `seq`. Data is one line of
// JSON, which has no raw line break, so no field can be injected.
import { gapJson, wireJson, type Format } from "./format.ts";

export const sse: Format = {
  name: "sse",
  contentType: "text/event-stream; charset=utf-8",
  isShared: true,
  encode: (events) =>
    events.map((event) => `id: ${event.seq}\nevent: ${event.type}\ndata: ${wireJson(event)}\n\n`).join(""),
  // Not a comment, and not without data: EventSource shows neither to the page.
  ping: 'event: ping\ndata: {"type":"ping"}\n\n',
  gap: (event) => `event: gap\ndata: ${gapJson(event)}\n\n`,
  sessionDeleted: 'event: session_deleted\ndata: {"type":"session_deleted","turn":null}\n\n',
  goodbye: (reconnectMs) => `retry: ${Math.round(reconnectMs)}\n\n`,
};
