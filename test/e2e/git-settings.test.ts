// What a repository's own configuration runs when the CLI, or a command that it asks nobody about, only looks at it.
import { execFileSync } from "node:child_process";
import { chmodSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newFolder } from "../support/gateway.ts";
import { openScene, type Scene } from "../support/real-cli.ts";

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene.close());

test("[A5] a look at a repository runs no monitor, no hook and no signature check of its configuration", async () => {
  const marks = newFolder(scene, "marks");
  const program = (name: string) => {
    const path = join(newFolder(scene, "programs"), name);
    writeFileSync(path, `#!/bin/sh\ntouch ${marks}/${name}\n`);
    chmodSync(path, 0o755);
    return path;
  };
  const git = (...args: string[]) =>
    execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@example.com", ...args], { cwd: scene.workspace });
  git("init", "--quiet");
  writeFileSync(join(scene.workspace, "file"), "one\n");
  git("add", "file");
  git("commit", "--quiet", "--message=one");
  git("config", "core.fsmonitor", program("monitor"));
  git("config", "log.showSignature", "true");
  git("config", "gpg.program", program("signature"));
  git("config", "core.hooksPath", newFolder(scene, "hooks"));
  writeFileSync(
    join(git("config", "core.hooksPath").toString().trim(), "post-index-change"),
    `#!/bin/sh\ntouch ${marks}/hook\n`,
    { mode: 0o755 },
  );
  const touched = () => writeFileSync(join(scene.workspace, "file"), "one\n");

  const asked: string[] = [];
  const driven = await scene.drive({
    decide: async ({ tool }) => {
      asked.push(tool);
      return { behavior: "deny", message: "no" };
    },
  });
  for (const command of ["git status", "git log -1", "git diff"]) {
    touched();
    const { events } = await driven.say(`demo:tool Bash ${JSON.stringify({ command })}`);
    const result = events.find((event) => event.type === "tool_result");
    expect([command, result]).toMatchObject([command, { is_error: false }]);
  }
  expect([asked, readdirSync(marks)]).toEqual([[], []]);

  // The same looks do run them for somebody who has not switched them off.
  touched();
  git("status");
  expect(readdirSync(marks).toSorted()).toEqual(["hook", "monitor"]);
});
