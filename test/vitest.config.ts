import { defineConfig } from "vitest/config";
import { lacksChromium } from "./support/programs.ts";
import { scaled } from "./support/scale.ts";

// Two groups, one after the other: pure and in-process tests side by side, then everything that starts the real CLI or measures
// processes, one file at a time (the machine has two cores, and eight CLIs at once are five times slower each).
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
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: "widget-browser",
          include: ["test/widget-browser/**/*.test.ts"],
          // All of it is about what a browser does: without one it is left out, and programs.ts says so.
          exclude: lacksChromium ? ["**"] : [],
          globalSetup: "test/support/build-widget.ts",
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
