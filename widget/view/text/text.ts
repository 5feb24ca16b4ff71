// The chunk of Markdown.
import { addStyle } from "../../stylesheet.ts";
import css from "./text.css?inline";

addStyle(css);

export { MarkdownText } from "./markdown-text.tsx";
