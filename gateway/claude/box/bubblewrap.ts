// Finds bubblewrap and checks that it can make boxes: which version it is, and that it is not setuid.
import { execFile } from "node:child_process";
import { realpathSync, statSync } from "node:fs";
import { promisify } from "node:util";
import { findOnPath } from "../locate.ts";
import { filteredProcessors } from "./call-filter.ts";

export interface Bubblewrap {
  readonly path: string;
  readonly version: string;
}

/** The oldest that has every option: `--disable-userns` came with it. */
export const oldestBubblewrap = "0.8.0";

const install = "Install it (Debian and Ubuntu: apt-get install bubblewrap; Fedora: dnf install bubblewrap).";

/** Why there is no box, and what to do about it. Both are for the operator. */
export class NoBox extends Error {
  override readonly name = "NoBox";
  readonly mend: string;

  constructor(message: string, mend: string, options?: ErrorOptions) {
    super(message, options);
    this.mend = mend;
  }
}

/** Rejects with `NoBox`. */
export async function findBubblewrap(path: string | undefined): Promise<Bubblewrap> {
  if (process.platform !== "linux")
    throw new NoBox("Boxes need Linux.", "Run the gateway on Linux, or in a Linux virtual machine.");
  if (!filteredProcessors.includes(process.arch))
    throw new NoBox(`Boxes need an x86-64 or ARM64 processor, and this is ${process.arch}.`, "Run the gateway on one.");
  const found = findOnPath("bwrap", path ?? "");
  if (found === undefined) throw new NoBox("bubblewrap (bwrap) was not found on PATH.", install);
  const real = realpathSync(found);
  if ((statSync(real).mode & 0o4000) !== 0)
    throw new NoBox(
      `${found} is setuid, and that bubblewrap cannot make boxes that take all rights away.`,
      "Allow user namespaces for ordinary users and take the setuid bit away (chmod u-s), or install another bubblewrap first on PATH.",
    );
  const said = await promisify(execFile)(real, ["--version"], { timeout: 20_000 }).then(
    ({ stdout }) => stdout,
    () => "",
  );
  const version = /^bubblewrap (\d+\.\d+\.\d+)/.exec(said)?.[1];
  if (version === undefined) throw new NoBox(`${found} does not answer --version as bubblewrap does.`, install);
  if (isOlder(version, oldestBubblewrap))
    throw new NoBox(`${found} is ${version}; boxes need ${oldestBubblewrap} or newer.`, install);
  return { path: real, version };
}

function isOlder(version: string, than: string): boolean {
  return version.localeCompare(than, "en", { numeric: true }) < 0;
}
