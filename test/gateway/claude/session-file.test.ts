import { randomUUID } from "node:crypto";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import {
  adoptSessionFile,
  findSessionFile,
  packAnswered,
  removeSessionFiles,
  setSessionFilesAside,
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

/** A folder of the session's own. */
const own = (...parts: string[]) => join(places.sessions, session, ...parts);

/** What a pack holds, by name. */
const unpacked = (packed: Uint8Array) =>
  (JSON.parse(gunzipSync(packed).toString("utf8")) as { files: Record<string, string> }).files;

describe("[P6] a session's file is adopted: moved to the session's own folder, with what lies beside it", () => {
  const path = () => own("claude", "projects", "sluice", `${session}.jsonl`);
  /** Adopts it; what is found where it belongs then. */
  const adopt = () => ({
    adopted: adoptSessionFile(places, session) === path(),
    text: readFileSync(path(), "utf8"),
    beside: existsSync(path().replace(/\.jsonl$/, "/subagents/agent-1.jsonl")),
  });
  const whole = { adopted: true, text: '{"uuid":"an-answer"}\n', beside: true };

  test("from the operator's folder, where nothing of it stays, and what is another session's does", () => {
    const other = randomUUID();
    write(place("projects", "-work", `${other}.jsonl`), "{}\n");
    writeSession("an-answer");
    expect(adopt()).toEqual(whole);
    expect(statSync(own()).mode & 0o777).toBe(0o700);
    expect(readdirSync(place("projects", "-work"))).toEqual([`${other}.jsonl`]);
    // It is there to stay.
    expect(adopt()).toEqual(whole);
    expect(findSessionFile(places, session)).toBe(path());
  });

  test("from where versions before boxes brought it back to", () => {
    write(own(`${session}.jsonl`), '{"uuid":"an-answer"}\n');
    write(own(session, "subagents", "agent-1.jsonl"), "{}\n");
    expect(adopt()).toEqual(whole);
    expect(readdirSync(own())).toEqual(["claude"]);
  });

  test("from another file system", () => {
    const elsewhere = mkdtempSync("/dev/shm/sluice-files-");
    onTestFinished(() => rmSync(elsewhere, { recursive: true }));
    expect(statSync(elsewhere).dev).not.toBe(statSync(home).dev);
    writeSession("an-answer");
    places = { ...places, sessions: elsewhere };
    expect(adopt()).toEqual(whole);
    expect(readdirSync(place("projects", "-work"))).toEqual([]);
    expect(readdirSync(own("claude", "projects", "sluice")).toSorted()).toEqual([session, `${session}.jsonl`]);
  });

  test("the newest of several, and a move that was cut off is finished", () => {
    write(own("claude", "projects", "sluice", `${session}.jsonl`), "old\n");
    utimesSync(own("claude", "projects", "sluice", `${session}.jsonl`), 1, 1);
    // The folder has come over already, the file not yet.
    write(own("claude", "projects", "sluice", session, "subagents", "agent-1.jsonl"), "{}\n");
    write(place("projects", "-work", `${session}.jsonl`), '{"uuid":"an-answer"}\n');
    expect(adopt()).toEqual(whole);
  });

  test("a fork's folder with its parent's file has none of the fork's own: neither is taken for the other", () => {
    const parent = randomUUID();
    write(own(`${parent}.jsonl`), "the parent's\n");
    write(own("claude", "projects", "sluice", `${parent}.jsonl`), "the parent's\n");
    expect(findSessionFile(places, session)).toBeUndefined();
    expect(adoptSessionFile(places, session)).toBeUndefined();
    expect(adoptSessionFile(places, parent)).toBeUndefined();
    expect(readFileSync(own(`${parent}.jsonl`), "utf8")).toBe("the parent's\n");
  });

  test("an empty file is none", () => {
    write(place("projects", "-work", `${session}.jsonl`), "");
    expect(adoptSessionFile(places, session)).toBeUndefined();
    expect(existsSync(own())).toBe(false);
  });
});

describe("[A9] what a session has planted in its own folder is never followed", () => {
  let outside: string;
  const prepare = () => {
    outside = join(home, "outside", session);
    write(join(outside, `${session}.jsonl`), '{"uuid":"an-answer","of":"another"}\n');
    write(join(outside, "secret"), "another's secret");
    write(join(outside, session, "secret"), "another's secret");
  };
  beforeEach(prepare);

  const projects = () => own("claude", "projects");
  const file = () => join(projects(), "x", `${session}.jsonl`);
  const link = (to: string, at: string) => {
    mkdirSync(join(at, ".."), { recursive: true });
    symlinkSync(to, at);
  };
  const planted: [string, () => void][] = [
    ["its file as a link", () => link(join(outside, `${session}.jsonl`), file())],
    ["its project's folder as a link", () => link(outside, join(projects(), "x"))],
    ["its folder of projects as a link", () => (link(outside, projects()), undefined)],
    ["its file in the old place as a link", () => link(join(outside, `${session}.jsonl`), own(`${session}.jsonl`))],
    ["its file as a FIFO", () => (mkdirSync(join(file(), ".."), { recursive: true }), spawnSync("mkfifo", [file()]))],
    ["its file as a folder", () => mkdirSync(file(), { recursive: true })],
  ];
  const expectOutsideUntouched = () => {
    expect(readdirSync(outside).toSorted()).toEqual([session, `${session}.jsonl`, "secret"].toSorted());
    expect(readFileSync(join(outside, session, "secret"), "utf8")).toBe("another's secret");
  };

  test("none of these is packed", async () => {
    const packs = planted.map(async ([what, plant]) => {
      session = randomUUID();
      prepare();
      plant();
      return [what, await packAnswered(places, session, "an-answer")];
    });
    expect(await Promise.all(packs)).toEqual(planted.map(([what]) => [what, undefined]));
  });

  test.each(planted)("%s: not found, not adopted, and gone with the session", (_, plant) => {
    plant();
    expect(findSessionFile(places, session)).toBeUndefined();
    expect(adoptSessionFile(places, session)).toBeUndefined();
    setSessionFilesAside(places, session);
    removeSessionFiles(places, session);
    expect(existsSync(own())).toBe(false);
    expectOutsideUntouched();
  });

  test.each(planted)("%s: a snapshot is written in its place, not through it", async (_, plant) => {
    plant();
    const packed = gzipSync(JSON.stringify({ version: 1, files: { "": "restored\n", "subagents/a": "too\n" } }));
    const restored = await unpackSession(packed, own(), session);
    expect(findSessionFile(places, session)).toBe(restored);
    expect(readFileSync(restored, "utf8")).toBe("restored\n");
    expectOutsideUntouched();
  });

  test("links in the folder beside its file, and that folder as one: what they lead to is not packed", async () => {
    write(file(), '{"uuid":"an-answer"}\n');
    const side = file().replace(/\.jsonl$/, "");
    link(outside, side);
    expect(unpacked((await packAnswered(places, session, "an-answer"))!)).toEqual({ "": '{"uuid":"an-answer"}\n' });
    rmSync(side);
    write(join(side, "subagents", "own"), "its own");
    link(join(outside, "secret"), join(side, "link"));
    link(outside, join(side, "folder"));
    link(join(outside, session), join(side, "subagents", "deeper"));
    spawnSync("mkfifo", [join(side, "fifo")]);
    const { "": _, ...beside } = unpacked((await packAnswered(places, session, "an-answer"))!);
    expect(beside).toEqual({ "subagents/own": "its own" });
  });

  test("links where a snapshot's files go are replaced, not followed", async () => {
    link(join(outside, session), own("claude", "projects", "sluice", session));
    const packed = gzipSync(JSON.stringify({ version: 1, files: { "": "restored\n", secret: "overwritten" } }));
    await unpackSession(packed, own(), session);
    expect(readFileSync(own("claude", "projects", "sluice", session, "secret"), "utf8")).toBe("overwritten");
    expectOutsideUntouched();
  });

  test("a link beside a file that is adopted comes along as the link that it is", () => {
    write(place("projects", "-work", `${session}.jsonl`), '{"uuid":"an-answer"}\n');
    link(outside, place("projects", "-work", session));
    const path = adoptSessionFile(places, session)!;
    expect(lstatSync(path.replace(/\.jsonl$/, "")).isSymbolicLink()).toBe(true);
    expectOutsideUntouched();
  });
});

describe("[A9] a pack has bounds", () => {
  const side = () => place("projects", "-work", session);

  test("of bytes: what is larger is not packed, and not read either", async () => {
    writeSession("an-answer");
    write(join(side(), "large"), "");
    // A file with nothing in it takes no room on the disk, but it would in memory.
    truncateSync(join(side(), "large"), 257 * 1024 * 1024);
    await expect(packAnswered(places, session, "an-answer")).rejects.toThrow(/more than \d+ bytes/);
  });

  test("of files: with more of them it has the first ones, whole", async () => {
    writeSession("an-answer");
    mkdirSync(join(side(), "many"));
    for (let index = 0; index < 10_050; index++) writeFileSync(join(side(), "many", String(index)), "");
    const files = unpacked((await packAnswered(places, session, "an-answer"))!);
    expect(Object.keys(files).length).toBeLessThanOrEqual(10_001);
    expect(files[""]).toBe('{"uuid":"an-answer"}\n');
  });
});
