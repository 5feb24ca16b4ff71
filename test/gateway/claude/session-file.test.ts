import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  findSessionFile,
  packAnswered,
  removeSessionFiles,
  unpackSession,
} from "../../../gateway/claude/session-file.ts";

let home: string;
let session: string;
let places: { environment: { HOME: string }; sessions: string };
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "sluice-files-"));
  session = randomUUID();
  places = { environment: { HOME: home }, sessions: join(home, "sessions") };
});
afterEach(() => rmSync(home, { recursive: true }));

const place = (...parts: string[]) => join(home, ".claude", ...parts);

function write(path: string, content: string | Uint8Array): void {
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, content);
}

/** A session's file with an answer, and files of its own beside it. */
function writeSession(answer: string, tail = ""): void {
  write(place("projects", "-work", `${session}.jsonl`), `{"uuid":"${answer}"}\n${tail}`);
  write(place("projects", "-work", session, "subagents", "agent-1.jsonl"), '{"of":"a subagent, with an ä"}\n');
  write(place("projects", "-work", session, "tool-results", "page-1.jpg"), Buffer.from([0xff, 0xd8, 0xff, 0, 0x80]));
}

describe("[P6] a packed session", () => {
  test("comes back file by file, texts and others to the byte, for its owner alone", async () => {
    const answer = randomUUID();
    writeSession(answer, '{"torn":');
    const packed = await packAnswered(places, session, answer);
    const folder = join(home, "elsewhere");
    const file = await unpackSession(packed!, folder, session);
    expect(readFileSync(file, "utf8")).toBe(`{"uuid":"${answer}"}\n`);
    for (const name of ["subagents/agent-1.jsonl", "tool-results/page-1.jpg"]) {
      const [was, is] = [place("projects", "-work", session, name), join(file.replace(/\.jsonl$/, ""), name)];
      expect([name, readFileSync(is)]).toEqual([name, readFileSync(was)]);
      expect(statSync(is).mode & 0o777).toBe(0o600);
    }
  });

  test("of before there were others comes back too; one with a file outside its folder does not", async () => {
    const pack = (files: object) => gzipSync(JSON.stringify({ version: 1, files }));
    const file = await unpackSession(pack({ "": "one\n" }), join(home, "old"), session);
    expect(readFileSync(file, "utf8")).toBe("one\n");
    await expect(unpackSession(pack({ "../../x": "out" }), join(home, "old"), session)).rejects.toThrow("outside");
    expect(existsSync(join(home, "x"))).toBe(false);
  });
});

test("all that the CLI keeps of a session is removed, wherever it lies, and nothing of another", () => {
  const other = randomUUID();
  for (const id of [session, other]) {
    for (const project of ["-work", "-elsewhere"]) write(place("projects", project, `${id}.jsonl`), "{}\n");
    write(place("projects", "-work", id, "subagents", "agent-1.jsonl"), "{}\n");
    write(place("session-env", id, "hook.sh"), "X=1");
    write(place("file-history", id, "abc@v1"), "what a file was");
    write(join(places.sessions, id, `${id}.jsonl`), "{}\n");
  }
  expect(removeSessionFiles(places, session)).toBe(3);
  expect(findSessionFile(places, session)).toBeUndefined();
  for (const [id, isThere] of [
    [session, false],
    [other, true],
  ] as const)
    for (const path of [
      place("projects", "-work", id),
      place("session-env", id),
      place("file-history", id),
      join(places.sessions, id),
    ])
      expect([path, existsSync(path)]).toEqual([path, isThere]);
});
