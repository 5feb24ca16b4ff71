// Run by node in a shell with `ulimit -f`: commits until the disk is full, and prints what that did. Argument: the database's path.
import { argv } from "node:process";
import { gatewayCaller } from "../../gateway/protocol/callers.ts";
import { openSqliteStore } from "../../gateway/store/sqlite.ts";
import { completed, eventsWrite, newEvent, newTurn, notice, queued, sessionWrite } from "./log-drafts.ts";

const store = openSqliteStore(argv[2]!);
const made = sessionWrite();
const { session } = made.session;
const turn = newTurn(session);
await store.commit([made, { kind: "turn", turn }, eventsWrite(session, newEvent(queued(session), turn.turn))]);
let stored = 1;
let failure: unknown;
while (failure === undefined && stored < 1000)
  await store
    .commit([
      eventsWrite(session, newEvent(notice("x".repeat(20_000)))),
      { kind: "turn_state", turn: turn.turn, state: "running", at: 1 },
    ])
    .then(
      () => stored++,
      (error: unknown) => (failure = error),
    );
const large = eventsWrite(session, newEvent(completed("y".repeat(100_000)), turn.turn));
const second = await store.commit([large]).catch((error: unknown) => error);
const row = await store.turn(gatewayCaller, turn.turn);
console.log(
  JSON.stringify({
    failures: [failure, second].map((error) => (error as Error).name),
    stored,
    lastSeq: (await store.session(gatewayCaller, session))?.lastSeq,
    state: row?.state,
    session,
  }),
);
await store.close();
