// Words of people, models and tools on one line of a Markdown document of ours [A6]: what could be alive in a renderer is made text. Escapes are
// character references and no backslashes: a bare address, which many renderers make a link of, ends at neither, and `\<` within it is a `<`.
// Pure. What GitHub takes for an address: https://github.github.com/gfm/#autolinks-extension-

/** A short text as plain words on one line: no Markdown, no HTML, no link, nobody's name that a forge would tell of it. */
export function inlineText(text: string): string {
  return onOneLine(text)
    .replaceAll(mention, (sign) => `${sign}\u200b`)
    .replaceAll(/[\\`*[\]<>&|~!$#"'@\u200b]|(?<![a-z\d])_|_(?![a-z\d])|:(?=\/\/)|(?<=\bwww)\./gi, characterReference);
}

/** A short text as plain words inside an HTML element, also for renderers that look for Markdown there. */
export function htmlText(text: string): string {
  const words = onOneLine(text);
  return inlineText(words.length > 120 ? `${[...words].slice(0, 119).join("")}…` : words);
}

/**
 * Markdown outside of code, on one line or a part of it, with all that loads, runs or calls somebody made text: `<`, images (they become links),
 * links to anything but pages and mailboxes, names after an `@`. `isStart`: it begins the line.
 */
export function safeWords(text: string, isStart: boolean): string {
  return text
    .replaceAll(unsafeTarget, (_, sign: string) => `]${characterReference(sign)}`)
    .replaceAll(/[^ \t]+/g, (word, at: number) => safeWord(word, isStart || at > 0));
}

/** Control characters as pictures, but for line ends and tabs: a terminal would obey them, and some renderers end a line at them. */
export function withVisibleControls(text: string): string {
  return text.replaceAll(/\r\n?/g, "\n").replaceAll(/[^\P{Cc}\n\t]/gu, (control) => {
    const code = control.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(0x24_00 + code) : code === 0x7f ? "\u2421" : "\ufffd";
  });
}

function onOneLine(text: string): string {
  return text.replaceAll(/[\s\p{Cc}]+/gu, " ").trim();
}

function characterReference(character: string): string {
  return `&#${character.charCodeAt(0)};`;
}

/**
 * Forges tell people whose names stand so, and look for them in what is shown, where a character reference is the character itself. After a
 * mailbox a name begins again.
 */
const call = String.raw`(?=[@&])(?:(?<![A-Za-z0-9])|(?<=@[\w.+-]*))(?<at>@|&(?:#0*64|#x0*40|commat);)(?=\S)`;
const mention = new RegExp(call, "gi");

/**
 * Where a link or a definition leads, if it is not beyond doubt a page, a mailbox or a place beside this one. What is on the next line is not
 * seen, and references and escapes before the first `/` could spell a scheme.
 */
const unsafeTarget =
  /\]([(:])(?![ \t]*(?:https?:\/\/|mailto:|[/?#)]|[^\s\p{Cc}:&\\<>/?#)[\]]{1,300}(?:[/?#)\s]|$)))/giu;

/** An address that is a link for every renderer that knows bare ones, and a link's target: a name in it calls nobody. */
const address =
  /(?<=^|\()(?:https?:\/\/|www\.)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,20}(?::\d{1,5})?\/[\w./~%+@-]*/gi;

/** What may begin a bare address, and what is escaped; a link's target is already. */
const signs = new RegExp(
  String.raw`(?<!\\)(?<slashes>\\*)(?<opening><|!(?=\[))|(?<=\])(?<target>&#(?:40|58);)|${call}|[a-z]:|www\.|@`,
  "gi",
);

/** A bare address may go on to the next space: an escape gets one before it, if there may be such. */
function safeWord(word: string, isApart: boolean): string {
  const addresses = isApart ? [...word.matchAll(address)] : [];
  let next = 0;
  let isAddress = false;
  let safe = "";
  let from = 0;
  for (const { index, groups = {}, 0: sign } of word.matchAll(signs)) {
    while (next < addresses.length && addresses[next]!.index + addresses[next]![0].length <= index) next++;
    const { slashes = "", opening, target, at } = groups;
    const isCall = at !== undefined && !(next < addresses.length && addresses[next]!.index <= index);
    const escape = opening === "<" ? "&lt;" : opening ? "&#33;" : isCall ? "@&#8203;" : target;
    safe += word.slice(from, index);
    // A backslash before it would be shown.
    safe += escape === undefined ? sign : slashes.slice(slashes.length % 2) + (isAddress ? " " : "") + escape;
    isAddress = escape === undefined;
    from = index + sign.length;
  }
  return safe + word.slice(from);
}
