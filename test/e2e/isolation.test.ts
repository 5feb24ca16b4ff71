// [A9, P9] A model that tries to reach what its session must not reach. Each try is made twice: without a box, where it must succeed, and in one (some
// baits for the gateway: in one alone); by gateways that run as root and as an ordinary user. The table of tries: test/support/isolation/tries.ts.
import { beforeAll, describe, expect, test } from "vitest";
import { formsHere, openGrounds } from "../support/isolation/grounds.ts";
import type { Isolation } from "../support/isolation/grounds-gateway.ts";
import { faultsOf, isForBoxAlone, raid, raidUnboxed, type Outcome } from "../support/isolation/raid.ts";
import { groups, triesIn } from "../support/isolation/tries.ts";
import { means } from "../support/isolation/tries/means.ts";
import type { Form, Try } from "../support/isolation/try.ts";
import { lacksBubblewrap, lacksPython } from "../support/programs.ts";

/** A pattern of titles, to work on a few. */
const only = new RegExp(process.env["SLUICE_TEST_TRIES"] ?? "");
const longestRunMs = 600_000;

interface Run {
  readonly outcomes: ReadonlyMap<Try, Outcome>;
  /** Those that need something that this machine does not have. */
  readonly leftOut: ReadonlySet<Try>;
}

const rowsOf = (form: Form) => triesIn(form, formsHere).filter(({ title }) => only.test(title));

async function runAll(form: Form, isolation: Isolation): Promise<Run> {
  const all = rowsOf(form).map(({ row }) => row);
  const rows = all.filter((row) => isolation !== "off" || !isForBoxAlone(row));
  await using at = await openGrounds(form, isolation);
  const possible = [means, ...rows.filter((row) => row.needs?.(at) ?? true)];
  const outcomes = await (isolation === "off" ? raidUnboxed(at, possible) : raid(at, possible));
  return { outcomes, leftOut: new Set(rows.filter((row) => !possible.includes(row))) };
}

describe.skipIf(lacksBubblewrap || lacksPython).each(formsHere)("by a gateway that runs as %s", (form) => {
  let unboxed: Run;
  let boxed: Run;
  beforeAll(async () => {
    const runs = await Promise.allSettled([runAll(form, "off"), runAll(form, "required")]);
    const failed = runs.flatMap((run) => (run.status === "rejected" ? [run.reason as unknown] : []));
    if (failed.length > 0) throw new AggregateError(failed, "the tries could not be made");
    [unboxed, boxed] = runs.map((run) => (run as PromiseFulfilledResult<Run>).value) as [Run, Run];
  }, longestRunMs);

  test("the programs of the tries are there, without a box and in one", () => {
    for (const { outcomes } of [unboxed, boxed]) {
      const outcome = outcomes.get(means);
      expect(outcome?.isThrough, outcome?.words).toBe(true);
    }
  });

  test.each(rowsOf(form).map(({ title, row }) => [title, row] as const))("%s", (_, row) => {
    if (unboxed.leftOut.has(row))
      return console.warn(`LEFT OUT: this machine does not have what it needs: ${row.title}`);
    expect(faultsOf(row, unboxed.outcomes.get(row), boxed.outcomes.get(row)!)).toEqual([]);
  });
});

test("no two tries have one title", () => {
  const titles = groups.flatMap(({ name, tries }) => tries.map(({ title }) => `${name}: ${title}`));
  expect(titles.filter((title, index) => titles.indexOf(title) !== index)).toEqual([]);
});
