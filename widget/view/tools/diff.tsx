// The view of changes, a chunk of its own: lines that were taken out and put in.
import { addStyle } from "../../stylesheet.ts";
import css from "./diff.css?inline";
import { diffLines } from "./line-diff.ts";
import type { Change } from "./tool-words.ts";

addStyle(css);

const signs = { same: " ", out: "-", in: "+" } as const;

export function Diff({ changes }: { readonly changes: readonly Change[] }) {
  return (
    <>
      {changes.map(({ before, after }, index) => (
        <pre key={index} class="diff" tabIndex={0}>
          {diffLines(before, after).map(({ kind, text }, line) => (
            <span key={line} class={kind}>
              {signs[kind]} {text}
              {"\n"}
            </span>
          ))}
        </pre>
      ))}
    </>
  );
}
