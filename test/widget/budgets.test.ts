import { readdirSync, readFileSync, existsSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";

// What pages load, in bytes as they travel. A file that is not named here has no budget, and so may not be there.

const dist = new URL("../../widget/dist/", import.meta.url).pathname;
const kilobyte = 1024;

/** By what stands in front of the hash; of gzip, but for the loader. */
const budgets: Readonly<Record<string, number>> = {
  /** Element, connection, transcript, panel, composer, style: a chat, whose answers stand as plain text until Markdown is there. */
  embed: 32 * kilobyte,
  /** Markdown, fetched beside the main module as soon as a panel is drawn. */
  text: 14.25 * kilobyte,
  /** Tool calls, approvals, questions, to-do lists. */
  tools: 7.75 * kilobyte,
  /** What an edit changes, line by line. */
  diff: 1 * kilobyte,
  /** What can be done with messages, failures, menu, list of conversations, images, announcements. */
  more: 9.25 * kilobyte,
  "more-acts": 1.5 * kilobyte,
  /** For the fifth conversation in one browser; and for one that is shown a second time. */
  polling: 0.75 * kilobyte,
  "read-events": 0.75 * kilobyte,
  "texts-de": 2.5 * kilobyte,
  highlight: 25 * kilobyte,
};
const loaderBytes = 1.5 * kilobyte;

const isBuilt = existsSync(dist);
const sizes = new Map(
  (isBuilt ? readdirSync(dist) : [])
    .filter((name) => /-[0-9a-f]{8}\.mjs$/.test(name))
    .map((name) => [name.slice(0, -"-01234567.mjs".length), gzipSync(readFileSync(dist + name), { level: 9 }).length]),
);

test("the widget is built: else run `npm run build:widget`", () => {
  expect(isBuilt).toBe(true);
});

test("every chunk has a budget", () => {
  expect([...sizes.keys()].filter((name) => !Object.hasOwn(budgets, name))).toEqual([]);
});

describe.each(Object.entries(budgets))("%s", (name, most) => {
  test(`is at most ${most / kilobyte} KB`, () => {
    expect(sizes.get(name)).toBeLessThanOrEqual(most);
  });
});

test(`the loader is at most ${loaderBytes / kilobyte} KB`, () => {
  expect(readFileSync(`${dist}widget.js`).length).toBeLessThanOrEqual(loaderBytes);
});

test("every script has its digest", () => {
  const digests = JSON.parse(readFileSync(`${dist}integrity.json`, "utf8")) as Record<string, string>;
  expect(Object.keys(digests)).toEqual(
    readdirSync(dist)
      .filter((name) => /\.m?js$/.test(name))
      .toSorted(),
  );
  for (const digest of Object.values(digests)) expect(digest).toMatch(/^sha384-[\w+/]{64}$/);
});
