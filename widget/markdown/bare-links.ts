// Addresses that stand in a text without any mark, as GitHub finds them: http(s)://…, www.…, someone@somewhere.org. Pure.
// https://github.github.com/gfm/#autolinks-extension-

export interface BareLink {
  readonly from: number;
  readonly to: number;
  readonly href: string;
  /** The address reaches the text's end: more of it may come. */
  readonly isOpen: boolean;
}

/** What is longer is no link: each beginning inside of a word looks as far as that. */
const maxLength = 2000;

const beginning = /(?<![\w.+/-])([\w.+-]+)@|(?<![A-Za-z])(https?:\/\/)|(?<![^\s(*_[\]~])(www\.)/gi;

/** The first of them at or behind a place. Places must not go back. */
export function bareLinksIn(text: string): (at: number) => BareLink | null {
  let next: BareLink | null | undefined;
  return (at) => {
    while (next === undefined || (next !== null && next.from < at))
      next = findFrom(text, Math.max(at, next?.from ?? 0));
    return next;
  };
}

function findFrom(text: string, at: number): BareLink | null {
  for (let from = at; ;) {
    beginning.lastIndex = from;
    const found = beginning.exec(text);
    if (!found) return null;
    const behind = found.index + found[0].length;
    // What is no mail address may still be another one.
    const isWww = found[3] !== undefined || (found[1] !== undefined && isAtWww(text, found.index));
    const link =
      (found[1] === undefined ? null : email(text, found.index, behind)) ??
      (found[2] || isWww ? webAddress(text, found.index, isWww ? null : behind) : null);
    if (link) return link;
    from = found.index + 1;
  }
}

function isAtWww(text: string, at: number): boolean {
  return /^www\./i.test(text.slice(at, at + 4)) && /^[\s(*_[\]~]?$/.test(text.slice(Math.max(0, at - 1), at));
}

function email(text: string, from: number, domainAt: number): BareLink | null {
  const domain = /(?:[\w-]|\.(?=[A-Za-z0-9]))+/y;
  domain.lastIndex = domainAt;
  const name = domain.exec(text)?.[0];
  if (!name || !/^[^.].*\..*[A-Za-z]$/.test(name)) return null;
  const to = domain.lastIndex;
  return { from, to, href: `mailto:${text.slice(from, to)}`, isOpen: to === text.length };
}

/** `domainAt`: behind the protocol; null for `www.`, which is part of the domain. */
function webAddress(text: string, from: number, domainAt: number | null): BareLink | null {
  const begin = domainAt ?? from;
  const word = /[^\s<]{0,2001}/y;
  word.lastIndex = begin;
  const end = begin + word.exec(text)![0].length;
  const isOpen = end === text.length;
  if (end - begin > maxLength) return null;
  if (domainAt === null ? end <= from + 4 && isOpen : !/^[^\s\p{P}\p{S}\p{Cc}]/u.test(text.slice(begin, begin + 2)))
    return null;
  const to = trimmedEnd(text, begin, end);
  const domain = /^(?:[^\p{P}\p{S}]|[-._])*/u.exec(text.slice(begin, to))![0];
  // The last two parts of a domain must not have underscores.
  if (domain === "" || /_[^.]*(?:\.[^.]*)?$/.test(domain)) return null;
  return { from, to, href: (domainAt === null ? "http://" : "") + text.slice(from, to), isOpen };
}

const trailing = /(?:[!"')*,.:;?_~]|&[A-Za-z]+;|\](?![([\s]|$))*/y;

/** Where the address ends: before punctuation that only ends a sentence, but not within balanced parentheses. */
function trimmedEnd(text: string, begin: number, end: number): number {
  let depth = 0;
  /** Up to here it is known that something comes that is no punctuation. */
  let sure = begin;
  for (let at = begin; at < end; at++) {
    const character = text[at]!;
    if (character === "(") depth++;
    else if (character === ")" && depth > 0) depth--;
    else if (at >= sure && /[!"&')*,.:;?\]_~]/.test(character)) {
      trailing.lastIndex = at;
      trailing.exec(text);
      sure = trailing.lastIndex;
      if (sure >= end || text[sure] === "]") return at;
      // `&` that begins no character reference.
      sure = Math.max(sure, at + 1);
    }
  }
  return end;
}
