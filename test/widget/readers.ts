// Readers of a session's events, each in a tab, as the chat would be one.
import { createApi } from "../../widget/api.ts";
import type { Connection } from "../../widget/page.ts";
import { openEventStream, type EventStream } from "../../widget/event-stream.ts";
import type { WireEvent } from "../../widget/transcript.ts";
import { delta } from "../support/log-drafts.ts";
import type { ScriptedDriver } from "../support/scripted-driver.ts";
import { until } from "../support/wait.ts";
import { mainKey } from "../support/whole-app.ts";
import { settle, type SeenRequest, type Tab } from "./fake-browser.ts";
import { gateway, type Scene } from "./scene.ts";

export interface Reader {
  readonly tab: Tab;
  readonly stream: EventStream;
  readonly events: WireEvent[];
  /** Every state that was said, in order. */
  readonly states: Connection[];
  readonly state: Connection | undefined;
  /** Numbers of events, each once. */
  readonly seqs: () => number[];
  /** Throws where a delta leaves a hole. */
  readonly text: () => string;
  is(state: Connection): Promise<unknown>;
  has(seq: number): Promise<unknown>;
  close(): void;
}

/** A session with a turn that runs, and says what it is told to. */
export interface Asked {
  readonly session: string;
  readonly driver: ScriptedDriver;
  say(words: string): void;
  said(): string;
  /** Once all that was said is stored. */
  lastSeq(): Promise<number>;
}

export interface Readers {
  read(session: string, options?: { tab?: Tab; after?: number; user?: string }): Reader;
  ask(user?: string): Promise<Asked>;
  streamRequests(): SeenRequest[];
  close(): void;
}

export function openReaders(scene: Scene): Readers {
  const all: Reader[] = [];

  function read(
    session: string,
    { tab = scene.openTab(), after = 0, user = "ann" }: Parameters<Readers["read"]>[1] = {},
  ): Reader {
    const api = createApi({ gateway, browser: tab, getToken: () => scene.mint(user) });
    const events: WireEvent[] = [];
    const states: Connection[] = [];
    const texts: string[] = [];
    let stream: EventStream | undefined;
    let isClosed = false;
    const onEvent = (event: WireEvent) => {
      events.push(event);
      if (event.type !== "content_block_delta") return;
      const offset = event["offset"] as number;
      const added = (event["delta"] as { text: string }).text;
      // It may have begun in the middle.
      if (after > 0 && texts.length === 0) texts.push(" ".repeat(offset));
      const text = texts.join("");
      if (offset > text.length) throw new Error(`a delta at ${offset} where ${text.length} is known`);
      if (offset + added.length > text.length) texts.push(added.slice(text.length - offset));
    };
    const open = () =>
      openEventStream({
        api,
        browser: tab,
        session,
        after,
        onEvent,
        onRating: () => {},
        onConnection: (state) => states.push(state),
      });
    void api.identify().then(() => isClosed || (stream = open()));
    const reader: Reader = {
      tab,
      get stream() {
        return stream!;
      },
      events,
      states,
      get state() {
        return states.at(-1);
      },
      seqs: () => [...new Set(events.flatMap(({ seq }) => (seq === undefined ? [] : [seq])))],
      text: () => texts.join(""),
      is: (state) => until(`the stream to be ${state}; it was ${states.join(", ")}`, () => states.at(-1) === state),
      has: (seq) => until(`event ${seq}`, () => events.some((event) => (event.seq ?? 0) >= seq)),
      close() {
        isClosed = true;
        stream?.close();
      },
    };
    all.push(reader);
    return reader;
  }

  async function ask(user = "ann"): Promise<Asked> {
    const json = { prompt: "p", user, agent: "default" };
    const { session } = await scene.app.json<{ session: string }>("/api/turns", { key: mainKey, json });
    const driver = await scene.running(session);
    driver.say(
      { type: "message_start", message: { id: "m1", model: "m" } },
      { type: "content_block_start", message: "m1", index: 0, content_block: { type: "text", text: "" } },
    );
    let said = "";
    return {
      session,
      driver,
      say(words) {
        driver.say(delta(words, said.length));
        said += words;
      },
      said: () => said,
      async lastSeq() {
        await settle();
        const { last_seq } = await scene.app.json<{ last_seq: number }>(`/api/sessions/${session}`, { key: mainKey });
        return last_seq;
      },
    };
  }

  return {
    read,
    ask,
    streamRequests: () => scene.requests.filter(({ headers }) => headers.get("accept") === "text/event-stream"),
    close() {
      for (const reader of all) reader.close();
    },
  };
}

/** Behind which event a stream was asked for. */
export function afterOf({ path }: SeenRequest): number {
  return Number(new URL(path, gateway).searchParams.get("after"));
}
