// The gateway's limits, as the configuration file gives them.
import { z } from "zod";

const kilobyte = 1024;
const megabyte = 1024 * kilobyte;
const count = z.int().positive();
const bytes = z.int().positive();
const seconds = z.number().positive().max(86_400);

/** How much of one kind of caller is served, per caller of that kind. */
export interface Rate {
  readonly turns_per_minute: number;
  /** Streams, and requests that wait for a turn's end, that are open at a time. */
  readonly streams: number;
  readonly tokens_per_minute: number;
  readonly searches_per_minute: number;
  /** Requests that change something, of whatever kind, together. */
  readonly changes_per_minute: number;
  /** What is sent as attachments, ahead of a prompt or in it, in megabytes. */
  readonly upload_mb_per_day: number;
  /** Attachments, transcripts and other large replies that are on their way at a time. */
  readonly readers: number;
}

/** What each visitor of a public agent gets, and all visitors of one address together: nobody vouches for them, so it is not configurable. */
export const visitorRate: Rate = {
  turns_per_minute: 10,
  streams: 4,
  tokens_per_minute: 6,
  searches_per_minute: 10,
  changes_per_minute: 60,
  upload_mb_per_day: 100,
  readers: 16,
};

const ofMany: Rate = {
  turns_per_minute: 6000,
  streams: 20_000,
  tokens_per_minute: 6000,
  searches_per_minute: 1200,
  changes_per_minute: 12_000,
  upload_mb_per_day: 60_000,
  readers: 500,
};

const rate = (defaults: Rate) =>
  z
    .strictObject({
      turns_per_minute: count.default(defaults.turns_per_minute),
      streams: count.default(defaults.streams),
      tokens_per_minute: count.default(defaults.tokens_per_minute),
      searches_per_minute: count.default(defaults.searches_per_minute),
      changes_per_minute: count.default(defaults.changes_per_minute),
      upload_mb_per_day: count.default(defaults.upload_mb_per_day),
      readers: count.default(defaults.readers),
    })
    .prefault({});

/** An IP address, or a network as `10.0.0.0/8`. */
const network = z.union(
  [z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()],
  "must be an IP address, or a network such as 10.0.0.0/8",
);

export const limits = z.strictObject({
  /** Live CLI processes, overall. */
  processes: count.default(16),
  /** Turns that run at a time, overall; at most `processes`. */
  running_turns: count.default(8),
  /** Turns that wait, overall. */
  queue: count.default(1000),
  /** Turns of one caller that wait. */
  queue_per_caller: count.default(200),
  /**
   * What one caller has at most of all these caps, and of those of an agent: places to run, processes, turns that wait; at least one. A caller is a
   * user of a service key, or the key itself where it names none.
   */
  caller_share: z.number().positive().max(1).default(0.5),
  /** The same for all visitors of public agents together; one of them has `caller_share` of it. */
  visitors_share: z.number().positive().max(0.5).default(0.5),
  /** How many turns may stand above one another, each given its work by the one above it. */
  supervise_depth: z.int().positive().max(5).default(3),
  /** Turns that one turn has given work to and that have not ended. */
  supervise_turns: count.default(16),
  body_bytes: bytes.default(32 * megabyte),
  /** A body with a token, and with that of a visitor: they send images and documents ahead, as attachments. */
  token_body_bytes: bytes.default(4 * megabyte),
  visitor_body_bytes: bytes.default(1 * megabyte),
  /** A body that brings no prompt. */
  other_body_bytes: bytes.default(1 * megabyte),
  /** Values in a body of JSON: to read many small ones holds everybody up. */
  json_values: count.default(100_000),
  /** Bodies that are there at a time, together; one caller has at most half of it. */
  bodies_mb: z.number().positive().default(256),
  /** Large replies that are on their way at a time, of all callers. */
  readers: count.default(1000),
  /** What readers have not taken yet, together. Beyond it, of the caller who has the most, the one that has taken nothing for the longest is cut. */
  unsent_mb: z.number().positive().default(256),
  prompt_bytes: bytes.default(2 * megabyte),
  /** One image or document of a prompt. */
  attachment_bytes: bytes.default(20 * megabyte),
  header_bytes: bytes.default(16 * kilobyte),
  /** A process without a turn is ended after so long. */
  process_idle_s: seconds.default(600),
  /** Events of turns that ended so long ago are removed; off without. */
  transcript_age_days: z.number().positive().optional(),
  /** Free memory below which no new work is taken. */
  min_free_memory_mb: z.number().nonnegative().default(256),
  /** A process that takes more, with all that its tools have started, is ended. */
  process_memory_mb: z.number().positive().default(4096),
  /** So long somebody is the same visitor of a public agent, from the first token on; after that they are a new one. */
  visitor_days: z.number().positive().max(3650).default(90),
  /** Of a visitor's session: what the CLI keeps of it, and files. Beyond it, it takes no more prompts. */
  visitor_folder_mb: z.number().positive().default(50),
  /** How long running turns may go on when the gateway shuts down. */
  shutdown_grace_s: z.number().nonnegative().max(3600).default(20),
  /** Between two pings on a stream. */
  ping_s: seconds.default(15),
  /** A reader that takes nothing for so long is cut. */
  write_timeout_s: seconds.default(60),
  /** Within so long a revoked key has lost its open streams. */
  revocation_s: seconds.default(15),
  /** For the whole end of a process. */
  process_end_s: seconds.default(4.5),
  /** A request whose head, or that as a whole, has not come by then is refused. Replies may take any time. */
  header_timeout_s: seconds.default(20),
  request_timeout_s: seconds.default(120),
  /** A service key with all its users, one user, one address. */
  rates: z
    .strictObject({
      key: rate(ofMany),
      user: rate({
        turns_per_minute: 120,
        streams: 100,
        tokens_per_minute: 120,
        searches_per_minute: 60,
        changes_per_minute: 120,
        upload_mb_per_day: 600,
        readers: 100,
      }),
      address: rate(ofMany),
    })
    .prefault({}),
  /**
   * Reverse proxies in front of the gateway, each of which appends to `X-Forwarded-For`: their addresses or networks, or how many there are. With 0
   * the header is not believed, and behind a proxy all share one address.
   */
  trusted_proxies: z.union([z.int().nonnegative().max(10), z.array(network).max(100)]).default(0),
});

export type Limits = z.infer<typeof limits>;
