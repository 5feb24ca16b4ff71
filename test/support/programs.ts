// What tests need beside the packages that everything needs. Where it is missing those tests are skipped, loudly, so that a fresh clone can be
// tried; with CI set nothing is skipped.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

export const chromiumPath = "/usr/bin/chromium";

/** Runs something in a mount namespace of its own, as root there: `unshare` and its options. */
export const ownMounts = [
  "unshare",
  ...(process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"]),
  "--mount",
] as const;

/** The oldest CLI that Sluice supports. It stands beside the newest one under a name of its own. */
export const oldestCli = new URL("../../node_modules/claude-code-oldest/bin/claude.exe", import.meta.url).pathname;

/** For `test.skipIf` and `describe.skipIf`. */
export const lacksChromium = lacks("Chromium, for what only a browser shows", existsSync(chromiumPath), "chromium");
export const lacksCurl = lacks("curl, for the README's lines", isOnPath("curl"), "curl");
export const lacksNginx = lacks("nginx, for the README's reverse proxy", isOnPath("nginx"), "nginx-light openssl");
export const lacksMounts = lacks("mount namespaces (unshare), for a full disk", canMount(), "util-linux");
export const lacksBubblewrap = lacks("bubblewrap, for boxes", isOnPath("bwrap"), "bubblewrap");
export const lacksPython = lacks("python3, for what a model may try", isOnPath("python3"), "python3");
export const lacksOldestCli = lacks("oldest CLI, for what must hold with it too", existsSync(oldestCli));

function lacks(what: string, isThere: boolean, debianPackage?: string): boolean {
  if (isThere) return false;
  const install = "apt-get update && apt-get install -y --no-install-recommends";
  const said = `this machine has no ${what}: ${debianPackage === undefined ? "npm ci" : `${install} ${debianPackage}`}`;
  if (process.env["CI"]) throw new Error(said);
  console.warn(`SKIPPED: ${said}`);
  return true;
}

function isOnPath(program: string): boolean {
  return (process.env["PATH"] ?? "").split(":").some((folder) => folder !== "" && existsSync(join(folder, program)));
}

function canMount(): boolean {
  const [file, ...args] = ownMounts;
  return spawnSync(file, [...args, "true"]).status === 0;
}
