import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { expect, test } from "vitest";

// What each part of gateway/ may import of the others. A prompt's way through the house has one direction; an arrow against it
// means that a part knows something that is not its business.
const mayImport: Record<string, readonly string[]> = {
  protocol: [],
  demo: [],
  claude: ["protocol"],
  store: ["protocol"],
  log: ["protocol", "store"],
  agents: ["protocol", "claude", "store", "log"],
  turns: ["protocol", "claude", "store", "log", "agents"],
  formats: ["protocol", "store"],
  http: ["protocol", "store", "log", "agents", "turns", "formats"],
  mcp: ["protocol", "store", "log", "agents", "turns"],
};

const root = resolve(import.meta.dirname, "../..");
const gateway = join(root, "gateway");

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => join(folder, name));
}

function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8");
  return [...text.matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)].map((match) => resolve(dirname(file), match[1]!));
}

const partOf = (file: string) => relative(gateway, file).split("/")[0]!;

test("imports inside gateway/ follow the way of a prompt", () => {
  const wrong = sources(gateway).flatMap((file) => {
    const part = partOf(file);
    const allowed = mayImport[part];
    if (!allowed) return []; // main, app and their like put the parts together.
    return importsOf(file)
      .filter((target) => !relative(gateway, target).startsWith("..") && partOf(target) !== part)
      .filter((target) => !allowed.includes(partOf(target)))
      .map(
        (target) =>
          `${relative(root, file)} imports ${relative(root, target)}: ${part}/ may use only ${allowed.join(", ") || "nothing"}`,
      );
  });
  expect(wrong).toEqual([]);
});

test("only config.ts reads the environment", () => {
  const readers = sources(gateway).filter((file) => readFileSync(file, "utf8").includes("process.env"));
  expect(
    readers.map((file) => relative(gateway, file)).filter((file) => file !== "config.ts" && file !== "main.ts"),
  ).toEqual([]);
});

test("node-pty and the CLI's name stay inside claude/, and the codes that the widget imports are free of zod", () => {
  const ptyUsers = sources(gateway).filter((file) => readFileSync(file, "utf8").includes('from "node-pty"'));
  expect(ptyUsers.map((file) => partOf(file)).filter((part) => part !== "claude" && part !== "doctor.ts")).toEqual([]);
  expect(readFileSync(join(gateway, "protocol/codes.ts"), "utf8")).not.toMatch(/from "zod/);
});

test("what benchmarks share with tests runs outside the test runner too", () => {
  const bench = join(root, "test/bench");
  const files = [bench, join(bench, "rows")].flatMap((folder) =>
    readdirSync(folder).flatMap((name) => (name.endsWith(".ts") ? [join(folder, name)] : [])),
  );
  const shared = new Set(files.flatMap(importsOf).filter((file) => file.startsWith(join(root, "test/support"))));
  expect(shared.size).toBeGreaterThan(1);
  const script = `for (const file of ${JSON.stringify([...shared])}) await import(file);`;
  const env = { ...process.env, VITEST: undefined };
  const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    env,
    encoding: "utf8",
  });
  expect([status, stderr]).toEqual([0, ""]);
});
