// `sluice doctor`: checks what Sluice needs of this machine, one line each, and says how to mend what is not as it should be.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { spawn as spawnPty } from "node-pty";
import { loginEnvironmentOf } from "./box-maker.ts";
import { locateCli } from "./claude/locate.ts";
import { askLogin } from "./claude/login.ts";
import { findNewTools } from "./claude/new-tools.ts";
import { locateGit } from "./agents/git.ts";
import { howToLogIn } from "./ask.ts";
import type { Config } from "./config.ts";
import { checkBox, checkPrograms, lookAtBoxes, type Boxing } from "./doctor-box.ts";
import { openDataFolder, readHolder } from "./data-folder.ts";
import type { Finding } from "./finding.ts";
import { configuredAddress, isAnswering, listen, whoAnswers } from "./listen.ts";
import { SetupError } from "./protocol/errors.ts";
import { checkSqliteFile } from "./store/sqlite.ts";
import { checkWorkspaces } from "./workspaces.ts";

/** Prints a line a check; resolves with the exit code, 0 if all is well. `agent`: whose programs are looked at alone. */
export async function doctor(config: Config, print: (line: string) => void, agent?: string): Promise<number> {
  if (agent !== undefined && !config.agents.some(({ name }) => name === agent))
    throw new SetupError("config_invalid", `There is no agent "${agent}".`, "Name one of the configuration file.");
  const data = await checkData(config);
  const boxing = await lookAtBoxes(config);
  const checks = [
    checkNode,
    checkCli,
    () => checkLogin(config, boxing),
    checkPty,
    checkGit,
    () => data,
    () => checkBox(boxing),
    checkAgents,
    () => checkPrograms(config, boxing, agent),
    checkAddress,
  ];
  let isWell = true;
  for (const check of checks) {
    const finding = await check(config);
    isWell &&= finding.isWell;
    const mark = finding.isWell ? (finding.isWarning ? "warn" : "ok  ") : "FAIL";
    print(`${mark}  ${finding.what.padEnd(12)} ${finding.found}`);
    if (finding.mend !== undefined)
      print(`      ${"".padEnd(12)} → ${finding.mend.replaceAll("\n", `\n${"".padEnd(21)}`)}`);
  }
  print(isWell ? "All is well." : "Something needs mending, see →.");
  return isWell ? 0 : 1;
}

async function checkNode(): Promise<Finding> {
  const isWell = Number(process.versions.node.split(".")[0]) >= 24;
  return {
    what: "Node",
    isWell,
    found: process.version,
    ...(isWell ? {} : { mend: "Run `npm install` again: it brings Node 24." }),
  };
}

async function checkCli(config: Config): Promise<Finding> {
  return finding("claude CLI", async () => {
    const cli = await locateCli(config.claude, config.environment["PATH"]);
    const look = findNewTools(cli, { searchPath: config.environment["PATH"] });
    const off = await look.then(
      (tools) =>
        tools.length === 0 ? "" : `; off, since Sluice does not know them, are its tools ${tools.join(", ")}`,
      () => "; whether it has tools that Sluice does not know it did not say",
    );
    return `${cli.version} at ${cli.path}${off}`;
  });
}

async function checkLogin(config: Config, { kind }: Boxing): Promise<Finding> {
  return finding("login", async () => {
    const cli = await locateCli(config.claude, config.environment["PATH"]);
    const login = join(resolve(config.dataFolder), "login");
    const environment = kind === "boxed" ? loginEnvironmentOf(config, login) : config.environment;
    const { isThere, method } = await askLogin(cli.path, environment);
    if (!isThere) throw new SetupError("not_logged_in", "not logged in", howToLogIn);
    return `logged in (${method})`;
  });
}

async function checkPty(): Promise<Finding> {
  return finding("PTY", async () => {
    const pty = spawnPty("/bin/sh", ["-c", "test -t 1 && echo yes"], {});
    let output = "";
    pty.onData((text) => (output += text));
    await new Promise((resolve) => pty.onExit(resolve));
    if (!output.includes("yes"))
      throw new SetupError("config_invalid", "a child got no terminal", "Mount /dev/pts in this container.");
    return "a child gets a terminal";
  });
}

async function checkGit({ agents, environment }: Config): Promise<Finding> {
  const isNeeded = agents.some(({ worktree }) => worktree);
  return finding("git", async () => {
    try {
      const binary = locateGit(environment["PATH"]);
      const { stdout } = await promisify(execFile)(binary, ["--version"], { timeout: 20_000 });
      return `${stdout.trim().replace("git version ", "")} at ${binary}`;
    } catch (error) {
      if (isNeeded || !(error instanceof SetupError)) throw error;
      return "not found; only agents with a worktree need it";
    }
  });
}

async function checkData(config: Config): Promise<Finding> {
  return finding("data folder", async () => {
    try {
      const data = openDataFolder(config.dataFolder);
      try {
        const database = join(data.path, "sluice.sqlite");
        if (existsSync(database)) checkSqliteFile(database);
      } finally {
        data.release();
      }
      return data.path;
    } catch (error) {
      // That is as it should be while a gateway runs.
      if (!(error instanceof SetupError) || error.fault !== "data_locked") throw error;
      const pid = readHolder(config.dataFolder)?.pid;
      return `${resolve(config.dataFolder)}, in use by the running gateway${pid === undefined ? "" : ` (pid ${pid})`}`;
    }
  });
}

async function checkAgents({ agents }: Config): Promise<Finding> {
  return finding("workspaces", async () => {
    checkWorkspaces(agents);
    return agents.map(({ name, workspace = "a folder for each session" }) => `${name}: ${workspace}`).join(", ");
  });
}

async function checkAddress(config: Config): Promise<Finding> {
  return finding("address", async () => {
    const server = createServer();
    try {
      const address = await listen(server, config);
      server.close();
      return config.port === 0 ? "a free port will be taken" : `${address} is free`;
    } catch (error) {
      const own = readHolder(config.dataFolder)?.address;
      const isOurs = own !== undefined && new URL(own).port === String(config.port) && (await isAnswering(own));
      if (isOurs) return `the gateway of this data folder listens on ${own}`;
      const who = await whoAnswers(configuredAddress(config));
      if (who === undefined || !(error instanceof SetupError)) throw error;
      const what = who === "demo" ? "Sluice's demo" : "a Sluice of another data folder";
      throw new SetupError(error.fault, `${config.host}:${config.port} is in use by ${what}.`, error.mend);
    }
  });
}

async function finding(what: string, look: () => Promise<string>): Promise<Finding> {
  try {
    return { what, isWell: true, found: await look() };
  } catch (error) {
    if (error instanceof SetupError) return { what, isWell: false, found: error.message, mend: error.mend };
    const found = error instanceof Error ? error.message : String(error);
    return {
      what,
      isWell: false,
      found,
      mend: "This fault is not known; the message above is the operating system's.",
    };
  }
}
