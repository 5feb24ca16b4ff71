// The element's attributes and the options they set.
import type { Options } from "./options.ts";

/** An attribute that says nothing (absent, or empty) leaves the option to its default. */
type Read = (text: string) => Options[keyof Options];

const words: Read = (text) => text;
const json: Read = (text) => {
  try {
    return JSON.parse(text) as Options["texts"];
  } catch {
    console.error(`sluice: ${JSON.stringify(text.slice(0, 80))} is no JSON`);
    return undefined;
  }
};
/** A JSON array, or one a line. */
const list: Read = (text) =>
  text.trimStart().startsWith("[")
    ? json(text)
    : text
        .split("\n")
        .map((line) => line.trim())
        .filter(Boolean);
const oneOf =
  (...allowed: readonly string[]): Read =>
  (text) => {
    if (allowed.includes(text)) return text;
    console.error(`sluice: "${text}" is none of ${allowed.join(", ")}`);
    return undefined;
  };

type Attribute = readonly [option: Exclude<keyof Options, "open" | "getToken" | "nonce">, read: Read];

/** By the attribute's name. `open` and `nonce` are not here: the element reads them itself. */
export const attributes: Readonly<Record<string, Attribute>> = {
  agent: ["agent", words],
  session: ["session", words],
  mode: ["mode", oneOf("bubble", "sidebar", "inline", "fullscreen")],
  title: ["title", words],
  greeting: ["greeting", words],
  suggestions: ["suggestions", list],
  placeholder: ["placeholder", words],
  language: ["language", words],
  texts: ["texts", json],
  theme: ["theme", oneOf("auto", "light", "dark")],
  gateway: ["gateway", words],
  "token-url": ["tokenUrl", words],
};

/** What an attribute's value means; undefined: the default. */
export function readAttribute(name: string, value: string | null): Options[keyof Options] {
  return value === null || value === "" ? undefined : attributes[name]![1](value);
}
