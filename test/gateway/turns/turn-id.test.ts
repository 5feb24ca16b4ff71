import { expect, test } from "vitest";
import { z } from "zod";
import { createTurnIds } from "../../../gateway/turns/turn-id.ts";

test("[T2] ids sort in the order in which they were made, within a millisecond and when the clock is set back", () => {
  let time = 1_700_000_000_000;
  const newTurnId = createTurnIds(() => time);
  const ids: string[] = [];
  for (const step of [0, 1, -5000, 0, 7, 9000]) {
    time += step;
    for (let count = 0; count < 5000; count++) ids.push(newTurnId());
  }
  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids.slice(0, 100)) expect(z.uuidv7().safeParse(id).success).toBe(true);
});
