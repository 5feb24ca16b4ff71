// The view of changes, a chunk of its own: lines that were taken out and put in.
import type { ComponentType } from "preact";
import { addStyle } from "../../stylesheet.ts";
import css from "./diff.css?inline";
import { diffLines } from "./line-diff.ts";
import type { Change } from "./tool-words.ts";

addStyle(css);

export interface DiffProps {
  readonly changes: readonly Change[];
  readonly show: ComponentType<{ readonly children: string }>;
}

const signs = { same: " ", out: "-", in: "+" } as const;

/** `show`: how a line's text is drawn. */
export function Diff({ changes, show: Show }: DiffProps) {
  return (
    <>
      {changes.map(({ before, after }, index) => (
        <pre key={index} class="diff" tabIndex={0} dir="ltr">
          {diffLines(before, after).map(({ kind, text }, line) => (
            <span key={line} class={kind}>
              {signs[kind]} <Show>{text}</Show>
              {"\n"}
            </span>
          ))}
        </pre>
      ))}
    </>
  );
}
