// What earlier versions have left on disk (test/fixtures/data-*), opened by this one. Judged by behaviour: where a session's files lie may change.
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Transcript } from "../../gateway/protocol/transcript.ts";
import { png } from "../support/attachments.ts";
import {
  copyFixture,
  filesWith,
  readTranscript,
  rowsOf,
  sharedFiles,
  type Expected,
  type FixtureCopy,
} from "../support/data-fixture.ts";
import { createClient, openGateway, type Client, type OwnGateway, type Turn } from "../support/gateway.ts";
import { giveToSessions } from "../support/owner.ts";
import { openScene, type Scene } from "../support/real-cli.ts";

const sharedFolder = ({ settings }: FixtureCopy) => join(settings.dataFolder, "workspace");

/** The fixture with the line that lets agents without a workspace share a folder as before. */
function withLine(copy: FixtureCopy): FixtureCopy {
  const workspace = sharedFolder(copy);
  giveToSessions(workspace);
  const agents = copy.settings.agents!.map((agent) => ({ workspace, ...agent }));
  return { ...copy, settings: { ...copy.settings, agents } };
}

const fixtures = resolve(import.meta.dirname, "../fixtures");
const versions = readdirSync(fixtures).flatMap((name) => /^data-(.+)$/.exec(name)?.[1] ?? []);

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene.close());

test("there is something that an earlier version has left", () => {
  expect(versions).toContain("0.1");
});

describe.each(versions)("what version %s has left", (version) => {
  const fixture = join(fixtures, `data-${version}`);
  const expected = JSON.parse(readFileSync(join(fixture, "expected.json"), "utf8")) as Expected;
  const names = Object.keys(expected.sessions);
  const idOf = (name: string) => expected.sessions[name]!;
  let copy: FixtureCopy;
  let gateway: OwnGateway;
  let shared: Record<string, unknown>;
  beforeAll(async () => {
    copy = copyFixture(scene, fixture);
    shared = sharedFiles(copy);
    copy = withLine(copy);
    gateway = await openGateway(scene, copy.settings);
  });
  afterAll(() => gateway.close());

  const read = async (path: string, client: Client = gateway) => {
    const reply = await client.fetch(path);
    return { status: reply.status, body: (await reply.json()) as Record<string, unknown> };
  };

  test("what its sessions shared is not taken from them unasked: the start is refused, with the line to go on as before", async () => {
    const asItWas = copyFixture(scene, fixture);
    const workspace = sharedFolder(asItWas);
    const line = JSON.stringify({ name: "default", workspace }).replaceAll(/([:,])"/g, '$1 "');
    await expect(openGateway(scene, asItWas.settings)).rejects.toMatchObject({
      fault: "workspace_unfit",
      mend: expect.stringContaining(line) as string,
    });
  });

  test("[L3] what ran when the gateway was killed has failed and kept its words; what waited for a person is denied", async () => {
    for (const { turn, text } of [expected.cut, expected.waiting])
      expect(await gateway.ended(turn)).toMatchObject({ state: "failed", code: "gateway_restarted", text });
    expect(expected.cut.text).toMatch(/^word1 word2 /);
    const { body } = await read(`/api/approvals?state=resolved&session=${idOf("asking")}`);
    expect(body["approvals"]).toMatchObject([
      { approval: expected.waiting.approval, decision: "deny", by: { gateway: "restart" } },
    ]);
    expect((await read("/api/approvals")).body["approvals"]).toEqual([]);
  });

  test("[T2] what had not begun runs, in its order and with the session's memory", async () => {
    const ended = await Promise.all(expected.queued.map(({ turn }) => gateway.ended(turn)));
    expect(ended).toMatchObject(expected.queued.map((turn) => ({ ...turn, state: "completed" })));
    const [first, second] = expected.queued.map(({ text }) => text) as [string, string];
    expect(requestWith(first)).toContain("Before it all a pipit.");
    expect(requestWith(first)).not.toContain(second);
    expect(requestWith(second)).toContain(first);
  });

  test("[L4] transcripts are what they were, to the last field", async () => {
    const recorded = Object.entries(expected.transcripts);
    expect(recorded.map(([name]) => name)).toEqual(names.filter((name) => name !== "busy" && name !== "asking"));
    for (const [name, before] of recorded) expect(await readTranscript(gateway, idOf(name))).toMatchObject(before);
  });

  test("sessions are listed and found, by their owners too", async () => {
    const { body } = await read("/api/sessions?limit=200");
    const listed = (body["sessions"] as { session: string }[]).map(({ session }) => session);
    expect(listed.toSorted()).toEqual(Object.values(expected.sessions).toSorted());
    const found = async (query: string) => {
      const { sessions } = (await read(`/api/sessions?${query}`)).body as { sessions: { session: string }[] };
      return sessions.map(({ session }) => names.find((name) => idOf(name) === session) ?? session).toSorted();
    };
    expect(await found("q=hoopoe")).toEqual(["fork", "parent"]);
    expect(await found("user=ann")).toEqual([]);
    expect((await read(`/api/sessions/${idOf("tools")}`)).body).toMatchObject({ title: "Notes of the harbour" });
    const visitor = (await read(`/api/sessions/${idOf("visitor")}`)).body;
    expect(visitor).toMatchObject({ agent: "front", user: expect.stringMatching(/^visitor:/) as string });
  });

  test("[A8] its keys open what they opened; a revoked one and a wrong one open nothing", async () => {
    const secret = readFileSync(join(fixture, "data/key"), "utf8");
    expect(gateway.headers).toEqual({ authorization: `Bearer ${secret}` });
    const status = async (key: string) => (await read("/api/sessions", createClient(gateway.address, key))).status;
    const { wiki, former } = expected.keys as { wiki: string; former: string };
    expect(await Promise.all([secret, wiki, former, `${wiki}x`].map(status))).toEqual([200, 200, 401, 401]);
    const { sessions } = (await read("/api/sessions?user=ann", wikiClient())).body as { sessions: unknown[] };
    expect(sessions).toMatchObject([{ session: idOf("standing") }, { session: idOf("user") }]);
    expect((await read(`/api/sessions/${idOf("told")}`, wikiClient())).status).toBe(404);
  });

  test("ratings, the attachment, usage, and the agent that was made through the API are there", async () => {
    const rated = expected.transcripts["told"]!.turns[0]!.turn;
    expect(await gateway.turn(rated)).toMatchObject({ rating: "up", rating_comment: "It kept the word." });
    const image = await gateway.fetch(`/api/attachments/${expected.attachment}`);
    expect(Buffer.from(await image.arrayBuffer()).equals(png)).toBe(true);
    const guide = { name: "guide", source: "api", instructions: "Answer in one sentence." };
    expect((await read("/api/agents/guide")).body).toMatchObject(guide);
    expect((await read("/api/agents/front")).body).toMatchObject({ source: "file" });
    expect((await read("/api/usage?user=ann", wikiClient())).body["total"]).toEqual(expected.usage);
  });

  let remembered: Record<string, Transcript>;

  test("[P6] every session continues with its memory, a branch with its own, none with another's", async () => {
    remembered = await transcripts();
    await sayInEach(names, "Once");
    for (const name of names) checkMemory(remembered, name, requestFor(name, "Once"));
    expect(requestFor("told", "Once")).toContain(png.toString("base64"));
  });

  test("[P6] and once more after a restart", async () => {
    await gateway.close();
    gateway = await openGateway(scene, copy.settings);
    const some = ["told", "subagent", "unbegun fork", "user", "desk", "restored", "continued"];
    await sayInEach(some, "Twice");
    for (const name of some) {
      checkMemory(remembered, name, requestFor(name, "Twice"));
      expect(requestFor(name, "Twice")).toContain(`demo:text Once, ${name}.`);
    }
  });

  test("what was allowed for a session is not asked again", async () => {
    const prompt = 'demo:tool Bash {"command":"touch allowed.txt"}\ndemo:text It was allowed.';
    const { turn } = await gateway.post(prompt, { session: idOf("tools") });
    const { state, text } = await gateway.ended(turn);
    expect([state, text]).toEqual(["completed", "It was allowed."]);
    const { body } = await read(`/api/approvals?state=resolved&session=${idOf("tools")}`);
    expect((body["approvals"] as unknown[]).length).toBe(1);
  });

  test("a session that was continued here is removed completely, with what the earlier version kept of it", async () => {
    await removeEach(gateway, copy, () => 1);
    expect(sharedFiles(copy)).toMatchObject(shared);
  });

  test("a session that nobody has used since is removed completely, and the files of the shared workspace stay", async () => {
    const other = withLine(copyFixture(scene, fixture));
    const files = sharedFiles(other);
    expect(Object.keys(files).toSorted()).toEqual(["bittern.txt", "notes/harbour.md"]);
    const own = await openGateway(scene, other.settings);
    try {
      await removeEach(own, other, (name) => (name === "unbegun fork" ? 0 : 1));
    } finally {
      await own.close();
    }
    expect(sharedFiles(other)).toMatchObject(files);
  });

  const wikiClient = () => createClient(gateway.address, expected.keys["wiki"]);

  /** In each of these at the same time, by its owner. */
  async function sayInEach(some: readonly string[], word: string): Promise<void> {
    const texts = some.map(async (name) => {
      const isAnns = name === "user" || name === "standing";
      const client = isAnns ? wikiClient() : gateway;
      const body = { session: idOf(name), ...(isAnns ? { user: "ann" } : {}) };
      const { turn } = await client.post(`demo:text ${word}, ${name}.`, body);
      return (await client.ended(turn))["text"];
    });
    expect(await Promise.all(texts)).toEqual(some.map((name) => `${word}, ${name}.`));
  }

  async function transcripts(): Promise<Record<string, Transcript>> {
    const all = names.map(async (name) => [name, await readTranscript(gateway, idOf(name))] as const);
    return Object.fromEntries(await Promise.all(all));
  }

  /** The messages that the model got with the prompt of `sayInEach`. */
  function requestFor(name: string, word: string): string {
    return requestWith(`demo:text ${word}, ${name}.`);
  }

  /** Removes one after the other; `leastFiles` are the places that hold a file of the CLI's. */
  async function removeEach(own: OwnGateway, { folder, settings }: FixtureCopy, leastFiles: (name: string) => number) {
    for (const [index, name] of names.entries()) {
      const session = idOf(name);
      const { turns } = (await read(`/api/turns?limit=200&session=${session}`, own)).body as { turns: Turn[] };
      const reply = await own.fetch(`/api/sessions/${session}`, { method: "DELETE" });
      const { removed } = (await reply.json()) as { removed: { turns: number; cli_files: number } };
      expect([name, removed.turns, removed.cli_files >= leastFiles(name)]).toEqual([name, turns.length, true]);
      expect((await read(`/api/sessions/${session}`, own)).status).toBe(404);
      expect(rowsOf(settings.dataFolder, session)).toEqual([]);
      const others = names.slice(index + 1).map(idOf);
      const left = filesWith(folder, [session]).filter((path) => !others.some((other) => path.includes(other)));
      expect(left).toEqual([]);
    }
    // What a file of JSON has as it was said.
    const said = Object.values(expected.transcripts)
      .flatMap(textsOf)
      .filter(({ text }) => /^[\w:,. ]+$/.test(text));
    expect(said.length).toBeGreaterThan(20);
    const texts = [...said, ...expected.queued].map(({ text }) => text);
    expect(filesWith(folder, [...Object.values(expected.sessions), ...texts])).toEqual([]);
  }
});

/** The messages of the first request that has these words: that with their prompt. */
function requestWith(words: string): string {
  const found = scene.requests.find(({ body }) => JSON.stringify(body.messages).includes(words));
  return JSON.stringify(found?.body.messages);
}

/** Throws where the request lacks what was said in the session, or has what was said in others alone. */
function checkMemory(all: Record<string, Transcript>, name: string, request: string): void {
  const own = textsOf(all[name]!);
  const done = new Set(all[name]!.turns.filter(({ state }) => state === "completed").map(({ turn }) => turn));
  const kept = own.filter(({ turn }) => done.has(turn)).map(({ text }) => text);
  const foreign = Object.values(all)
    .flatMap(textsOf)
    .filter(({ text }) => !own.some((mine) => mine.text.includes(text)));
  const isThere = (text: string) => request.includes(JSON.stringify(text).slice(1, -1));
  expect([name, kept.filter((text) => !isThere(text))]).toEqual([name, []]);
  expect([name, foreign.filter(({ text }) => isThere(text))]).toEqual([name, []]);
  if (kept.length < 2 || foreign.length < 10) throw new Error(`nothing to look for in ${name}`);
}

function textsOf({ messages }: Transcript): { turn: string; text: string }[] {
  return messages.flatMap(({ turn, blocks }) =>
    blocks.flatMap((block) => (block.type === "text" ? [{ turn, text: block.text }] : [])),
  );
}
