// Ids of turns: UUIDv7 (RFC 9562, method 1) that sort in the order in which they were made, also within one millisecond and where the
// clock is set back. Node's own `randomUUIDv7` is random within the millisecond.
import { randomInt, randomUUID } from "node:crypto";

const maxCounter = 0xfff;

/** A source of ids; one a gateway. */
export function createTurnIds(now: () => number = Date.now): () => string {
  let ms = 0;
  let counter = 0;
  return () => {
    const time = now();
    if (time > ms) {
      ms = time;
      counter = randomInt(maxCounter >> 1);
    } else if (counter < maxCounter) counter += 1;
    else {
      ms += 1;
      counter = 0;
    }
    const stamp = ms.toString(16).padStart(12, "0");
    const count = counter.toString(16).padStart(3, "0");
    return `${stamp.slice(0, 8)}-${stamp.slice(8)}-7${count}-${randomUUID().slice(19)}`;
  };
}
