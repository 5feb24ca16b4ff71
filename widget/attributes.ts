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

type Option = Exclude<keyof Options, "open" | "getToken" | "nonce">;

/** What can be written as text, by the option's name. `open` and `nonce` are not here: the element reads them itself. */
const readers: Readonly<Record<Option, Read>> = {
  agent: words,
  session: words,
  mode: oneOf("bubble", "sidebar", "inline", "fullscreen"),
  title: words,
  greeting: words,
  suggestions: list,
  placeholder: words,
  language: words,
  texts: json,
  theme: oneOf("auto", "light", "dark"),
  gateway: words,
  tokenUrl: words,
};
export const textOptions = Object.keys(readers) as Option[];

/** Of the attribute `token-url`, which is `tokenurl` where a framework draws before the element is defined, and so knows no property. */
export const optionOf = (attribute: string): Option =>
  attribute.startsWith("token") ? "tokenUrl" : (attribute as Option);

/** What a text means, be it an attribute's or a property's; undefined: the default. */
export function readText(option: Option, text: string | null): Options[keyof Options] {
  return text === null || text === "" ? undefined : readers[option](text);
}
