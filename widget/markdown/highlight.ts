// Colours for code, in a chunk of its own that is fetched when the first block of code has closed. highlight.js gives its tokens to an
// emitter; ours lists them, so that no HTML is ever made.
import type { Emitter } from "highlight.js";
import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import java from "highlight.js/lib/languages/java";
import json from "highlight.js/lib/languages/json";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import { toJson } from "../json.ts";
import type { Token } from "./markdown.ts";

/** Their own aliases (`ts`, `py`, `sh`, `html`, …) come with them. JavaScript is read as what it is a part of. */
const languages = { bash, css, diff, go, java, javascript: typescript, json, python, rust, sql, typescript, xml, yaml };
/** Near enough. */
const alsoAs = { javascript: ["js", "jsx", "mjs", "cjs"], bash: ["shell", "console", "zsh"], css: ["scss", "less"] };

for (const [name, language] of Object.entries(languages)) hljs.registerLanguage(name, language);
for (const [languageName, aliases] of Object.entries(alsoAs)) hljs.registerAliases(aliases, { languageName });

/** What highlight.js takes for HTML is the list of tokens as JSON. */
class TokenList implements Emitter {
  readonly tokens: Token[] = [];
  readonly #scopes: string[] = [];

  addText(text: string): void {
    if (text !== "") this.tokens.push({ text, kind: this.#scopes.at(-1) ?? null });
  }

  startScope(scope: string): void {
    this.#scopes.push(scope);
  }

  endScope(): void {
    this.#scopes.pop();
  }

  __addSublanguage(emitter: TokenList): void {
    this.tokens.push(...emitter.tokens);
  }

  openNode(scope: string): void {
    this.startScope(scope);
  }

  closeNode(): void {
    this.endScope();
  }

  finalize(): void {}

  toHTML(): string {
    return toJson(this.tokens);
  }
}

hljs.configure({ __emitter: TokenList });

/** Null: the language is not known. The texts of the tokens are the code. */
export function highlight(code: string, language: string): readonly Token[] | null {
  if (!hljs.getLanguage(language)) return null;
  return JSON.parse(hljs.highlight(code, { language, ignoreIllegals: true }).value) as Token[];
}
