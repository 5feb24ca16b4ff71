// The CLI's copy for boxes, 380 MB, made once for all tests of a machine: each data folder gets a link to it.
import { existsSync, linkSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { copyCli } from "../../gateway/claude/box/cli-copy.ts";
import { locateCli } from "../../gateway/claude/locate.ts";

const shared = join(tmpdir(), `sluice-test-cli-${process.getuid?.() ?? 0}`);

/** Gives a data folder the copy of the npm-installed CLI. */
export async function linkCliCopy(dataFolder: string): Promise<void> {
  if (process.platform !== "linux") return;
  const cli = await locateCli(undefined, "");
  // Once, before others look at it: of two test files at once each makes its own, and the second finds the first one's.
  if (!existsSync(join(shared, cli.version))) {
    const draft = mkdtempSync(`${shared}-`);
    await copyCli(cli, draft);
    try {
      renameSync(draft, shared);
    } catch {
      rmSync(draft, { recursive: true });
    }
  }
  const [from, to] = [join(shared, cli.version), join(dataFolder, "cli", cli.version)];
  if (existsSync(to)) return;
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) linkSync(join(from, name), join(to, name));
}
