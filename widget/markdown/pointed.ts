// What begins with `<`: an address, or HTML, which is text. Pure.

export interface Pointed {
  readonly end: number;
  /** Of an address; null: it is HTML. */
  readonly link: { readonly href: string; readonly text: string } | null;
}

const webAddress = /<([A-Za-z][A-Za-z0-9+.-]{1,31}:[^\s<>\u0000-\u001f]*)>/y;
const emailAddress =
  /<([\w.!#$%&'*+/=?^`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*)>/y;
const tag =
  /<(?:[A-Za-z][A-Za-z0-9-]*(?:\s+[A-Za-z_:][\w.:-]*(?:\s*=\s*(?:[^\s"'=<>`]+|'[^']*'|"[^"]*"))?)*\s*\/?>|\/[A-Za-z][A-Za-z0-9-]*\s*>)/y;
/** HTML that has an end of its own, which is looked for behind so many characters. */
const withEnd: readonly [begin: RegExp, skipped: number, end: string][] = [
  [/<!-->/y, 5, ""],
  [/<!--->/y, 6, ""],
  [/<!--/y, 4, "-->"],
  [/<\?/y, 2, "?>"],
  [/<!\[CDATA\[/y, 9, "]]>"],
  [/<![A-Za-z]/y, 2, ">"],
];

export function pointedIn(text: string): (at: number) => Pointed | null {
  /** Ends that were looked for in vain. */
  const absent = new Set<string>();

  function endBehind(begin: number, end: string): number {
    const found = absent.has(end) ? -1 : text.indexOf(end, begin);
    if (found < 0) absent.add(end);
    return found;
  }

  return (at) => {
    const address = match(webAddress, text, at) ?? match(emailAddress, text, at);
    if (address) {
      const [whole, content] = address as unknown as [string, string];
      const href = content.includes(":") ? content : `mailto:${content}`;
      return { end: at + whole.length, link: { href, text: content } };
    }
    const html = match(tag, text, at);
    if (html) return { end: at + html[0].length, link: null };
    for (const [begin, skipped, end] of withEnd) {
      if (!match(begin, text, at)) continue;
      const found = endBehind(at + skipped, end);
      return found < 0 ? null : { end: found + end.length, link: null };
    }
    return null;
  };
}

function match(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}
