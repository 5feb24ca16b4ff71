// What a command line says: its words, and its options by name.
import { parseArgs } from "node:util";
import { SetupError } from "./protocol/errors.ts";

export type Values = ReturnType<typeof readArguments>["values"];

/** Throws a `SetupError` where an option is unknown, or not as it should be. */
export function readArguments(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        help: { type: "boolean", short: "h" },
        version: { type: "boolean" },
        session: { type: "string" },
        agent: { type: "string" },
        timing: { type: "boolean" },
        scopes: { type: "string" },
        agents: { type: "string" },
        link: { type: "boolean" },
        user: { type: "string" },
      },
    });
  } catch (error) {
    throw usage(error instanceof Error ? optionFault(error) : "unknown option");
  }
}

/** What each command looks at: an option of another one would do nothing, unseen. */
const optionsOf: Readonly<Record<string, readonly (keyof Values)[]>> = {
  serve: [],
  demo: [],
  ask: ["session", "agent", "timing"],
  doctor: ["agent"],
  key: ["scopes", "agents"],
  token: ["link", "user"],
  schema: [],
};

/** Throws where an option was given that the command does not have. */
export function checkOptions(command: string, values: Values): void {
  const known: readonly string[] | undefined = Object.hasOwn(optionsOf, command) ? optionsOf[command] : undefined;
  const stray = known && Object.keys(values).find((name) => !known.includes(name));
  if (stray !== undefined) throw usage(`${command} has no option --${stray}`);
}

/** Node's own words for an unknown option speak of what this command line does not have, and quote it by half. */
function optionFault({ message }: Error): string {
  const name = /^Unknown option '(-[^']*)'/.exec(message)?.[1];
  if (name === undefined) return message.split("\n")[0]!.replace(/\.$/, "");
  const variable = /^--(port|host)\b/.exec(name)?.[1];
  return `there is no option ${name}${variable === undefined ? "" : `: set SLUICE_${variable.toUpperCase()}`}`;
}

export function usage(what: string): SetupError {
  return new SetupError("config_invalid", `${what}.`, "See `npx sluice --help`.");
}
