// The live processes [P6]: one a session, kept for its next turn; idle ones are ended after a while, and sooner, longest idle first,
// where room is needed, be it places or memory; spares wait for sessions that are still to come. Long, since
// whoever waits for room must see all who live, start, end and wait.
import { randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import type { Driver } from "../claude/driver.ts";
import { failure, type Failure } from "../claude/outcome.ts";
import type { AgentConfig } from "../protocol/agents.ts";
import { GatewayError, retryAfterS } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import { watchMemory, type Measured, type MemoryWatchOptions } from "./memory.ts";
import type { Registry } from "./registry.ts";
import { createSpares } from "./spares.ts";

const megabyte = 1024 * 1024;

export interface PoolOptions {
  readonly limits: Limits;
  readonly registry: Pick<Registry, "agents" | "onChange">;
  /** Starts a process for a session of an agent; `isAnew`: though what the CLI knew of the session is lost. */
  readonly start: (agent: AgentConfig, session: string, isAnew: boolean) => Promise<Driver>;
  readonly now?: () => number;
  /** Of this machine, in bytes. Default: without end. */
  readonly freeMemory?: () => number;
  /** Bytes that processes take, with all that they have started. Default: nothing is known. */
  readonly measureMemory?: MemoryWatchOptions<Member>["measure"];
}

export interface Pool {
  /**
   * The session's process, started if there is none, and kept from being ended until `release`. Waits for room. Rejects as `start` does,
   * and at once where `signal` is aborted. A turn and a call that warms the session up may both have it.
   */
  acquire(agent: AgentConfig, session: string, options?: AcquireOptions): Promise<Driver>;
  release(session: string): void;
  /** Whether the session has a process, be it just starting or ending. */
  has(session: string): boolean;
  /** The session's process, if it is up. */
  find(session: string): Promise<Driver | undefined>;
  /** Ends the session's process, if there is one. Not while a turn has it, unless that is to fail for this reason. */
  end(session: string, reason?: Failure): Promise<void>;
  /** The same for all processes of an agent. */
  endAgent(agent: string): Promise<void>;
  /** The id for a new session of the agent: that of a spare that waits, else a new one. */
  newSession(agent: AgentConfig): string;
  /** Starts the spares that are missing. */
  fill(): void;
  /** Live processes, those that are just ending included. */
  readonly size: number;
  /** Those of one agent. */
  processesOf(agent: string): ProcessCounts;
  /** Ends all, and takes no more. */
  close(): Promise<void>;
}

export interface AcquireOptions {
  /** The process begins anew, though what the CLI knew of the session is lost. */
  readonly isAnew?: boolean;
  /** Where only the end of a turn, or memory from elsewhere, would make room: rejects with `no_capacity` rather than waits for it. */
  readonly onlyIfRoom?: boolean;
  /** Aborted: nobody waits for it any more. */
  readonly signal?: AbortSignal;
}

export interface ProcessCounts {
  /** All that live, those that are just ending included. */
  readonly live: number;
  readonly busy: number;
  readonly idle: number;
  /** Up, and waiting for sessions that are still to come. */
  readonly spare: number;
  /** Of those that were measured, with all that their tools have started. */
  readonly memoryBytes: number;
}

type State = "spare" | "busy" | "idle" | "ending";

interface Member extends Measured {
  readonly session: string;
  readonly agent: AgentConfig;
  readonly driver: Promise<Driver>;
  pid: number | undefined;
  state: State;
  /** How many have acquired it. */
  holds: number;
  idleSince: number;
  /** Resolves when the process is gone. */
  gone: Promise<void>;
}

/** Memory may come back from anywhere. */
const memoryLookMs = 1000;

/** So long a start waits for memory while turns run: one of them may be waiting for just this one. */
const memoryPatienceMs = 60_000;

export function createPool(options: PoolOptions): Pool {
  const { limits, registry, start, now = Date.now, freeMemory = () => Infinity } = options;
  const { measureMemory = async () => new Map<number, number>() } = options;
  const members = new Map<string, Member>();
  let isClosed = false;
  /** Resolves at the next release: one that waits for room looks again. */
  let released = Promise.withResolvers<void>();
  const idleTimer = setInterval(lookAround, Math.min(limits.process_idle_s * 250, 5000)).unref();
  const stopWatching = watchMemory({
    members: () => members.values(),
    measure: measureMemory,
    maxBytes: limits.process_memory_mb * megabyte,
    onExcess: endExcessive,
  });
  const spares = createSpares({
    agents: () => registry.agents,
    count: (agent) =>
      [...members.values()].filter((member) => member.agent === agent && member.state === "spare").length,
    hasRoom: (agent) => !isShortOfMemory() && crowdBefore(agent, true).length === 0,
    start: (agent) => void add(agent, randomUUID(), "spare"),
  });
  registry.onChange(() => {
    endLongIdle();
    spares.fill();
  });

  /** A start cannot be broken off: what comes of it when nobody waits any more is given back. */
  function acquire(agent: AgentConfig, session: string, options: AcquireOptions = {}): Promise<Driver> {
    const { signal } = options;
    return new Promise((resolve, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
      bringUp(agent, session, options).then((driver) => {
        if (signal?.aborted) release(session);
        else resolve(driver);
      }, reject);
    });
  }

  async function bringUp(
    agent: AgentConfig,
    session: string,
    { isAnew = false, onlyIfRoom = false, signal }: AcquireOptions,
  ): Promise<Driver> {
    const impatientAt = now() + memoryPatienceMs;
    // Looks again after every wait: another call for the same session may have started its process meanwhile, and there may be only one.
    for (;;) {
      if (isClosed) throw new GatewayError("shutting_down", "The gateway is shutting down.");
      signal?.throwIfAborted();
      const member = members.get(session);
      if (!member) {
        if (onlyIfRoom) checkRoom(agent);
        const crowd = crowdBefore(agent, now() < impatientAt);
        if (crowd.length === 0) return add(agent, session, "busy", isAnew).driver;
        await oneLess(crowd);
      } else if (member.state === "ending") await member.gone;
      // It was started for the agent as it was before. One that brings it up just now has it still, but not for long.
      else if (member.agent !== agent && isStale(member)) await (member.holds > 0 ? released.promise : end(member));
      else {
        member.state = "busy";
        member.holds += 1;
        const driver = await member.driver;
        if (driver.isUsable) return driver;
        await end(member);
      }
    }
  }

  function add(agent: AgentConfig, session: string, state: State, isAnew = false): Member {
    const driver = start(agent, session, isAnew);
    const { promise: gone, resolve } = Promise.withResolvers<void>();
    const holds = state === "busy" ? 1 : 0;
    const [pid, memoryBytes] = [undefined, undefined];
    const member: Member = { session, agent, driver, pid, memoryBytes, state, holds, idleSince: now(), gone };
    members.set(session, member);
    const forget = () => {
      if (members.get(session) === member) members.delete(session);
      // Whoever ends a spare says so before.
      if (member.state === "spare") spares.died(now() - member.idleSince);
      resolve();
    };
    driver.then((started) => {
      member.pid = started.pid;
      return started.exited.then(() => started.end()).then(forget);
    }, forget);
    return member;
  }

  async function end(member: Member, reason?: Failure): Promise<void> {
    member.state = "ending";
    // A process that could not be started is gone already.
    await member.driver.then(
      (driver) => driver.end(reason),
      () => {},
    );
    await member.gone;
  }

  /** Its session goes on with another one. */
  function endExcessive(member: Member): void {
    if (member.state === "ending") return;
    const words = `The CLI was ended: with its tools it took more than ${limits.process_memory_mb} MB of memory.`;
    if (member.state === "spare") spares.died(now() - member.idleSince);
    void end(member, failure("process_died", words));
  }

  /** Its agent was changed or removed: it ends its turn, and takes no other. */
  function isStale(member: Member): boolean {
    return !registry.agents.includes(member.agent);
  }

  /** Those of which one must go before one more process of this agent may be started; none if it may now. */
  function crowdBefore(agent: AgentConfig, isPatient: boolean): Member[] {
    const all = [...members.values()];
    const ofAgent = all.filter((member) => member.agent.name === agent.name);
    if (ofAgent.length >= (agent.processes ?? Infinity)) return ofAgent;
    if (all.length >= limits.processes) return all;
    return isPatient && isShortOfMemory() ? all : [];
  }

  function checkRoom(agent: AgentConfig): void {
    const crowd = crowdBefore(agent, false);
    const isCrowded = crowd.length > 0 && crowd.every(({ state }) => state === "busy");
    if (!isCrowded && !isShortOfMemory()) return;
    const words = "There is no room for another process now. Try again later.";
    throw new GatewayError("no_capacity", words, { retry_after_s: retryAfterS });
  }

  /** Waits until one of them has gone, or a turn has ended, or memory may be back. */
  async function oneLess(crowd: readonly Member[]): Promise<void> {
    const ending = crowd.find((member) => member.state === "ending");
    const leaving = ending ?? longestIdle(crowd);
    if (leaving) return ending ? leaving.gone : end(leaving);
    const recovered = isShortOfMemory() ? [wait(memoryLookMs, undefined, { ref: false })] : [];
    await Promise.race([...crowd.map((member) => member.gone), released.promise, ...recovered]);
  }

  function lookAround(): void {
    endLongIdle();
    // One at a time: what it gives back shows only when it is gone.
    const leaving = isShortOfMemory() ? longestIdle([...members.values()]) : undefined;
    if (leaving) void endIfIdle(leaving);
  }

  /** [T6] New work is refused then, for want of what idle processes hold. */
  function isShortOfMemory(): boolean {
    return freeMemory() < limits.min_free_memory_mb * megabyte;
  }

  function endLongIdle(): void {
    const before = now() - limits.process_idle_s * 1000;
    for (const member of members.values()) {
      const isLongIdle = member.state === "idle" && member.idleSince <= before;
      if (isLongIdle || (member.state !== "busy" && isStale(member))) void endIfIdle(member);
    }
  }

  /** A turn that the CLI began by itself is not cut off by idleness. */
  async function endIfIdle(member: Member): Promise<void> {
    // One that could not be started is gone already.
    const driver = await member.driver.catch(() => undefined);
    if (driver && !driver.isBusy && (member.state === "idle" || member.state === "spare")) await end(member);
  }

  /** Its budget is spent, its agent another one now, or it did not do as it was told: it would only keep a place. */
  async function endIfUseless(member: Member): Promise<void> {
    const driver = await member.driver.catch(() => undefined);
    if (driver?.isUsable === false || isStale(member)) await endIfIdle(member);
  }

  function release(session: string): void {
    const member = members.get(session);
    if (member?.state !== "busy" || --member.holds > 0) return;
    member.state = "idle";
    member.idleSince = now();
    released.resolve();
    released = Promise.withResolvers();
    void endIfUseless(member);
  }

  return {
    acquire,
    release,
    has: (session) => members.has(session),
    find: async (session) => members.get(session)?.driver.catch(() => undefined),
    async end(session, reason) {
      const member = members.get(session);
      if (member) await end(member, reason);
    },
    async endAgent(agent) {
      await Promise.all(
        [...members.values()].filter((member) => member.agent.name === agent).map((member) => end(member)),
      );
    },
    newSession(agent) {
      const spare = [...members.values()].find((member) => member.agent === agent && member.state === "spare");
      // Where there should have been one, it has made room: there may be some again.
      if (agent.spares > 0) spares.taken();
      if (!spare) return randomUUID();
      spare.state = "idle";
      spare.idleSince = now();
      return spare.session;
    },
    fill: spares.fill,
    get size() {
      return members.size;
    },
    processesOf(agent) {
      const own = [...members.values()].filter((member) => member.agent.name === agent);
      const count = (state: State) => own.filter((member) => member.state === state).length;
      return {
        live: own.length,
        busy: count("busy"),
        idle: count("idle"),
        spare: count("spare"),
        memoryBytes: own.reduce((sum, member) => sum + (member.memoryBytes ?? 0), 0),
      };
    },
    async close() {
      isClosed = true;
      clearInterval(idleTimer);
      stopWatching();
      spares.stop();
      await Promise.all([...members.values()].map((member) => end(member)));
    },
  };
}

function longestIdle(members: readonly Member[]): Member | undefined {
  const rank = (member: Member) => (member.state === "idle" ? 0 : 1);
  return members
    .filter((member) => member.state === "idle" || member.state === "spare")
    .toSorted((a, b) => rank(a) - rank(b) || a.idleSince - b.idleSince)[0];
}
