// A process of its own that makes worktrees of a repository for so many agents at once, to be killed on the way. Says when it begins, what it
// has made, and what could not be.
import { createGit } from "../../gateway/agents/git.ts";
import { createWorktrees } from "../../gateway/agents/worktrees.ts";

const [root, runFolder, workspace, count] = process.argv.slice(2) as [string, string, string, string];
const git = createGit({ path: process.env["PATH"], runFolder });
const worktrees = createWorktrees({ root, git });
const say = (what: object) => process.stdout.write(`${JSON.stringify(what)}\n`);
say({ pid: process.pid });
await Promise.all(
  Array.from({ length: Number(count) }, (_, index) => {
    const name = `coder-${index}`;
    return worktrees.ensure({ name, workspace }).then(
      () => say({ made: name }),
      (error: { code?: string; message: string }) => say({ failed: name, code: error.code, message: error.message }),
    );
  }),
);
worktrees.close();
