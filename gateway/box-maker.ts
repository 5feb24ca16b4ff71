// What all boxes of a gateway have in common, found and tried: for the gateway itself, and for `sluice doctor`, which leaves nothing behind.
import { existsSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { networkOf } from "./agents/boxes.ts";
import { coversFor, type ReachContext } from "./agents/reach.ts";
import { findBubblewrap, NoBox } from "./claude/box/bubblewrap.ts";
import { copyCli } from "./claude/box/cli-copy.ts";
import { hostMounts } from "./claude/box/host.ts";
import type { BoxMaker } from "./claude/box/session-box.ts";
import { tryBox } from "./claude/box/trial.ts";
import { findOnPath, type Cli } from "./claude/locate.ts";
import { configFolder } from "./claude/session-file.ts";
import type { Config } from "./config.ts";
import type { DataFolder } from "./data-folder.ts";
import type { AgentConfig } from "./protocol/agents.ts";
import { SetupError } from "./protocol/errors.ts";

export interface MakerDeps {
  readonly config: Config;
  readonly data: Pick<DataFolder, "run" | "cli">;
  readonly cli: Cli;
}

/** Rejects with `NoBox`, or a `SetupError` where there is no room for the CLI's copy. */
export async function makeMaker({ config, data, cli }: MakerDeps, context: ReachContext): Promise<BoxMaker> {
  const maker = await partsOf(config, () => copyOf(cli, data.cli));
  await tried(maker, config, { context, runFolder: data.run });
  return maker;
}

/**
 * The same with another program in the CLI's place, whose copy is small and gone afterwards: the data folder may be a running gateway's. Rejects
 * with `NoBox`. `folder`: where that is done.
 */
export async function tryMaker(config: Config, context: ReachContext, folder: string): Promise<BoxMaker> {
  const own = mkdtempSync(join(folder, "doctor-"));
  try {
    const maker = await partsOf(config, () => copyOf({ path: "/bin/true", version: "0" }, join(own, "cli")));
    await tried(maker, config, { context, runFolder: join(own, "run") });
    return maker;
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}

async function partsOf(config: Config, copy: () => Promise<BoxMaker["cli"]>): Promise<BoxMaker> {
  const bubblewrap = await findBubblewrap(config.environment["PATH"]);
  const host = hostMounts(config.environment["PATH"]);
  return { bubblewrap, host, cli: await copy(), setpriv: setprivIfRoot(config) };
}

interface TrialPlace {
  readonly context: ReachContext;
  readonly runFolder: string;
}

async function tried(maker: BoxMaker, config: Config, { context, runFolder }: TrialPlace): Promise<void> {
  const uid = config.boxUid ?? 65_534;
  const user = maker.setpriv === undefined ? { uid: process.getuid!(), gid: process.getgid!() } : { uid, gid: uid };
  const covers = coversFor(maker.host, undefined, context);
  const isClosed = config.agents.some((agent) => networkOf(agent, config.environment) === "none");
  const network = isClosed ? "none" : "open";
  await tryBox({ maker, user, dataFolder: context.dataFolder, runFolder, covers, network });
}

async function copyOf(cli: Cli, folder: string): Promise<BoxMaker["cli"]> {
  try {
    return await copyCli(cli, folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new SetupError(
      "data_not_writable",
      `The copy of the CLI that boxes run could not be made in ${folder} (${code ?? String(error)}).`,
      "It needs some 400 MB: make room, or set SLUICE_DATA to a folder on another disk.",
    );
  }
}

function setprivIfRoot({ environment }: Config): string | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const found = findOnPath("setpriv", `${environment["PATH"] ?? ""}:/usr/bin:/bin`);
  if (found !== undefined) return found;
  throw new NoBox(
    "The gateway is root, and there is no setpriv to give that up in a box.",
    "Install util-linux, or run the gateway as an ordinary user.",
  );
}

/** Where the boxes of these agents are made. */
export function contextOf(config: Config, dataFolder: string, agents: readonly AgentConfig[]): ReachContext {
  const home = config.environment["HOME"] || homedir();
  const hidden = [
    configFolder(config),
    join(home, ".claude.json"),
    ...(config.file === undefined ? [] : [config.file]),
  ];
  return {
    agents,
    dataFolder: existsSync(dataFolder) ? realpathSync(dataFolder) : resolve(dataFolder),
    hidden: hidden.filter(existsSync).map((one) => realpathSync(one)),
    home,
  };
}

/** A data folder that has had boxes is not opened without: what it promised to its users would end unnoticed. */
export function mustHaveBoxes({ isolation, agents }: Config, dataFolder: string): boolean {
  return isolation === "required" || existsSync(markFile(dataFolder)) || agents.some((agent) => agent.public);
}

export function noBox({ message, mend }: NoBox): SetupError {
  const off =
    'To run sessions without boxes, say "isolation": "off" in the configuration file: see "Security" in the README.';
  return new SetupError("no_box", `Sessions cannot run in boxes: ${message}`, `${mend}\n${off}`);
}

/** There once the data folder has had boxes. */
export function markFile(dataFolder: string): string {
  return join(dataFolder, "boxed");
}

/** Boxes have a login of the gateway's own alone: the operator's is not theirs. */
export function loginEnvironmentOf({ environment }: Config, loginFolder: string): Config["environment"] {
  return { ...environment, CLAUDE_SECURESTORAGE_CONFIG_DIR: loginFolder };
}
