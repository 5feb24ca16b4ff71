// HTTP as bytes on a socket, for what no proper client would send.
import { connect, type Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";

export interface RawReply {
  /** Of the first reply; 0 where none came. */
  readonly status: number;
  /** How many replies came: more than were asked for means that something was smuggled in. */
  readonly replies: number;
  readonly text: string;
  readonly closedBy: "server" | "us";
}

export interface RawOptions {
  /** Between two pieces. */
  readonly paceMs?: number;
  /** We close when the server has been silent for so long after its first reply. */
  readonly silentMs?: number;
  /** We close after so long, whatever came. */
  readonly withinMs?: number;
}

/** Sends the pieces one by one, as long as the server takes them, and reads until it closes, or is silent behind its reply. */
export async function sendRaw(
  address: string,
  pieces: Iterable<string | Uint8Array>,
  { paceMs = 0, silentMs = 300, withinMs = 20_000 }: RawOptions = {},
): Promise<RawReply> {
  const { hostname, port } = new URL(address);
  const socket = connect(Number(port), hostname);
  const chunks: Buffer[] = [];
  let closedBy: RawReply["closedBy"] = "server";
  const leave = () => {
    closedBy = "us";
    socket.destroy();
  };
  const deadline = setTimeout(leave, withinMs);
  let silence: NodeJS.Timeout | undefined;
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    clearTimeout(silence);
    silence = setTimeout(leave, silentMs);
  });
  // A reset is an answer too: the close that follows is what counts.
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  await sendPieces(socket, pieces, paceMs);
  await closed;
  clearTimeout(deadline);
  clearTimeout(silence);
  const text = Buffer.concat(chunks).toString("latin1");
  const replies = text.match(/^HTTP\/1\.1 (?!100)\d{3} /gm) ?? [];
  return { status: Number(/\d{3} $/.exec(replies[0] ?? "")?.[0] ?? 0), replies: replies.length, text, closedBy };
}

async function sendPieces(socket: Socket, pieces: Iterable<string | Uint8Array>, paceMs: number): Promise<void> {
  for (const piece of pieces) {
    if (socket.destroyed) return;
    if (!socket.write(piece)) await drained(socket);
    if (paceMs > 0) await wait(paceMs);
  }
}

/** Until the socket takes more, or is gone. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off("drain", done).off("close", done);
      resolve();
    };
    socket.on("drain", done).on("close", done);
  });
}
