// Texts with their values put in, and times, numbers and names as the reader's language has them.
import type { By } from "../../gateway/protocol/events.ts";
import type { Texts } from "../texts.ts";

export interface Say {
  (text: keyof Texts, values?: Readonly<Record<string, string | number>>): string;
  /** A problem or failure code in words, if there are any for it. */
  code(code: string): string | undefined;
  time(rfc3339: string): string;
  /** "4.2 s", "3:05". */
  duration(ms: number): string;
  by(by: By | null): string;
  readonly language: string;
}

export function createSay(texts: Partial<Texts>, language: string): Say {
  const locale = canonical(language);
  const exact = later(() => new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 }));
  const hours = later(() => new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit" }));
  const days = later(() => new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }));
  const say = (text: keyof Texts, values: Readonly<Record<string, string | number>> = {}) =>
    // What is not there yet belongs to views that are not there yet.
    (texts[text] ?? "").replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole));
  return Object.assign(say, {
    language,
    code: (code: string) => texts[code as keyof Texts],
    time(rfc3339: string) {
      const date = new Date(rfc3339);
      const isToday = date.toDateString() === new Date().toDateString();
      return (isToday ? hours : days)().format(date);
    },
    duration: (ms: number) => (ms < 60_000 ? `${exact().format(Math.max(0, ms) / 1000)} s` : minutes(ms)),
    by(by: By | null) {
      if (by === null) return "";
      if ("key" in by) return by.user ?? by.key;
      if ("agent" in by) return by.agent;
      return "cli" in by ? "Claude Code" : "Sluice";
    },
  });
}

/** Made when it is first wanted: browsers take their time to make one, and many a page shows no chat at all. */
function later<Formatter>(make: () => Formatter): () => Formatter {
  let made: Formatter | undefined;
  return () => (made ??= make());
}

/** "3:05", "1:02:09". */
export function minutes(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const two = (value: number) => String(value).padStart(2, "0");
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** Languages that the browser does not know are formatted as English. */
export function canonical(language: string): string {
  try {
    return Intl.getCanonicalLocales(language)[0] ?? "en";
  } catch {
    return "en";
  }
}
