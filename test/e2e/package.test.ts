import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

// The package as npm would publish it, unpacked under node_modules, where Node takes no TypeScript.

const root = resolve(import.meta.dirname, "../..");
let folder: string;
let installed: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "sluice-package-"));
  const modules = join(folder, "node_modules");
  installed = join(modules, "sluice");
  mkdirSync(installed, { recursive: true });
  const [packed] = JSON.parse(
    execFileSync("npm", ["pack", "--json", "--pack-destination", folder], {
      cwd: root,
      encoding: "utf8",
      stdio: "pipe",
    }),
  ) as [{ filename: string }];
  execFileSync("tar", ["-xzf", join(folder, packed.filename), "-C", installed, "--strip-components=1"]);
  for (const name of readdirSync(join(root, "node_modules")))
    if (name !== "sluice") symlinkSync(join(root, "node_modules", name), join(modules, name));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the published package carries JavaScript alone, with the widget and its types, and answers from below node_modules", () => {
  const files = readdirSync(installed, { recursive: true, encoding: "utf8" });
  expect(files.filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"))).toEqual([]);
  const widget = files.filter((file) => file.startsWith("widget/")).map((file) => file.replace(/-[0-9a-f]{8}\./, "."));
  expect(widget).toEqual(
    expect.arrayContaining(["widget/dist/widget.js", "widget/dist/embed.mjs", "widget/dist/page.d.ts"]),
  );
  const manifest = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as { customElements: string };
  expect(files).toContain(manifest.customElements);
  const bin = join(installed, "gateway/bin.js");
  // A gateway takes no variables of the tests.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("SLUICE_")));
  const run = (...args: string[]) =>
    execFileSync(process.execPath, [bin, ...args], { cwd: folder, encoding: "utf8", stdio: "pipe", env });
  expect(run("--version")).toMatch(/^\d+\.\d+\.\d+\n$/);
  expect(run("demo", "ask", "demo:text It works.")).toContain("It works.");
});
