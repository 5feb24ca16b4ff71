// The chunk of tool calls.
import { addStyle } from "../../stylesheet.ts";
import { addTexts } from "../../language.ts";
import { english } from "./texts.ts";
import css from "./tools.css?inline";

addStyle(css);
addTexts(english);

export { ToolCard } from "./tool-card.tsx";
export { describeTool } from "./tool-words.ts";
