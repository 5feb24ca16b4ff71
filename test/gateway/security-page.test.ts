// gateway/docs/security.md against what it describes.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { oldestBubblewrap } from "../../gateway/claude/box/bubblewrap.ts";
import {
  apiSocketInBox,
  cliInBox,
  filesInBox,
  loginInBox,
  sessionParts,
  sessionRoot,
  sharedMemoryBytes,
  temporaryBytes,
} from "../../gateway/claude/box/layout.ts";
import { configFile } from "../../gateway/config.ts";
import { boxConfig, isolations } from "../../gateway/protocol/box.ts";
import { limits } from "../../gateway/protocol/limits.ts";
import { groups } from "../support/isolation/tries.ts";

const page = readFileSync(new URL("../../gateway/docs/security.md", import.meta.url), "utf8");
const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

const testFolder = new URL("../", import.meta.url).pathname;
const testSources = readdirSync(testFolder, { recursive: true, encoding: "utf8" })
  .filter((path) => /\.test\.tsx?$/.test(path))
  .map((path) => readFileSync(join(testFolder, path), "utf8"));

/** The first cells of the table whose head begins so, without their backticks. */
function firstCells(head: string): string[] {
  const from = page.indexOf(`\n| ${head} `) + 1;
  if (from === 0) throw new Error(`the page has no table that begins with "${head}"`);
  const rows = page.slice(from, page.indexOf("\n\n", from)).split("\n").slice(2);
  return rows.map((row) => row.split("|")[1]!.trim().replaceAll("`", ""));
}

test("every field of `box` is there, and every value of `isolation`", () => {
  expect(firstCells("Field of `box`")).toEqual(Object.keys(boxConfig.shape));
  expect(firstCells("`isolation`").toSorted()).toEqual([...isolations].toSorted());
});

test("[A9] everything that a box has of its own is there, at its place", () => {
  const own = [...sessionParts.map((part) => `${sessionRoot}/${part}`), filesInBox, loginInBox, apiSocketInBox];
  const listed = firstCells("In the box");
  expect(listed.filter((path) => path.startsWith("/session"))).toEqual(own);
  expect(listed).toContain(cliInBox);
});

test("every attack at the front door has the test that its row names", () => {
  const rows = firstCells("Attack");
  expect(rows.length).toBeGreaterThan(1);
  const from = page.indexOf("\n| Attack ");
  const titles = page
    .slice(from, page.indexOf("\n\n", from))
    .split("\n")
    .slice(3)
    .map((row) => row.split(" | ")[2]!.replace(/\s*\|$/, ""));
  expect(titles.filter((title) => !testSources.some((source) => source.includes(title)))).toEqual([]);
});

test("[A9] each kind of try to get out names a test that there is, and no group of them is left out", () => {
  const from = page.indexOf("\n| Wanted, or harmed ") + 1;
  const rows = page.slice(from, page.indexOf("\n\n", from)).split("\n").slice(2);
  const named = rows.map((row) => row.split(/(?<!\\)\|/)[3]!.trim());
  const titles = new Set(
    groups.flatMap(({ name, rule, tries }) => tries.map(({ title }) => `[${rule}] ${name}: ${title}`)),
  );
  expect(named.filter((title) => !titles.has(title))).toEqual([]);
  expect(new Set(named).size).toBe(named.length);
  for (const { name, rule } of groups)
    expect(named.some((title) => title.startsWith(`[${rule}] ${name}: `))).toBe(true);
});

test("its numbers are those of the code", () => {
  const megabytes = (bytes: number) => `${bytes / 1024 / 1024} MB`;
  expect(page).toContain(`has ${megabytes(temporaryBytes)}, \`/dev/shm\` ${megabytes(sharedMemoryBytes)}`);
  expect(page).toContain(`bubblewrap ${oldestBubblewrap} or newer`);
  expect(page).toContain(`\`visitor_folder_mb\` (${limits.parse({}).visitor_folder_mb})`);
});

test("its configurations are valid ones", () => {
  const samples = [...page.matchAll(/```json\n([^]*?)```/g)].map(([, sample]) => sample!);
  expect(samples.length).toBeGreaterThan(1);
  for (const sample of samples) configFile.parse(JSON.parse(sample));
});

test("its links lead somewhere", () => {
  const anchors = (text: string) =>
    [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
      title!
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, "")
        .replaceAll(" ", "-"),
    );
  const links = [...page.matchAll(/\]\(((?:\.\.\/\.\.\/README\.md)?)#([^)]+)\)/g)];
  expect(links.length).toBeGreaterThan(10);
  for (const [, file, anchor] of links) expect(anchors(file === "" ? page : readme)).toContain(anchor);
});
