// Boxes for processes that are started without a gateway: the fake CLI's, and bare drivers'.
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { findBubblewrap } from "../../gateway/claude/box/bubblewrap.ts";
import type { BoxedCli } from "../../gateway/claude/box/cli-copy.ts";
import { hostMounts } from "../../gateway/claude/box/host.ts";
import type { Mount } from "../../gateway/claude/box/mounts.ts";
import { createSessionBox } from "../../gateway/claude/box/session-box.ts";
import { findOnPath } from "../../gateway/claude/locate.ts";
import type { BoxOpener } from "../../gateway/claude/launch.ts";
import { openSessionFolder } from "../../gateway/claude/session-folder.ts";
import { sessionUid } from "./owner.ts";

export interface TestBox {
  /** The session's folder, made here. */
  readonly sessionFolder: string;
  /** A copy that cannot be read, or a script. */
  readonly cli: BoxedCli;
  /** Shown at their own places, to read. */
  readonly read: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** A box with the session's own workspace and the host's network. */
export async function testBox({ sessionFolder, cli, read, environment }: TestBox): Promise<BoxOpener> {
  const isRoot = process.getuid?.() === 0;
  const owner = isRoot ? { uid: sessionUid, gid: sessionUid } : undefined;
  const bubblewrap = await findBubblewrap(process.env["PATH"]);
  const setpriv = isRoot ? findOnPath("setpriv", "/usr/bin:/bin") : undefined;
  const host = hostMounts(process.env["PATH"]);
  const mounts = read.map((path): Mount => ({ kind: "read", from: path, to: path }));
  return {
    owner,
    async open() {
      mkdirSync(dirname(sessionFolder), { recursive: true });
      const folder = openSessionFolder(sessionFolder, { machineID: "m", userID: "u" }, owner);
      const user = owner ?? { uid: process.getuid!(), gid: process.getgid!() };
      const maker = { bubblewrap, host, setpriv, cli };
      const content = { folder, workspace: undefined, mounts, user, login: undefined, apiSocket: undefined, env: {} };
      return createSessionBox(maker, content, environment);
    },
  };
}

/** What a fake CLI is made of, besides its own folder. */
export const fakeCliParts = [process.execPath, join(import.meta.dirname, "fake-cli.js")];
