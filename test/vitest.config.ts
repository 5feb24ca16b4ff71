import { defineConfig } from "vitest/config";
import { lacksChromium } from "./support/programs.ts";
import { scaled } from "./support/scale.ts";

/** What weighs memory, and what builds files that others serve. */
const alone = ["test/e2e/{gateway-streams,package}.test.ts"];

const slow = { testTimeout: 60_000, hookTimeout: 60_000, expect: { poll: { timeout: 30_000 } } };

// One group after the other: pure and in-process tests; those that start the real CLI, two files side by side (the machine has two cores, and
// eight CLIs at once are five times slower each); those with a browser, which takes both cores for itself; what must be alone.
export default defineConfig({
  test: {
    root: new URL("..", import.meta.url).pathname,
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/gateway/**/*.test.ts", "test/contract/**/*.test.ts", "test/widget/**/*.test.{ts,tsx}"],
          testTimeout: scaled({ short: 60_000, long: 600_000 }),
          hookTimeout: 30_000,
          expect: { poll: { timeout: 10_000 } },
          maxWorkers: 2,
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
          include: ["test/widget-browser/**/*.test.ts"],
          // All of it is about what a browser does: without one it is left out, and programs.ts says so.
          exclude: lacksChromium ? ["**"] : [],
          globalSetup: "test/support/build-widget.ts",
          fileParallelism: false,
          sequence: { groupOrder: 2 },
          ...slow,
        },
      },
      {
        test: {
          name: "alone",
          include: alone,
          fileParallelism: false,
          sequence: { groupOrder: 3 },
          ...slow,
        },
      },
    ],
  },
});
