// Four renderers of Markdown that people read transcripts with, each as trusting as it can be made: HTML passes, no link is refused, addresses
// become links. What they make is judged by its tags alone: those that are here for Markdown's own structure, and none of anyone else.
import { HtmlRenderer, Parser } from "commonmark";
import MarkdownIt from "markdown-it";
import { marked } from "marked";
import { micromark } from "micromark";
import { gfm, gfmHtml } from "micromark-extension-gfm";

const commonmarkParser = new Parser();
const commonmarkRenderer = new HtmlRenderer({ safe: false });
const markdownIt = new MarkdownIt({ html: true, linkify: true });
markdownIt.validateLink = () => true;

export const renderers: Readonly<Record<string, (markdown: string) => string>> = {
  commonmark: (markdown) => commonmarkRenderer.render(commonmarkParser.parse(markdown)),
  marked: (markdown) => marked.parse(markdown, { async: false, gfm: true }),
  "markdown-it": (markdown) => markdownIt.render(markdown),
  micromark: (markdown) =>
    micromark(markdown, {
      allowDangerousHtml: true,
      allowDangerousProtocol: true,
      extensions: [gfm()],
      htmlExtensions: [gfmHtml()],
    }),
};

const structure = [
  /^<\/?(?:p|em|strong|del|s|code|pre|blockquote|ul|ol|li|h[1-6]|table|thead|tbody|tr|th|td|sup|section|details|summary)>$/,
  /^<(?:br|hr) ?\/?>$/,
  /^<\/a>$/,
  /^<ol start="\d+">$/,
  /^<code class="language-[\w+#.,-]+">$/,
  /^<t[hd] (?:align="|style="text-align: ?)(?:left|right|center);?">$/,
  /^<input (?:type="checkbox"|disabled=""|checked=""| )+ ?\/?>$/,
  // Footnotes.
  /^<h2 id="footnote-label" class="sr-only">$/,
  /^<section data-footnotes="" class="footnotes">$/,
  /^<li id="user-content-fn-[^"<>]*">$/,
];

/** Tags that Markdown's own structure does not mean, or that lead to anything but a page or a mailbox. */
export function strangeTags(html: string): string[] {
  const tags = [...html.matchAll(/<[a-z/!?][^>]*>?/gi)].map(([tag]) => tag);
  return tags.filter((tag) => !structure.some((known) => known.test(tag)) && !isPlainLink(tag));
}

/** The words outside of code and links, in which a forge looks for names of people. */
export function plainWords(html: string): string[] {
  return html
    .replaceAll(/<(pre|code|a)\b[^>]*>[^]*?<\/\1>/g, "<>")
    .split(/<[^>]*>/)
    .map(decoded);
}

function isPlainLink(tag: string): boolean {
  const [, href] =
    /^<a href="([^"<>]*)"(?: title="[^"<>]*"| id="user-content-fnref-[^"<>]*"| (?:data-footnote-ref|data-footnote-backref)=""| aria-[a-z]+="[^"<>]*"| class="data-footnote-backref")*>$/.exec(
      tag,
    ) ?? [];
  if (href === undefined) return false;
  const address = decoded(href);
  // What cannot be read as an address leads nowhere.
  if (!URL.canParse(address, "https://page.example/")) return true;
  return /^(?:https?|mailto|ftp|xmpp):$/.test(new URL(address, "https://page.example/").protocol);
}

const names: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };

function decoded(text: string): string {
  return text.replaceAll(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (all, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined) return names[name] ?? all;
    return String.fromCodePoint(decimal === undefined ? Number.parseInt(hex!, 16) : Number(decimal));
  });
}
