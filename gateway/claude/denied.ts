// [A9] What stands in for a box if there is none: rules of the CLI's own that deny reading, and changing, what is other sessions' and the gateway's. They
// hold for its tools and the commands that it understands; a program that a person lets run reads what it likes. Pure.
import { join } from "node:path";

export interface DeniedPlaces {
  readonly dataFolder: string;
  /** The CLI's configuration folder, where the files of all sessions lie. */
  readonly configFolder: string;
  readonly session: string;
}

/** So many characters of an id tell it from every other one's. */
const tellingChars = 8;

/** Rules for `permissions.deny`, for a session that may read what is its own. */
export function denyRules({ dataFolder, configFolder, session }: DeniedPlaces): string[] {
  const patterns = [
    ...["key", "*.json", "*.sqlite*", "run/**", "login/**", "cli/**"].map((name) => join(dataFolder, name)),
    ...othersThan(session).map((name) => join(dataFolder, "sessions", name)),
    ...othersThan(session).map((name) => join(configFolder, "projects/*", name)),
    ...["projects/*/memory/**", ".credentials.json", "history.jsonl", "session-env/**", "file-history/**"].map((name) =>
      join(configFolder, name),
    ),
  ];
  // A path that begins with one slash would be taken for one in the workspace.
  return patterns.flatMap((pattern) => [`Read(/${pattern})`, `Edit(/${pattern})`]);
}

const hexDigits = "0123456789abcdef";

/** Ids that do not begin as this one does, as patterns. The CLI knows no "all but": the other digits are named. */
function othersThan(id: string): string[] {
  return Array.from({ length: tellingChars }, (_, at) => `${id.slice(0, at)}[${hexDigits.replace(id[at]!, "")}]*`);
}
