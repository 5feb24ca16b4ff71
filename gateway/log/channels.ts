// The channels of all sessions, and what of them stays in memory. Whatever is given up here can be read from the store: it bounds
// memory, never what a reader gets.
import type { LogEvent } from "../store/port.ts";
import { createChannel, type Channel } from "./channel.ts";

export interface Channels {
  /** The session's channel, made where there is none. */
  of(session: string): Channel;
  /** Shows events to the session's readers. */
  push(session: string, events: readonly LogEvent[]): void;
  /** The session is gone. */
  remove(session: string): void;
  wakeAll(): void;
  /** How much of events is in memory, in UTF-16 units. */
  readonly heldChars: number;
}

export interface ChannelsOptions {
  /** More is to come of this session soon: its channel is kept, reader or not. */
  readonly isBusy: (session: string) => boolean;
  /** Sessions without a reader that are kept. */
  readonly maxIdle?: number;
  readonly maxChars?: number;
}

export function createChannels({ isBusy, maxIdle = 200, maxChars = 32 * 1024 * 1024 }: ChannelsOptions): Channels {
  /** Newest use last: what is first and has no reader goes first. */
  const channels = new Map<string, Channel>();
  let heldChars = 0;

  function of(session: string): Channel {
    const known = channels.get(session);
    if (!known && channels.size >= maxIdle) dropIdle(() => channels.size >= maxIdle);
    const channel = known ?? createChannel();
    channels.delete(session);
    channels.set(session, channel);
    return channel;
  }

  function dropIdle(isTooMuch: () => boolean): void {
    for (const [session, channel] of channels) {
      if (!isTooMuch()) return;
      if (channel.readers === 0 && !isBusy(session)) drop(session, channel);
    }
  }

  function drop(session: string, channel: Channel): void {
    heldChars -= channel.chars;
    channels.delete(session);
  }

  /** Where readers hold their channels, their newest events are forgotten, of the longest unused first. */
  function makeRoom(): void {
    const isTooMuch = () => heldChars > maxChars;
    dropIdle(isTooMuch);
    for (const channel of channels.values()) {
      if (!isTooMuch()) return;
      heldChars -= channel.chars;
      channel.forget();
    }
  }

  return {
    of,
    push(session, events) {
      const channel = of(session);
      heldChars -= channel.chars;
      channel.push(events);
      heldChars += channel.chars;
      if (heldChars > maxChars) makeRoom();
    },
    remove(session) {
      const channel = channels.get(session);
      if (!channel) return;
      channel.remove();
      drop(session, channel);
    },
    wakeAll() {
      for (const channel of channels.values()) channel.wake();
    },
    get heldChars() {
      return heldChars;
    },
  };
}
