// Text that a person must be able to trust what it looks like: characters that are not seen, turn around what is next to them, or look like
// another one stand as signs with their numbers. "Trojan Source": https://www.unicode.org/reports/tr55/
import { Fragment, type JSX } from "preact";

/**
 * In this order: controls but for line ends and tabs; spaces that are none; what has no width, or turns the direction; what looks like a sign that
 * a shell or a path gives a meaning; letters of another alphabet beside Latin ones.
 */
const untrue =
  /([^\P{C}\n\t]|(?! )[\p{Z}\u2800]|\p{DI}|[\u01C0\u037E\u1FEF\u2010\u2011\u2024\u2044\u2212\u2215-\u2217\u2223\u2236\u223C\u29F8\uA789]|(?<=[A-Za-z])[\p{sc=Cyrl}\p{sc=Grek}]|[\p{sc=Cyrl}\p{sc=Grek}](?=[A-Za-z]))/u;

export function Signs({ children }: { readonly children: string }): JSX.Element {
  return (
    <>
      {children.split(untrue).map((part, index) =>
        index % 2 === 0 ? (
          <Fragment key={index}>{part}</Fragment>
        ) : (
          <span key={index} class="sign">
            U+{part.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}
          </span>
        ),
      )}
    </>
  );
}
