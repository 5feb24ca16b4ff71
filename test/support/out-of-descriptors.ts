// A process of its own that ends a CLI while it has no file descriptor left, and gives some back only later. It says what was left.
import { closeSync, openSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { openFakeScene } from "./fake-scene.ts";

const scene = openFakeScene();
// It is deaf, so that it must be killed, and has a child in a session of its own.
const driven = await scene.drive(scene.play("on start\nsetsid\nignore SIGTERM"), { deadlines: { endMs: 900 } });
await driven.driver.ready;
const descriptors: number[] = [];
let why = "";
while (why === "")
  try {
    descriptors.push(openSync("/dev/null", "r"));
  } catch (error) {
    why = (error as NodeJS.ErrnoException).code ?? "unknown";
  }
const ended = driven.driver.end();
await wait(1500);
for (const descriptor of descriptors) closeSync(descriptor);
await ended;
await scene.leaveNothing(driven);
await scene.close();
process.stdout.write(`${why}, and nothing is left\n`, () => process.exit(0));
