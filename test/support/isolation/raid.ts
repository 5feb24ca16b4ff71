// Plays tries on the grounds and judges them. The tries of one attacker share a session, and so a process, unless they name another one.
import { playByGateway, playPlainly, modelHeard, openPlainSession, type Played, type Player } from "./players.ts";
import type { Grounds } from "./grounds.ts";
import { promptOf } from "./plain-cli.ts";
import { leaksIn, secretsIn, type SecretName } from "./secrets.ts";
import { throughWord, type Call, type Try } from "./try.ts";

/** The result of a try. */
export interface Outcome {
  /** How many of its calls were answered, and how many there were. */
  readonly answered: readonly [number, number];
  /** Every secret in its answers. */
  readonly leaks: readonly SecretName[];
  /** What it has found of what it wanted. */
  readonly found: readonly SecretName[];
  readonly wanted: readonly SecretName[];
  readonly isThrough: boolean;
  readonly hasDone: boolean;
  /** Undefined if there is no bait. */
  readonly isBaited: boolean | undefined;
  /** What it got, for a look at it if the result is wrong. */
  readonly words: string;
}

/** Whether it did what it was made for. */
function hasSucceeded({ found, wanted, isThrough, hasDone }: Outcome): boolean {
  return (wanted.length > 0 && found.length === wanted.length) || isThrough || hasDone;
}

/** What got through a box. */
function gotThrough({ leaks, found, isThrough, hasDone }: Outcome): string[] {
  return [
    ...new Set([...leaks, ...found].map((name) => `found ${name}`)),
    ...(isThrough ? ["was let do it"] : []),
    ...(hasDone ? ["had its effect"] : []),
  ];
}

/** Whether it need not be made without a box: no gateway falls for it, and that its bait is in place shows in the box. */
export function isForBoxAlone({ control, endsItself }: Try): boolean {
  return control === "bait" && !endsItself;
}

/** What is wrong with a try's results in a box, and without one; undefined where it was not made. */
export function faultsOf(one: Try, without: Outcome | undefined, within: Outcome): string[] {
  const control = without ?? within;
  const isProven = one.control === "bait" ? control.isBaited === true : hasSucceeded(control);
  if (!isProven) return [`it proves nothing, since without a box it does not succeed: ${control.words}`];
  const [answered, calls] = within.answered;
  return [
    ...(one.endsItself || answered === calls ? [] : [`in the box only ${answered} of ${calls} calls were answered`]),
    ...(one.endsItself || within.isBaited === control.isBaited ? [] : ["in the box its bait is not in place"]),
    ...gotThrough(within).map((what) => `in the box it ${what}: ${within.words}`),
  ];
}

/** Plays them where they must succeed: by a gateway without boxes, and by plain CLIs. */
export async function raidUnboxed(at: Grounds, tries: readonly Try[]): Promise<Map<Try, Outcome>> {
  const last = tries.filter(({ isLast }) => isLast);
  const plain = tries.filter(({ control, isLast }) => control === "cli" && !isLast);
  const others = tries.filter((one) => !plain.includes(one) && !last.includes(one));
  return new Map([...(await raid(at, others)), ...(await raidPlainly(at, plain)), ...(await raid(at, last))]);
}

/** Plays them by the gateway of the grounds. */
export function raid(at: Grounds, tries: readonly Try[]): Promise<Map<Try, Outcome>> {
  return playAll(at, tries, playByGateway);
}

/** Plays them by plain CLIs, with one more that is another session. */
async function raidPlainly(at: Grounds, tries: readonly Try[]): Promise<Map<Try, Outcome>> {
  if (tries.length === 0) return new Map();
  const { cli } = openPlainSession(at, "shell");
  try {
    await cli.play("demo:text I am here.");
    return await playAll(at, tries, playPlainly);
  } finally {
    await cli.end();
  }
}

const sessionsAtOnce = 3;

/** Those that may end everything come last. */
async function playAll(at: Grounds, tries: readonly Try[], play: Player): Promise<Map<Try, Outcome>> {
  const outcomes = new Map<Try, Outcome>();
  const waiting = batches(tries.filter(({ isLast }) => !isLast));
  const work = async () => {
    for (let batch = waiting.shift(); batch; batch = waiting.shift())
      for (const [one, outcome] of await playBatch(at, batch, play)) outcomes.set(one, outcome);
  };
  await Promise.all(Array.from({ length: sessionsAtOnce }, work));
  for (const last of tries.filter(({ isLast }) => isLast))
    for (const [one, outcome] of await playBatch(at, [last], play)) outcomes.set(one, outcome);
  return outcomes;
}

/** Those of one session each. First the one with most tries, then those that end their session, which takes time and no work. */
function batches(tries: readonly Try[]): Try[][] {
  const rank = (batch: readonly Try[]) => (batch.length > 20 ? 0 : batch[0]!.session === undefined ? 2 : 1);
  const all = Map.groupBy(tries, ({ by = "shell", session = "" }) => `${by} ${session}`);
  return [...all.values()].toSorted((a, b) => rank(a) - rank(b));
}

async function playBatch(at: Grounds, batch: readonly Try[], play: Player): Promise<(readonly [Try, Outcome])[]> {
  const calls = batch.map((one) => one.calls(at));
  const words = batch.map((one) => one.says?.(at) ?? "").join("");
  const played = await play(at, batch[0]!.by ?? "shell", [promptOf(messagesOf(calls)), words].join("\n"));
  const before = new Map<Try, Before>();
  for (const one of batch) before.set(one, await goOn(at, one, played));
  const outcomes: (readonly [Try, Outcome])[] = [];
  let position = 0;
  for (const [index, one] of batch.entries()) {
    const count = calls[index]!.length;
    const results = played.results.slice(position, (position += count));
    const outcome = await judge(at, one, results, played, before.get(one)!);
    const isRun = (result: string) => !canShare(calls[index]!) || !result.includes("<tool_use_error>");
    outcomes.push([one, { ...outcome, answered: [results.filter(isRun).length, count] }]);
  }
  return outcomes;
}

/** More in one message would save little. */
const callsOfMessage = 16;

/** A message costs the CLI as much as a command: those of several tries come in one. The calls of one try come one by one. */
function messagesOf(tries: readonly (readonly Call[])[]): Call[][] {
  const messages: Call[][] = [];
  let open: Call[] | undefined;
  for (const calls of tries)
    if (!canShare(calls)) {
      messages.push(...calls.map((call) => [call]));
      open = undefined;
    } else if (open && open.length < callsOfMessage) open.push(...calls);
    else messages.push((open = [...calls]));
  return messages;
}

function canShare(calls: readonly Call[]): boolean {
  return calls.length === 1 && calls[0]!.name === "Bash";
}

interface Before {
  readonly isBaited: boolean | undefined;
  readonly later: string;
}

async function goOn(at: Grounds, one: Try, { session, desk }: Played): Promise<Before> {
  const isBaited = await one.baited?.(at, session);
  // Without a box it is enough that the bait is in place.
  const goesOn = one.control !== "bait" || at.isolation !== "off";
  return { isBaited, later: desk && goesOn ? ((await one.afterwards?.(desk, at)) ?? "") : "" };
}

async function judge(
  at: Grounds,
  one: Try,
  results: readonly string[],
  { session, stream, turn }: Played,
  { isBaited, later }: Before,
): Promise<Omit<Outcome, "answered">> {
  const heard = {
    results,
    stream,
    turn,
    later,
    get model() {
      return modelHeard(at, session);
    },
  };
  const words = [...results, later, one.isToldToModel ? heard.model : ""].join("\n");
  const wanted = one.finds === undefined ? [] : [one.finds].flat();
  return {
    leaks: leaksIn(words, at.secrets),
    found: secretsIn(words, at.secrets).filter((name) => wanted.includes(name)),
    wanted,
    isThrough: one.through === true && results.some((result) => result.includes(throughWord)),
    hasDone: (await one.does?.(at, heard)) ?? false,
    isBaited,
    words,
  };
}
