// The chunk of what is not needed all the time.
import { addStyle } from "../../stylesheet.ts";
import { addTexts } from "../../language.ts";
import { english } from "./texts.ts";
import css from "./more.css?inline";

addStyle(css);
addTexts(english);

export { createAnnouncer } from "./announcer.ts";
export { copyText } from "./copy-text.ts";
export { DraftImages, AddImage } from "./draft-images.tsx";
export { Edit } from "./edit.tsx";
export { Menu } from "./menu.tsx";
export { SessionList } from "./session-list.tsx";
export { TurnActions } from "./turn-actions.tsx";
export { Older } from "./older.tsx";
export { NotSent, Problem } from "./problems.tsx";
export { PromptActions } from "./prompt-actions.tsx";
export { TurnState } from "./turn-state.tsx";
export { watchKeys } from "./log-keys.ts";
export { watchDrops, watchViewport } from "./panel-watch.ts";
