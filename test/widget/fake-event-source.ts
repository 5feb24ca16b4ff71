// An EventSource of a browser without a window.
import { createParser } from "eventsource-parser";
import type { Profile, Tab } from "./fake-browser.ts";

const nativeRetryMs = 3000;

/** https://html.spec.whatwg.org/multipage/server-sent-events.html: gives up on every status but 200, reconnects after a break. */
export class FakeEventSource extends EventTarget {
  readonly url: string;
  readonly tab: Tab;
  readyState = 0;
  /** It sends nothing on, as if the line were dead. */
  isMute = false;
  readonly #profile: Profile;
  #lastId = "";
  #reader: ReadableStreamDefaultReader<string> | undefined;

  constructor(profile: Profile, tab: Tab, url: string) {
    super();
    this.#profile = profile;
    this.tab = tab;
    this.url = url;
    profile.streams.add(this);
    void this.#connect();
  }

  close(): void {
    this.readyState = 2;
    this.#profile.streams.delete(this);
    void this.#reader?.cancel().catch(() => {});
  }

  /** The connection breaks. */
  cut(): void {
    void this.#reader?.cancel().catch(() => {});
    this.#broken();
  }

  async #connect(): Promise<void> {
    const headers = { accept: "text/event-stream", ...(this.#lastId === "" ? {} : { "last-event-id": this.#lastId }) };
    let reply: Response;
    try {
      reply = await this.tab.fetch(this.url, { headers });
    } catch {
      return this.#broken();
    }
    if (this.readyState === 2) return void reply.body?.cancel();
    if (reply.status !== 200 || !reply.headers.get("content-type")?.startsWith("text/event-stream")) {
      this.close();
      this.dispatchEvent(new Event("error"));
      return;
    }
    this.readyState = 1;
    const reader = reply.body!.pipeThrough(new TextDecoderStream()).getReader();
    this.#reader = reader;
    const parser = createParser({
      onEvent: ({ id, event, data }) => {
        if (this.readyState === 2 || this.#reader !== reader) return;
        if (id !== undefined) this.#lastId = id;
        if (!this.isMute) this.dispatchEvent(new MessageEvent(event ?? "message", { data }));
      },
    });
    try {
      for (let part = await reader.read(); !part.done; part = await reader.read()) parser.feed(part.value);
    } catch {
      // It broke: below.
    }
    if (this.#reader === reader) this.#broken();
  }

  #broken(): void {
    if (this.readyState === 2) return;
    this.readyState = 0;
    this.#reader = undefined;
    this.dispatchEvent(new Event("error"));
    if (this.#profile.streams.has(this))
      this.tab.setTimeout(() => this.#profile.streams.has(this) && void this.#connect(), nativeRetryMs);
  }
}
