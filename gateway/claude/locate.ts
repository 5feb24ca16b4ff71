// Finds the CLI and checks that it can be used: configured path, else `claude` on PATH, else the npm-installed one.
import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { SetupError } from "../protocol/errors.ts";

export interface Cli {
  readonly path: string;
  readonly version: string;
}

/** The oldest version that Sluice was measured with. */
export const oldestVersion = "2.1.197";

/** How to install the CLI, in one line. */
export const installCommand = "npm install -g @anthropic-ai/claude-code";

/** Throws a `SetupError`: missing, not executable, too old. */
export async function locateCli(configured: string | undefined, path: string | undefined): Promise<Cli> {
  const found = configured ?? findOnPath("claude", path ?? "") ?? npmInstalled();
  if (found === undefined)
    throw new SetupError(
      "cli_missing",
      "The claude CLI was not found.",
      `Install it (${installCommand}), or set SLUICE_CLAUDE to its path.`,
    );
  if (!existsSync(found))
    throw new SetupError(
      "cli_missing",
      `There is no claude CLI at ${found}, or this user cannot reach it.`,
      "Set SLUICE_CLAUDE to the CLI's path, or unset it.",
    );
  if (!isProgram(found))
    throw new SetupError(
      "cli_not_executable",
      `${found} is not an executable file.`,
      `Make it executable (chmod +x), or set SLUICE_CLAUDE to the CLI itself.`,
    );
  const version = await versionOf(found);
  if (isOlder(version, oldestVersion))
    throw new SetupError(
      "cli_too_old",
      `The claude CLI at ${found} is ${version}; Sluice needs ${oldestVersion} or newer.`,
      `Update it: ${installCommand}`,
    );
  return { path: found, version };
}

/** The absolute path of a program that PATH leads to. */
export function findOnPath(name: string, path: string): string | undefined {
  return path
    .split(delimiter)
    .filter((folder) => folder !== "")
    .map((folder) => resolve(folder, name))
    .find(isProgram);
}

function npmInstalled(): string | undefined {
  try {
    const manifestPath = createRequire(import.meta.url).resolve("@anthropic-ai/claude-code/package.json");
    const manifest = createRequire(import.meta.url)(manifestPath) as { bin: { claude: string } };
    return join(dirname(manifestPath), manifest.bin.claude);
  } catch {
    // Not installed: it is an optional peer.
    return undefined;
  }
}

/** Also where a folder of another user's PATH is closed to this one. */
function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    // The operating system's "no" is the answer.
    return false;
  }
}

async function versionOf(file: string): Promise<string> {
  const output = await promisify(execFile)(file, ["--version"], { timeout: 20_000 }).then(
    ({ stdout }) => stdout,
    () => "",
  );
  const version = /^(\d+\.\d+\.\d+)/.exec(output.trim())?.[1];
  if (version === undefined)
    throw new SetupError(
      "cli_not_executable",
      `${file} does not answer --version as the claude CLI does.`,
      "Set SLUICE_CLAUDE to the claude CLI.",
    );
  return version;
}

function isOlder(version: string, than: string): boolean {
  const [a, b] = [version, than].map((text) => text.split(".").map(Number));
  const at = a!.findIndex((part, index) => part !== b![index]);
  return at >= 0 && a![at]! < b![at]!;
}
