// [T6] How much one caller gets: turns, uploads, sessions, tokens, searches and changes a minute, megabytes a day, open streams, large replies on their way;
// counted per service key, per user and per address, in memory. A request that is refused here has cost nothing yet, and counts nowhere: one user's flood takes nothing from the others of its key.
// The headers: https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
import type { Context } from "hono";
import { RateLimiterMemory, type RateLimiterRes } from "rate-limiter-flexible";
import { GatewayError } from "../protocol/errors.ts";
import { visitorRate, type Limits, type Rate } from "../protocol/limits.ts";
import { visitorKey, type Owner } from "../protocol/callers.ts";
import { createAddresses } from "./address.ts";
import type { Env } from "./env.ts";
import { createUnsent, type Unsent } from "./unsent.ts";

export interface Rates {
  /** Counts a turn that this caller asks for. Rejects with `too_many_requests`. Call it before anything is stored or started. */
  turn(c: Context<Env>, caller: Owner): Promise<void>;
  /** The same for a turn that no request asks for: the CLI began it by itself in a session of this caller. */
  ownTurn(caller: Owner): Promise<void>;
  /** The same for an attachment; as many as turns. */
  upload(c: Context<Env>, caller: Owner): Promise<void>;
  /** The same for a session that is made, branched or warmed up; as many as turns. */
  session(c: Context<Env>, caller: Owner): Promise<void>;
  /** The same for a token; `user` is the one that it is for. */
  token(c: Context<Env>, caller: Owner): Promise<void>;
  /** The same for a search. */
  search(c: Context<Env>, caller: Owner): Promise<void>;
  /** The same for a request that changes something, whatever it changes. */
  change(c: Context<Env>, caller: Owner): Promise<void>;
  /** The same for so many bytes of attachments. */
  uploadBytes(c: Context<Env>, caller: Owner, bytes: number): Promise<void>;
  /** Throws what `counted` would throw for this caller now, and counts nothing: before a request's body is read. */
  check(counted: Counted, c: Context<Env>, caller: Owner): Promise<void>;
  /** Counts a large reply, until it is sent or cut; throws `too_many_requests`. Without a socket nothing is counted. */
  reader(c: Context<Env>, caller: Owner): void;
  /** What readers have not taken yet. */
  readonly unsent: Unsent;
  /** Counts a reply that stays open, until it is closed; throws `too_many_requests`. Without a socket nothing is counted. */
  stream(c: Context<Env>, caller: Owner): void;
}

/** Whom something is counted for. */
interface Subject {
  readonly kind: "address" | "key" | "user" | "all";
  readonly id: string;
  readonly rate: Rate;
  /** How its limit is called: `rates.user` of the configuration. */
  readonly name: string;
}

interface Count {
  readonly kind: Subject["kind"];
  readonly name: string;
  /** In points, of which `unit` are one of the limit's. */
  readonly limit: number;
  readonly left: number;
  readonly unit?: number;
  /** Until it is `limit` again; undefined where only the end of a stream frees a place. */
  readonly resetS?: number | undefined;
}

const minuteS = 60;
const dayS = 24 * 60 * 60;
const megabyte = 1024 * 1024;
/** An open stream may end at any time. */
const streamRetryS = 5;

type RatesLimits = Pick<Limits, "rates" | "trusted_proxies" | "readers" | "unsent_mb">;

export function createRates({ rates, trusted_proxies, readers, unsent_mb }: RatesLimits): Rates {
  const addressOf = createAddresses(trusted_proxies);

  function subjectsOf(c: Context<Env> | undefined, { key, user }: Owner): Subject[] {
    const isVisitor = key === visitorKey;
    const address = c ? addressOf(c) : "";
    const subjects: Subject[] = [{ kind: "key", id: key, rate: rates.key, name: "rates.key" }];
    // Without a socket, or when it is closed already, there is no address.
    if (address !== "")
      subjects.unshift({
        kind: "address",
        id: JSON.stringify([isVisitor, address]),
        rate: isVisitor ? visitorRate : rates.address,
        name: isVisitor ? "visitor" : "rates.address",
      });
    if (user !== null)
      subjects.push({
        kind: "user",
        id: JSON.stringify([key, user]),
        rate: isVisitor ? visitorRate : rates.user,
        name: isVisitor ? "visitor" : "rates.user",
      });
    return subjects;
  }
  const counters = {
    turns: createCounter("turns", { field: "turns_per_minute" }),
    uploads: createCounter("uploads", { field: "turns_per_minute" }),
    sessions: createCounter("sessions", { field: "turns_per_minute" }),
    tokens: createCounter("tokens", { field: "tokens_per_minute" }),
    searches: createCounter("searches", { field: "searches_per_minute" }),
    changes: createCounter("changes", { field: "changes_per_minute" }),
    upload_bytes: createCounter("upload_bytes", { field: "upload_mb_per_day", windowS: dayS, unit: megabyte }),
  };
  const openStreams = createPlaces("streams");
  const openReaders = createPlaces("readers");
  const everybody: Subject = { kind: "all", id: "", rate: { ...rates.key, readers }, name: "" };

  const count =
    (counted: Counted) =>
    (c: Context<Env>, caller: Owner, points = 1) =>
      counters[counted].take(c, subjectsOf(c, caller), points);
  const untilClosed = (c: Context<Env>, open: () => () => void) => {
    const outgoing = c.env?.outgoing;
    // Whoever has gone already will not say so again: its place would be taken for good.
    if (outgoing && !outgoing.destroyed) outgoing.once("close", open());
  };
  return {
    turn: count("turns"),
    ownTurn: (caller) => counters.turns.take(undefined, subjectsOf(undefined, caller), 1),
    upload: count("uploads"),
    session: count("sessions"),
    token: count("tokens"),
    search: count("searches"),
    change: count("changes"),
    uploadBytes: count("upload_bytes"),
    check: (counted, c, caller) => counters[counted].check(c, subjectsOf(c, caller)),
    stream: (c, caller) => untilClosed(c, () => openStreams(subjectsOf(c, caller))),
    reader: (c, caller) => untilClosed(c, () => openReaders([everybody, ...subjectsOf(c, caller)])),
    unsent: createUnsent(unsent_mb * 1024 * 1024),
  };
}

/** What is counted by the minute, or by the day. */
export type Counted = "turns" | "uploads" | "sessions" | "tokens" | "searches" | "changes" | "upload_bytes";

interface Window {
  readonly field: Exclude<keyof Rate, "streams" | "readers">;
  /** Default: a minute. */
  readonly windowS?: number;
  /** What one of the field is in points. */
  readonly unit?: number;
}

interface Counter {
  take(c: Context<Env> | undefined, subjects: readonly Subject[], points: number): Promise<void>;
  check(c: Context<Env> | undefined, subjects: readonly Subject[]): Promise<void>;
}

function createCounter(what: Counted, { field, windowS = minuteS, unit = 1 }: Window): Counter {
  const limiters = new Map<string, RateLimiterMemory>();
  let last: Promise<unknown> = Promise.resolve();

  function limiterOf({ kind, rate }: Subject): RateLimiterMemory {
    const name = `${kind} ${rate[field]}`;
    const limiter = limiters.get(name) ?? new RateLimiterMemory({ points: rate[field] * unit, duration: windowS });
    limiters.set(name, limiter);
    return limiter;
  }

  async function check(_: Context<Env> | undefined, subjects: readonly Subject[], points = 1): Promise<void> {
    for (const subject of subjects) {
      const count = countOf(subject, await limiterOf(subject).get(subject.id));
      if (count.left < points) throw tooMany(what, count, { field, policies: policy(what, subjects, field, windowS) });
    }
  }

  async function take(c: Context<Env> | undefined, subjects: readonly Subject[], points: number): Promise<void> {
    const policies = policy(what, subjects, field, windowS);
    await check(c, subjects, points);
    const counts: Count[] = [];
    for (const subject of subjects) counts.push(countOf(subject, await limiterOf(subject).consume(subject.id, points)));
    const tightest = counts.toSorted((a, b) => a.left / a.limit - b.left / b.limit)[0]!;
    // A tool of /mcp asks when its reply has begun.
    if (!c || c.finalized) return;
    c.header("RateLimit-Policy", policies);
    c.header("RateLimit", rateLimit(what, tightest));
  }

  function countOf({ kind, rate, name }: Subject, seen: RateLimiterRes | null): Count {
    const limit = rate[field] * unit;
    if (!seen || seen.msBeforeNext <= 0) return { kind, name, limit, left: limit, unit };
    const left = Math.max(0, limit - seen.consumedPoints);
    return { kind, name, limit, left, unit, resetS: Math.ceil(seen.msBeforeNext / 1000) };
  }

  // One after the other: between the look at all counts and their change nobody else may come.
  return {
    take(c, subjects, points) {
      const taken = last.then(() => take(c, subjects, points));
      // Whoever asked gets the refusal; the next one has nothing to do with it.
      last = taken.catch(() => {});
      return taken;
    },
    check,
  };
}

/** Takes a place for each subject, or throws; what it returns gives them back and is to be called once. */
function createPlaces(what: "streams" | "readers"): (subjects: readonly Subject[]) => () => void {
  const open = new Map<string, number>();
  const nameOf = ({ kind, id }: Subject) => `${kind} ${id}`;
  return (subjects) => {
    const full = subjects.find((subject) => (open.get(nameOf(subject)) ?? 0) >= subject.rate[what]);
    if (full)
      throw tooMany(
        what,
        { kind: full.kind, name: full.name, limit: full.rate[what], left: 0 },
        { field: what, policies: policy(what, subjects, what) },
      );
    const names = subjects.map(nameOf);
    for (const name of names) open.set(name, (open.get(name) ?? 0) + 1);
    return () => {
      for (const name of names) {
        const left = (open.get(name) ?? 0) - 1;
        if (left > 0) open.set(name, left);
        else open.delete(name);
      }
    };
  };
}

const whose = { address: "from this address", key: "with this key", user: "of this user", all: "in all" };

const perMinute = (what: string) => `Too many ${what} a minute`;
const said: Readonly<Record<Counted | "streams" | "readers", string>> = {
  turns: perMinute("turns"),
  uploads: perMinute("uploads"),
  sessions: perMinute("sessions"),
  tokens: perMinute("tokens"),
  searches: perMinute("searches"),
  changes: perMinute("changes"),
  upload_bytes: "Too many megabytes of attachments a day",
  streams: "Too many streams are open",
  readers: "Too many replies are on their way",
};

/** `limit` and `value` of the reply are the limit's name in the configuration and what it is. */
function tooMany(
  what: Counted | "streams" | "readers",
  { kind, name, limit, unit = 1, ...count }: Count,
  { field, policies }: { readonly field: keyof Rate; readonly policies: string },
): GatewayError {
  return new GatewayError("too_many_requests", `${said[what]} ${whose[kind]}. Try again later.`, {
    limit: name === "" ? field : `${name}.${field}`,
    value: limit / unit,
    retry_after_s: count.resetS ?? streamRetryS,
    headers: { "RateLimit-Policy": policies, RateLimit: rateLimit(what, { kind, name, limit, unit, ...count }) },
  });
}

/** `window` in seconds; 0 for what is open at a time. */
function policy(what: string, subjects: readonly Subject[], field: keyof Rate, windowS = 0): string {
  const window = windowS === 0 ? "" : `;w=${windowS}`;
  return subjects.map(({ kind, rate }) => `"${what}-${kind}";q=${rate[field]}${window}`).join(", ");
}

function rateLimit(what: string, { kind, left, unit = 1, resetS }: Count): string {
  return `"${what}-${kind}";r=${Math.floor(left / unit)}${resetS === undefined ? "" : `;t=${resetS}`}`;
}
