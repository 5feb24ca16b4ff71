// A session's events, from wherever in this browser its one EventSource is.
import type { Api } from "./api.ts";
import type { Connection } from "./chat.ts";
import type { WireEvent } from "./transcript.ts";

export interface EventStream {
  /** Whether anything runs or is queued: a hidden page keeps its stream only then. */
  setBusy(isBusy: boolean): void;
  /** Tries at once, also after a state that is not tried again on its own. */
  reconnect(): void;
  close(): void;
}

export interface EventStreamOptions {
  readonly api: Api;
  readonly session: string;
  /** The `seq` that the next stream goes on after. */
  readonly after: () => number;
  /** Possibly repeated, and out of order where two pages share: the reducer does not mind. */
  readonly onEvent: (event: WireEvent) => void;
  readonly onConnection: (connection: Connection) => void;
}
