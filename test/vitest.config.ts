import { defineConfig } from "vitest/config";
import { lacksChromium } from "./support/programs.ts";
import { scaled } from "./support/scale.ts";

/** What a limit of time or memory is about, and what builds files that others serve: one at a time, with nothing beside it. */
const alone = ["test/e2e/{gateway-streams,package}.test.ts", "test/widget-browser/{approvals,linear,streams}.test.ts"];

/** Without a browser what is about one is left out, and programs.ts says so. */
const inBrowser = "test/widget-browser/**/*.test.ts";
const left = lacksChromium ? [inBrowser] : [];

const slow = { testTimeout: 60_000, hookTimeout: 60_000 };

// Three groups, one after the other: pure and in-process tests; what starts the real CLI or a browser, two files side by side (the machine
// has two cores, and eight CLIs at once are five times slower each); what must be alone.
export default defineConfig({
  test: {
    root: new URL("..", import.meta.url).pathname,
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/gateway/**/*.test.ts", "test/contract/**/*.test.ts", "test/widget/**/*.test.ts"],
          testTimeout: scaled({ short: 30_000, long: 600_000 }),
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          exclude: alone,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
          ...slow,
        },
      },
      {
        test: {
          name: "widget-browser",
          include: [inBrowser],
          exclude: [...alone, ...left],
          maxWorkers: 2,
          globalSetup: "test/support/build-widget.ts",
          sequence: { groupOrder: 1 },
          ...slow,
        },
      },
      {
        test: {
          name: "alone",
          include: alone,
          exclude: left,
          fileParallelism: false,
          globalSetup: "test/support/build-widget.ts",
          sequence: { groupOrder: 2 },
          ...slow,
        },
      },
    ],
  },
});
