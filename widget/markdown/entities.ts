// Character references: all numeric ones, and the named ones that people and models write. The whole list of HTML is 2,231 names, or
// 12 KB; a browser decodes them only through an HTML sink.

const names =
  "amp& lt< gt> quot\" apos' nbsp\u00a0 copy© reg® trade™ hellip… mdash— ndash– lsquo‘ rsquo’ ldquo“ rdquo” laquo« raquo» bull• middot· larr← rarr→ uarr↑ darr↓ harr↔ rArr⇒ times× divide÷ plusmn± minus− le≤ ge≥ ne≠ infin∞ deg° micro\u00b5 sect§ para¶ euro€ pound£ yen¥ cent¢ frac12½ check✓ shy\u00ad lbrace{ rbrace} lbrack[ rbrack] vert| bsol\\ lowbar_ ast* num# grave` Auml\u00c4 Ouml\u00d6 Uuml\u00dc auml\u00e4 ouml\u00f6 uuml\u00fc szlig\u00df eacute\u00e9 egrave\u00e8 agrave\u00e0 ccedil\u00e7 ntilde\u00f1 ";

const named = new Map(Array.from(names.matchAll(/(\w+?)([^]) /g), ([, name, character]) => [name!, character!]));

/** A character reference at `lastIndex`. */
export const entityAt = /&(?:#[xX]([0-9a-fA-F]{1,6})|#([0-9]{1,7})|([A-Za-z][A-Za-z0-9]{1,31}));/y;

/** The text of a match of `entityAt`; undefined where the name is not known. */
export function entityText([, hex, decimal, name]: RegExpExecArray): string | undefined {
  if (name !== undefined) return named.get(name);
  const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
  const isCharacter = code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
  return isCharacter ? String.fromCodePoint(code) : "\ufffd";
}

/** Resolves escapes and character references, as in addresses, titles and the language of a block of code. */
export function unescaped(text: string): string {
  if (!/[\\&]/.test(text)) return text;
  return text.replace(/\\([!-/:-@[-`{-~])|&[#\w]{2,33};/g, (match, escaped: string | undefined) => {
    if (escaped !== undefined) return escaped;
    entityAt.lastIndex = 0;
    const found = entityAt.exec(match);
    return (found && entityText(found)) ?? match;
  });
}
