// The chunk of Markdown.
import { addStyle } from "../../stylesheet.ts";
import blocks from "../../markdown/markdown.css?inline";
import css from "./text.css?inline";

addStyle(css + blocks);

export { MarkdownText } from "./markdown-text.tsx";
