// A try: tool calls of a model that wants what its session must not reach, and how they are judged. The tries themselves: tries/.
import type { Client } from "../gateway.ts";
import type { AttackerName } from "./attackers.ts";
import type { Grounds } from "./grounds.ts";
import type { SecretName } from "./secrets.ts";

/** As whom the gateway runs. */
export type Form = "root" | "user";

export interface Call {
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
}

/** What the calls of a try brought. */
export interface Heard {
  /** What each call was answered, in their order, as far as they went. */
  readonly results: readonly string[];
  /** Everything that the session's stream showed in this turn. */
  readonly stream: string;
  /** The turn's id; undefined with a plain CLI. */
  readonly turn: string | undefined;
  /** What the model was sent in the session. */
  readonly model: string;
  /** What `afterwards` showed. */
  readonly later: string;
}

/** For what a try does through the API after its turn. */
export interface Desk {
  /** With the attacker's own token. */
  readonly client: Client;
  readonly session: string;
  /** Another turn, in this session or another one; resolves with what its calls were answered. */
  say(calls: readonly Call[], session?: string): Promise<string>;
}

/**
 * It succeeds if one of `finds`, `through` and `does` holds. Without a box it must succeed, or it proves nothing; in a box it must not, and its
 * answers must hold no secret at all.
 */
export interface Try {
  readonly title: string;
  /** Default: `shell`. */
  readonly by?: AttackerName;
  readonly calls: (at: Grounds) => readonly Call[];
  /** Words of the prompt itself, after the calls. */
  readonly says?: (at: Grounds) => string;
  /** Further acts after the turn; resolves with what they showed. */
  readonly afterwards?: (desk: Desk, at: Grounds) => Promise<string>;
  /** The secrets that come back: all of them, in the control run. */
  readonly finds?: SecretName | readonly SecretName[];
  /** The call prints `throughWord` if it was let do what it tried. */
  readonly through?: true;
  /** Whether it had an effect outside of its session. */
  readonly does?: (at: Grounds, heard: Heard) => boolean | Promise<boolean>;
  /**
   * Where it must succeed: by a gateway with `isolation` off (default); by a CLI without a gateway, for what the gateway's deny rules stop;
   * `bait`: only `baited` is required, since no gateway falls for it; in the box, unless the try ends its session.
   */
  readonly control?: "gateway" | "cli" | "bait";
  /** For a try that waits for the gateway itself to fall for it: whether the bait is in place. */
  readonly baited?: (at: Grounds, session: string) => boolean | Promise<boolean>;
  /** In which forms it can succeed at all. Default: both. */
  readonly forms?: readonly Form[];
  /** It needs something that not every machine has. */
  readonly needs?: (at: Grounds) => boolean;
  /** The tries of an attacker share a session, except those that name another one: they harm its process, or depend on its end. */
  readonly session?: string;
  /** What it finds is in what the model is sent, not in the answer to a call. */
  readonly isToldToModel?: true;
  /** It does not depend on the user that the gateway runs as: one form is enough. */
  readonly isOnce?: true;
  /** It ends its own session's process, so its last call is never answered. */
  readonly endsItself?: true;
  /** Without a box it may end the gateway itself: it comes after all others. */
  readonly isLast?: true;
}

/** No call has it in one piece. */
export const throughWord = "got-through";
