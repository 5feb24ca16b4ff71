// The chunk of what is not needed all the time.
import { addStyle } from "../../stylesheet.ts";
import css from "./more.css?inline";

addStyle(css);

export { Details } from "./details.tsx";
export { Edit } from "./edit.tsx";
export { MenuItems } from "./menu-items.tsx";
export { SessionList } from "./session-list.tsx";
