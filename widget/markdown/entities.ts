// Character references: all numeric ones, and the named ones that people and models write. The whole list of HTML is 2,231 names, or
// 12 KB; a browser decodes them only through an HTML sink.

/** U+00A0 to U+00FF, in order. */
const latin1 =
  "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml";

const others =
  "amp& lt< gt> quot\" apos' ndash– mdash— lsquo‘ rsquo’ sbquo‚ ldquo“ rdquo” bdquo„ dagger† Dagger‡ bull• hellip… permil‰ prime′ Prime″ lsaquo‹ rsaquo› euro€ trade™ larr← uarr↑ rarr→ darr↓ harr↔ lArr⇐ rArr⇒ hArr⇔ forall∀ part∂ exist∃ empty∅ isin∈ notin∉ prod∏ sum∑ minus− radic√ infin∞ cap∩ cup∪ int∫ asymp≈ ne≠ equiv≡ le≤ ge≥ sub⊂ sup⊃ alpha\u03b1 beta\u03b2 gamma\u03b3 delta\u03b4 epsilon\u03b5 lambda\u03bb mu\u03bc pi\u03c0 sigma\u03c3 tau\u03c4 phi\u03c6 omega\u03c9 Delta\u0394 Sigma\u03a3 Omega\u03a9 check✓ cross✗ star☆ starf★ lbrack[ rbrack] lbrace{ rbrace} lpar( rpar) ast* lowbar_ grave` num# vert| bsol\\ sol/ colon: commat@ excl! quest? dollar$ percnt% plus+ equals= period. comma, semi; Tab\t NewLine\n";

const named = new Map<string, string>();
for (const [index, name] of latin1.split(" ").entries()) named.set(name, String.fromCharCode(0xa0 + index));
for (const [, name, character] of others.matchAll(/([A-Za-z]+)([^A-Za-z]) ?/g)) named.set(name!, character!);

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
