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

interface Import {
  readonly target: string;
  readonly isType: boolean;
}

/** Imports of other files with whether anything is left of them when types are gone. */
function typedImportsOf(file: string): Import[] {
  const text = readFileSync(file, "utf8");
  const statements = text.matchAll(/^(?:import|export)\s+(type\s)?[^;"]*?"(\.[^"]+)"|import\("(\.[^"]+)"\)/gm);
  return [...statements].map(([, type, path, lazy]) => ({
    target: resolve(dirname(file), (path ?? lazy)!),
    isType: type !== undefined,
  }));
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

// What each part of the widget may import of the others, by the names of its files; what is in no part puts them together.
const widgetParts: Record<string, { readonly files: RegExp; readonly mayImport: readonly string[] }> = {
  transcript: { files: /^transcript(-\w+)?\.ts$/, mayImport: [] },
  /** What not every page has, or has as it should be. */
  platform: { files: /^(ids|json)\.ts$/, mayImport: [] },
  markdown: { files: /^markdown\//, mayImport: ["platform"] },
  network: {
    files:
      /^(api|browser|connection|event-stream|follower|locks|polling|problem|read-events|retry|storage|tokens)\.ts$/,
    mayImport: ["transcript", "options", "platform"],
  },
  chat: {
    files: /^(acts|attachments|chat|chat-events|draft|live-session|more-acts|prompts)\.ts$/,
    mayImport: ["transcript", "network", "options", "platform"],
  },
  /** What a page sets and sees. */
  options: { files: /^(options|page|texts|texts-\w+)\.ts$/, mayImport: [] },
  view: { files: /^view\//, mayImport: ["transcript", "chat", "markdown", "options", "platform"] },
};

const widget = join(root, "widget");
const widgetSources = sources(widget).filter((file) => !/[\\/](dist|node_modules)[\\/]/.test(file));

function widgetPart(file: string): string | undefined {
  const name = relative(widget, file).replaceAll("\\", "/");
  return Object.keys(widgetParts).find((part) => widgetParts[part]!.files.test(name));
}

test("inside the widget the transcript knows nothing, Markdown nothing of a chat, a chat nothing of views, and views nothing of the network", () => {
  const wrong = widgetSources.flatMap((file) => {
    const part = widgetPart(file);
    if (part === undefined) return [];
    const allowed = [part, ...widgetParts[part]!.mayImport];
    return importsOf(file)
      .filter((target) => !relative(widget, target).startsWith(".."))
      .filter((target) => !allowed.includes(widgetPart(target) ?? ""))
      .filter((target) => widgetPart(target) !== undefined || part !== "view")
      .map(
        (target) =>
          `${relative(root, file)} imports ${relative(root, target)}: ${part} may use only ${allowed.join(", ")}`,
      );
  });
  expect(wrong).toEqual([]);
});

/** The file and all that it imports, types aside. */
function withImports(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const { target, isType } of typedImportsOf(file)) if (!isType) withImports(target, seen);
  return seen;
}

test("of the gateway the widget has types of protocol/, and values of those files alone that are free of zod", () => {
  const wrong = widgetSources.flatMap((file) =>
    typedImportsOf(file)
      .filter(({ target }) => !relative(gateway, target).startsWith(".."))
      .flatMap(({ target, isType }) => {
        const at = `${relative(root, file)} imports ${relative(root, target)}`;
        if (partOf(target) !== "protocol") return [`${at}: only protocol/ is for the widget`];
        if (isType) return [];
        const heavy = [...withImports(target)].filter((used) => /from "zod/.test(readFileSync(used, "utf8")));
        return heavy.map((used) => `${at}, and with it zod, by ${relative(root, used)}`);
      }),
  );
  expect(wrong).toEqual([]);
  // The test sees what it is to see.
  expect([...withImports(join(gateway, "protocol/requests.ts"))]).toContain(join(gateway, "protocol/prompt.ts"));
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
