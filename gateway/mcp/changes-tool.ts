// The tool that shows what an agent has changed in its worktree: commits and files, and the diff page by page.
import { z } from "zod";
import { agentName } from "../protocol/agents.ts";
import type { AgentChanges } from "../protocol/changes.ts";
import { addTool, readsOnly, type Scene } from "./tool.ts";

/** A client would keep a longer one from its model. */
const maxDiffChars = 40_000;
const maxFiles = 200;

const output = z.object({
  branch: z.string(),
  base: z.string().nullable().describe("the commit that all this is against; null: it has not worked yet"),
  commits: z.array(z.object({ commit: z.string(), at: z.string(), subject: z.string() })).describe("newest first"),
  files: z.array(z.object({ path: z.string(), status: z.string(), from: z.string().optional() })),
  files_truncated: z.boolean(),
  diff: z.string(),
  next_offset: z.number().nullable().describe("the diff goes on there; null: that was its end"),
  diff_truncated: z.boolean().describe("the diff is larger than what can be shown: see the files"),
});

export function addChangesTool(scene: Scene): void {
  addTool(scene, "agent_changes", {
    title: "See what an agent has changed",
    description:
      "What an agent with a worktree of its own has changed there, committed or not: its commits, the files, and the diff against the point where its branch left the main one.",
    input: z.strictObject({
      agent: agentName,
      offset: z.int().nonnegative().default(0).describe("next_offset of an earlier call: more of the diff"),
    }),
    output,
    hints: readsOnly,
    async run(caller, { agent, offset }) {
      const data = pageOf(await scene.agents.changes(caller, agent), offset);
      return { data, text: textOf(data) };
    },
  });
}

function pageOf(changes: AgentChanges, offset: number): z.infer<typeof output> {
  const { branch, base, commits, files, files_truncated, diff, diff_truncated } = changes;
  // Between the halves of a sign no client could read either page.
  const isWithinSign = /[\ud800-\udbff]/.test(diff.charAt(offset + maxDiffChars - 1));
  const end = offset + maxDiffChars - (isWithinSign ? 1 : 0);
  return {
    branch,
    base,
    commits: [...commits],
    files: files.slice(0, maxFiles),
    files_truncated: files_truncated || files.length > maxFiles,
    diff: diff.slice(offset, end),
    next_offset: end < diff.length ? end : null,
    diff_truncated,
  };
}

function textOf({ branch, commits, files, files_truncated, diff, next_offset }: z.infer<typeof output>): string {
  if (files.length === 0) return `${branch} has no changes.`;
  return [
    `${branch}, ${commits.length} commits:`,
    ...commits.map(({ commit, subject }) => `${commit.slice(0, 12)} ${subject}`),
    ...files.map(({ status, path, from }) => `${status}: ${from === undefined ? "" : `${from} → `}${path}`),
    ...(files_truncated ? ["… and more files"] : []),
    "",
    diff,
    ...(next_offset === null ? [] : [`… the diff goes on at offset ${next_offset}`]),
  ].join("\n");
}
