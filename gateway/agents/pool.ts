// The live processes [P6]: one a session, kept for its next turn; idle ones are ended after a while, and sooner, longest idle first,
// where room is needed; spares wait for sessions that are still to come.
import { randomUUID } from "node:crypto";
import type { Driver } from "../claude/driver.ts";
import type { AgentConfig } from "../protocol/agents.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Registry } from "./registry.ts";

export interface PoolOptions {
  readonly limits: Limits;
  readonly registry: Pick<Registry, "agents" | "onChange">;
  /** Starts a process for a session of an agent; `isAnew`: though what the CLI knew of the session is lost. */
  readonly start: (agent: AgentConfig, session: string, isAnew: boolean) => Promise<Driver>;
  readonly now?: () => number;
  /** Of this machine, in bytes. Default: without end. */
  readonly freeMemory?: () => number;
}

export interface Pool {
  /**
   * The session's process, started if there is none, and kept from being ended until `release`. Waits for room. Rejects as `start` does.
   * A turn and a call that warms the session up may both have it.
   */
  acquire(agent: AgentConfig, session: string, options?: { readonly isAnew: boolean }): Promise<Driver>;
  release(session: string): void;
  /** The session's process, if it is up. */
  find(session: string): Promise<Driver | undefined>;
  /** Ends the session's process, if there is one. Not while a turn has it. */
  end(session: string): Promise<void>;
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

export interface ProcessCounts {
  /** All that live, those that are just ending included. */
  readonly live: number;
  readonly busy: number;
  readonly idle: number;
  /** Up, and waiting for sessions that are still to come. */
  readonly spare: number;
}

type State = "spare" | "busy" | "idle" | "ending";

interface Member {
  readonly session: string;
  readonly agent: AgentConfig;
  readonly driver: Promise<Driver>;
  state: State;
  /** How many have acquired it. */
  holds: number;
  idleSince: number;
  /** Resolves when the process is gone. */
  gone: Promise<void>;
}

/** A new spare waits so long: the process that was just taken needs the machine for its first turn. */
const refillMs = 1000;

export function createPool(options: PoolOptions): Pool {
  const { limits, registry, start, now = Date.now, freeMemory = () => Infinity } = options;
  const members = new Map<string, Member>();
  let isClosed = false;
  let refill: NodeJS.Timeout | undefined;
  /** Resolves at the next release: one that waits for room looks again. */
  let released = Promise.withResolvers<void>();
  const idleTimer = setInterval(lookAround, Math.min(limits.process_idle_s * 250, 5000)).unref();
  registry.onChange(() => {
    endLongIdle();
    fill();
  });

  async function acquire(agent: AgentConfig, session: string, { isAnew } = { isAnew: false }): Promise<Driver> {
    // Looks again after every wait: another call for the same session may have started its process meanwhile, and there may be only one.
    for (;;) {
      if (isClosed) throw new GatewayError("shutting_down", "The gateway is shutting down.");
      const member = members.get(session);
      if (!member) {
        if (hasRoomFor(agent)) return add(agent, session, "busy", isAnew).driver;
        await makeRoom(agent);
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
    const member: Member = { session, agent, driver, state, holds: state === "busy" ? 1 : 0, idleSince: now(), gone };
    members.set(session, member);
    const forget = () => {
      if (members.get(session) === member) members.delete(session);
      resolve();
    };
    driver.then((started) => started.exited.then(() => started.end()).then(forget), forget);
    return member;
  }

  async function end(member: Member): Promise<void> {
    member.state = "ending";
    // A process that could not be started is gone already.
    await member.driver.then(
      (driver) => driver.end(),
      () => {},
    );
    await member.gone;
  }

  /** Its agent was changed or removed: it ends its turn, and takes no other. */
  function isStale(member: Member): boolean {
    return !registry.agents.includes(member.agent);
  }

  /** Waits until one more process of this agent fits under both caps. */
  async function makeRoom(agent: AgentConfig): Promise<void> {
    for (;;) {
      const ofAgent = [...members.values()].filter((member) => member.agent.name === agent.name);
      const isAgentFull = ofAgent.length >= (agent.processes ?? Infinity);
      if (!isAgentFull && members.size < limits.processes) return;
      const crowd = isAgentFull ? ofAgent : [...members.values()];
      const ending = crowd.find((member) => member.state === "ending");
      const leaving = ending ?? longestIdle(crowd);
      if (leaving) await (ending ? leaving.gone : end(leaving));
      else await Promise.race([...crowd.map((member) => member.gone), released.promise]);
    }
  }

  function lookAround(): void {
    endLongIdle();
    // One at a time: what it gives back shows only when it is gone.
    const leaving = isShortOfMemory() ? longestIdle([...members.values()]) : undefined;
    if (leaving) void endIfIdle(leaving);
  }

  /** [T6] New work is refused then, for want of what idle processes hold. */
  function isShortOfMemory(): boolean {
    return freeMemory() < limits.min_free_memory_mb * 1024 * 1024;
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

  function fill(): void {
    if (isShortOfMemory()) return;
    for (const agent of registry.agents) {
      const count = [...members.values()].filter((member) => member.agent === agent && member.state === "spare").length;
      for (let missing = agent.spares - count; missing > 0 && !isClosed && hasRoomFor(agent); missing--)
        add(agent, randomUUID(), "spare");
    }
  }

  function hasRoomFor(agent: AgentConfig): boolean {
    const ofAgent = [...members.values()].filter((member) => member.agent.name === agent.name).length;
    return members.size < limits.processes && ofAgent < (agent.processes ?? Infinity);
  }

  return {
    acquire,
    release(session) {
      const member = members.get(session);
      if (member?.state !== "busy" || --member.holds > 0) return;
      member.state = "idle";
      member.idleSince = now();
      released.resolve();
      released = Promise.withResolvers();
      void endIfUseless(member);
    },
    find: async (session) => members.get(session)?.driver.catch(() => undefined),
    async end(session) {
      const member = members.get(session);
      if (member) await end(member);
    },
    newSession(agent) {
      const spare = [...members.values()].find((member) => member.agent === agent && member.state === "spare");
      clearTimeout(refill);
      refill = setTimeout(fill, refillMs).unref();
      // Those that were there may have died, or made room.
      if (!spare) return randomUUID();
      spare.state = "idle";
      spare.idleSince = now();
      return spare.session;
    },
    fill,
    get size() {
      return members.size;
    },
    processesOf(agent) {
      const states = [...members.values()].filter((one) => one.agent.name === agent).map(({ state }) => state);
      const count = (state: State) => states.filter((one) => one === state).length;
      return { live: states.length, busy: count("busy"), idle: count("idle"), spare: count("spare") };
    },
    async close() {
      isClosed = true;
      clearInterval(idleTimer);
      clearTimeout(refill);
      await Promise.all([...members.values()].map(end));
    },
  };
}

function longestIdle(members: readonly Member[]): Member | undefined {
  const rank = (member: Member) => (member.state === "idle" ? 0 : 1);
  return members
    .filter((member) => member.state === "idle" || member.state === "spare")
    .toSorted((a, b) => rank(a) - rank(b) || a.idleSince - b.idleSince)[0];
}
