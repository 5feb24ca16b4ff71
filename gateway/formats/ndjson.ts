// Newline-delimited JSON: the same objects as in Server-Sent Events, one a line.
import { gapJson, wireJson, type Format } from "./format.ts";

export const ndjson: Format = {
  name: "ndjson",
  contentType: "application/x-ndjson; charset=utf-8",
  isShared: true,
  encode: (events) => events.map((event) => `${wireJson(event)}\n`).join(""),
  ping: '{"type":"ping"}\n',
  gap: (event) => `${gapJson(event)}\n`,
  sessionDeleted: '{"type":"session_deleted","turn":null}\n',
  goodbye: () => null,
};
