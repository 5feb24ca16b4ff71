// What `sluice doctor` says of boxes: whether one can be made here, and whether it has what an agent's hooks and MCP servers name.
import { accessSync, constants, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { missingPrograms } from "./agents/programs.ts";
import { ReachFault, shownTo, type ReachContext } from "./agents/reach.ts";
import { contextOf, mustHaveBoxes, noBox, tryMaker } from "./box-maker.ts";
import { NoBox } from "./claude/box/bubblewrap.ts";
import { isScript } from "./claude/box/cli-copy.ts";
import type { BoxMaker } from "./claude/box/session-box.ts";
import { locateCli } from "./claude/locate.ts";
import type { Config } from "./config.ts";
import type { Finding } from "./finding.ts";
import type { AgentConfig } from "./protocol/agents.ts";
import { SetupError } from "./protocol/errors.ts";

/** How the gateway would run sessions now. */
export type Boxing =
  | { readonly kind: "off" }
  | { readonly kind: "boxed"; readonly maker: BoxMaker; readonly context: ReachContext; readonly isCliScript: boolean }
  | { readonly kind: "none"; readonly why: NoBox }
  | { readonly kind: "refused"; readonly why: SetupError };

/** Makes a box and tries it. */
export async function lookAtBoxes(config: Config): Promise<Boxing> {
  if (config.isolation === "off") return { kind: "off" };
  const context = contextOf(config, config.dataFolder, config.agents);
  try {
    const maker = await tryMaker(config, context, folderFor(config));
    const cli = await locateCli(config.claude, config.environment["PATH"]).catch(() => undefined);
    return { kind: "boxed", maker, context, isCliScript: cli !== undefined && isScript(realpathSync(cli.path)) };
  } catch (error) {
    if (error instanceof SetupError) return { kind: "refused", why: error };
    if (!(error instanceof NoBox)) return { kind: "refused", why: unknownFault(error) };
    if (mustHaveBoxes(config, resolve(config.dataFolder))) return { kind: "refused", why: noBox(error) };
    return { kind: "none", why: error };
  }
}

function unknownFault(error: unknown): SetupError {
  const words = error instanceof Error ? error.message : String(error);
  return new SetupError("no_box", `A box could not be tried: ${words}`, "The message is the operating system's.");
}

/** On the disk that the CLI's copy is to lie on, if it is there. */
function folderFor({ dataFolder }: Config): string {
  try {
    accessSync(dataFolder, constants.W_OK);
    return resolve(dataFolder);
  } catch {
    // Not there, or closed: another check says so.
    return tmpdir();
  }
}

const unboxed =
  "sessions run without boxes: they can read each other's conversations, and an allowed command all that the gateway can";

export function checkBox(boxing: Boxing): Finding {
  const finding = { what: "box", isWell: true };
  switch (boxing.kind) {
    case "off":
      return { ...finding, isWarning: true, found: `off, as the configuration says: ${unboxed}` };
    case "none":
      return { ...finding, isWarning: true, found: `${boxing.why.message} So ${unboxed}.`, mend: boxing.why.mend };
    case "refused":
      return { ...finding, isWell: false, found: boxing.why.message, mend: boxing.why.mend };
    case "boxed":
      return { ...finding, ...boxFound(boxing) };
  }
}

function boxFound({
  maker,
  isCliScript,
}: Extract<Boxing, { kind: "boxed" }>): Pick<Finding, "found" | "isWarning" | "mend"> {
  const form = maker.setpriv === undefined ? "as an ordinary user" : "as root, whose rights no session has";
  const found = `bubblewrap ${maker.bubblewrap.version} makes boxes ${form}: one was tried, and held`;
  if (!isCliScript) return { found: `${found}; the CLI cannot be read in it` };
  return {
    found: `${found}; but the CLI is a script, so a tool can read it, and its credential`,
    isWarning: true,
    mend: "Set SLUICE_CLAUDE to the CLI's own program.",
  };
}

/** `name`: of this agent alone. */
export function checkPrograms({ agents, environment }: Config, boxing: Boxing, name: string | undefined): Finding {
  const what = "programs";
  if (boxing.kind !== "boxed") return { what, isWell: true, found: "sessions have those of this machine" };
  const { maker, context } = boxing;
  const looked = agents.filter((agent) => name === undefined || agent.name === name);
  const faults = looked.flatMap((agent) => faultsOf(agent, maker, context, environment["PATH"]));
  if (faults.length === 0) {
    const whose = name === undefined ? "each agent's boxes have" : `the boxes of ${name} have`;
    return { what, isWell: true, found: `${whose} what hooks and MCP servers name` };
  }
  const [found, mend] = [faults.map((fault) => fault.found).join("; "), faults.map((fault) => fault.mend).join("\n")];
  return { what, isWell: false, found, mend };
}

function faultsOf(
  agent: AgentConfig,
  { host }: BoxMaker,
  context: ReachContext,
  path: string | undefined,
): { readonly found: string; readonly mend: string }[] {
  try {
    const missing = missingPrograms(agent, shownTo(agent, host, context), { path, home: context.home });
    if (missing.length === 0) return [];
    const named = missing.map((one) => `${one.field}: ${one.path}`).join(", ");
    const read = JSON.stringify([...new Set(missing.map((one) => one.path))]);
    const mend = `Show them to the agent "${agent.name}": "box": {"read": ${read}}, or the folders of all that they need.`;
    return [{ found: `not in the box of "${agent.name}": ${named}`, mend }];
  } catch (error) {
    if (!(error instanceof ReachFault)) throw error;
    return [{ found: `"${agent.name}", ${error.field}: ${error.message}`, mend: error.mend }];
  }
}
