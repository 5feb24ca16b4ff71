// The chunk of tool calls.
import { addStyle } from "../../stylesheet.ts";
import css from "./tools.css?inline";

addStyle(css);

export { ToolCard } from "./tool-card.tsx";
export { describeTool } from "./tool-words.ts";
