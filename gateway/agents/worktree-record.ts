// What is noted of an agent's worktree, beside it: `<root>/.records/<agent>/record.json`, with its private git folder. Noted before anything
// is made or removed, so that the next start knows what a kill in between has left. Agents' names begin with no dot: none lies in the way.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { agentName } from "../protocol/agents.ts";

const record = z.object({
  /** Only a `whole` one was ever handed out: what is left of one that was `making` holds nobody's work. */
  state: z.enum(["making", "whole", "restoring", "removing"]),
  /** The repository's folders, as `Repository` has them. */
  common: z.string(),
  own: z.string(),
  branch: z.string(),
  /** The commit that the branch began at. */
  base: z.string(),
  /** While it is made: names that the repository had for worktrees before. While it is removed: where the branch stood, if it was there. */
  before: z.array(z.string()).optional(),
  tip: z.string().optional(),
});

export type WorktreeRecord = z.infer<typeof record>;

/** Where an agent's worktree and what belongs to it lie. */
export interface Places {
  /** The worktree itself. */
  readonly folder: string;
  readonly records: string;
  readonly privateGit: string;
}

/** Throws where the name is no agent's: it could lead out of the root. */
export function placesOf(root: string, agent: string): Places {
  const name = agentName.parse(agent);
  const records = join(root, ".records", name);
  return { folder: join(root, name), records, privateGit: join(records, "git") };
}

export function readRecord({ records }: Places): WorktreeRecord | undefined {
  let text: string;
  try {
    text = readFileSync(join(records, "record.json"), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  return record.parse(JSON.parse(text));
}

/** Whole or not at all, also on a disk that is full. */
export function writeRecord({ records }: Places, noted: WorktreeRecord): void {
  mkdirSync(records, { recursive: true, mode: 0o700 });
  const [file, draft] = [join(records, "record.json"), join(records, "record.json.new")];
  writeFileSync(draft, JSON.stringify(noted), { flush: true });
  renameSync(draft, file);
}

/** The last step of a removal. */
export function removeRecord({ records }: Places): void {
  // While its record is there, the rest is found again.
  rmSync(join(records, "git"), { recursive: true, force: true });
  rmSync(records, { recursive: true, force: true });
}

/** The agents of which something is noted. */
export function recordedAgents(root: string): string[] {
  try {
    return readdirSync(join(root, ".records")).filter((name) => agentName.safeParse(name).success);
  } catch {
    // There has never been one.
    return [];
  }
}
