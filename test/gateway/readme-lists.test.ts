// The README's tables, and the help of the command line, against what they list.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { configFile } from "../../gateway/config.ts";
import { helpOf } from "../../gateway/help.ts";
import { agentConfig } from "../../gateway/protocol/agents.ts";
import { errorStatus, failureRetryable, ownEventTypes } from "../../gateway/protocol/codes.ts";
import { limits, visitorRate, type Rate } from "../../gateway/protocol/limits.ts";
import { scopes, toolScopes } from "../../gateway/protocol/scopes.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const readme = read("README.md");

/** The rows of the table whose head begins so, each cell without what frames it. */
function table(head: string): string[][] {
  const from = readme.indexOf(`\n| ${head} `) + 1;
  if (from === 0) throw new Error(`the README has no table that begins with "${head}"`);
  return readme
    .slice(from, readme.indexOf("\n\n", from))
    .split("\n")
    .slice(2)
    .map((row) =>
      row
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim()),
    );
}

const namesIn = (text: string) => [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1]!);
const numberOf = (text: string) => Number(text.replaceAll(",", ""));

/** As the README writes it. */
function written(value: unknown, name: string): string {
  if (typeof value !== "number") return "off";
  if (!name.endsWith("_bytes")) return String(value);
  const kilobytes = value / 1024;
  return kilobytes < 1024 ? `${kilobytes} KB` : `${kilobytes / 1024} MB`;
}

test("every limit is there, with its default", () => {
  const rows = table("Field of `limits`").map(([names, defaults]) => [namesIn(names!), defaults!.split(", ")] as const);
  const given = limits.parse({}) as Record<string, unknown>;
  expect(rows.flatMap(([names]) => names).toSorted()).toEqual(Object.keys(limits.shape).toSorted());
  for (const [names, defaults] of rows) {
    if (names[0] === "rates") continue;
    expect([names, defaults]).toEqual([names, names.map((name) => written(given[name], name))]);
  }
});

test("the rates are those of each kind of caller", () => {
  const { rates } = limits.parse({});
  const head = Object.keys(visitorRate);
  const [both, user, visitor] = table("`limits.rates`").map(
    ([, ...cells]) => Object.fromEntries(cells.map((cell, index) => [head[index], numberOf(cell)])) as unknown as Rate,
  );
  const names = /\n\| `limits\.rates` +\|(.*)\n/.exec(readme)![1]!.match(/`\w+`/g)!;
  expect(names.map((name) => name.slice(1, -1))).toEqual(head);
  expect({ key: both, address: both, user }).toEqual(rates);
  expect(visitor).toEqual(visitorRate);
});

test("every field of an agent is there, with its default", () => {
  const rows = table("Field of an agent");
  expect(rows.flatMap(([names]) => namesIn(names!)).toSorted()).toEqual(Object.keys(agentConfig.shape).toSorted());
  const given = Object.fromEntries(
    Object.entries(agentConfig.parse({ name: "a" })).map(([name, value]) => [
      name,
      JSON.stringify(value)?.replaceAll('"', ""),
    ]),
  );
  const defaultsOf = (name: string) => rows.find(([names]) => namesIn(names!).includes(name))![1]!;
  for (const name of ["permission_mode", "billing"]) expect(defaultsOf(name)).toBe(`\`${given[name]}\``);
  expect(defaultsOf("worktree")).toBe(given["worktree"]);
  expect(defaultsOf("turn_timeout_s")).toBe(`${given["turn_timeout_s"]}, ${given["silence_timeout_s"]}`);
  expect(defaultsOf("approval_timeout_s")).toBe(given["approval_timeout_s"]);
  expect(defaultsOf("spares")).toBe(`the gateway's, ${given["queue"]}, ${given["spares"]}`);
  for (const name of ["slash_commands", "file_mentions", "background_tasks"])
    expect([defaultsOf(name), given[name]]).toEqual(["off", "false"]);
});

test("codes of refusals stand at their status, codes of failures in their list, and no others", () => {
  const listed = table("Status").flatMap(([statuses, codes]) => {
    const groups = codes!.split("·").map(namesIn);
    return statuses!.split(", ").flatMap((status, at) => groups[at]!.map((code) => [code, Number(status)] as const));
  });
  expect(Object.fromEntries(listed)).toEqual(errorStatus);
  const sentence = /^A turn fails with one of these codes: ([^]*?)\.\n/m.exec(readme)![1]!;
  expect(namesIn(sentence)).toEqual(Object.keys(failureRetryable));
});

test("every event of ours", () => {
  const events = readme.slice(readme.indexOf("### Events"), readme.indexOf("### Approvals"));
  expect(namesIn(events)).toEqual(expect.arrayContaining([...ownEventTypes]));
});

test("the sample configuration is a valid one", () => {
  const sample = /```json\n([^]*?)```/.exec(readme.slice(readme.indexOf("## Operate")))![1]!;
  expect(configFile.parse(JSON.parse(sample)).agents?.map(({ name }) => name)).toEqual(["default", "reviewer"]);
});

test("the scopes, and the tools of /mcp with theirs", () => {
  expect(namesIn(/^The scopes are (.*?); without/m.exec(readme)![1]!)).toEqual(scopes);
  const tools = table("Tool").flatMap(([names, scope]) => namesIn(names!).map((name) => [name, namesIn(scope!)[0]]));
  expect(Object.fromEntries(tools)).toEqual(toolScopes);
});

test("the help has every variable of the environment", () => {
  const variables = [...read("gateway/config.ts").matchAll(/^ {2}(SLUICE_\w+):/gm)].map((match) => match[1]!);
  const helped = [...helpOf(undefined).matchAll(/^ {2}(SLUICE_\w+(?:, SLUICE_\w+)*) /gm)].flatMap((match) =>
    match[1]!.split(", "),
  );
  expect(variables.length).toBeGreaterThan(5);
  expect(helped.toSorted()).toEqual(variables.toSorted());
});
