// Transcripts of what the real CLI did, over real sockets.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  transcript,
  type Reference,
  type Transcript,
  type TranscriptToolUse,
} from "../../gateway/protocol/transcript.ts";
import { newFolder, openGateway, type OwnGateway } from "../support/gateway.ts";
import { lacksCurl } from "../support/programs.ts";
import { openReader, readAll } from "../support/reader.ts";
import { openScene, type Scene } from "../support/real-cli.ts";
import { followed } from "../support/transcript-client.ts";

let scene: Scene;
let gateway: OwnGateway;
beforeAll(async () => {
  scene = await openScene();
  gateway = await openGateway(scene, {
    agents: [{ name: "tester", allowed_tools: ["Bash(echo:*)", "Agent", "Task"] }],
    openCaller: { key: "tester", user: null, reach: "all" },
  });
});
afterAll(async () => {
  await gateway.close();
  await scene.close();
});

const transcriptOf = async (session: string, query = "") => {
  const reply = await gateway.fetch(`/api/sessions/${session}/transcript${query}`);
  expect(reply.status).toBe(200);
  return transcript.parse(await reply.json());
};

const eventsUrl = (session: string, after: number) =>
  new URL(`/api/sessions/${session}/events?after=${after}`, gateway.address);

/** The session's events behind `after`, up to the turn's last one. */
async function eventsAfter(session: string, after: number, lastSeq: number) {
  const reader = await openReader(eventsUrl(session, after), { headers: gateway.headers });
  if (after < lastSeq) await reader.find("the last event", ({ seq }) => seq === lastSeq);
  reader.leave();
  return reader.events;
}

test("[L4] transcripts that are fetched while an answer grows join the live events without gap or overlap", async () => {
  const { session, turn, events_url } = await gateway.post("demo:long words=400 rate=400");
  const pages: Transcript[] = [];
  const reader = await openReader(events_url, { headers: gateway.headers });
  await reader.find("a delta", ({ type }) => type === "content_block_delta");
  while (pages.length < 100 && pages.at(-1)?.turns[0]?.state !== "completed") {
    pages.push(await transcriptOf(session));
    await reader.find(
      "more",
      ({ seq }) => seq > pages.at(-1)!.last_seq || reader.events.at(-1)!.type === "turn_completed",
    );
  }
  await gateway.ended(turn);
  await reader.ended;
  const whole = await transcriptOf(session);
  expect(pages.filter(({ messages }) => messages[1]?.state === "streaming").length).toBeGreaterThan(3);
  expect(whole.messages[1]!.blocks).toMatchObject([{ text: expect.stringMatching(/^word1 .* word400$/) }]);
  for (const page of pages)
    expect(followed(page, await eventsAfter(session, page.last_seq, whole.last_seq))).toEqual(followed(whole, []));
});

test("a subagent's tool calls stand under the call that started it, with its answer as that call's result", async () => {
  const inner = `demo:tool Bash ${JSON.stringify({ command: "echo inside" })}\ndemo:text I looked.`;
  const call = { description: "a look", prompt: inner, subagent_type: "general-purpose" };
  const { session, turn } = await gateway.post(`demo:tool Agent ${JSON.stringify(call)}\ndemo:text It looked.`);
  expect((await gateway.ended(turn)).state).toBe("completed");
  const { messages, turns } = await transcriptOf(session);
  expect(messages.map(({ role }) => role)).toEqual(["user", "assistant", "assistant"]);
  const outer = messages[1]!.blocks.find(({ type }) => type === "tool_use") as TranscriptToolUse;
  expect(outer.input).toMatchObject(call);
  expect(JSON.stringify(outer.result)).toContain("I looked.");
  const nested = outer.messages!.flatMap(({ blocks }) => blocks);
  expect(nested).toMatchObject([{ type: "tool_use", name: "Bash", result: { is_error: false } }]);
  expect(JSON.stringify((nested[0] as TranscriptToolUse).result)).toContain("inside");
  expect(messages[2]!.blocks).toMatchObject([{ type: "text", text: "It looked." }]);
  expect(turns[0]!.cost_usd).toBeGreaterThan(0);
  const all = await eventsAfter(session, 0, (await gateway.session(session)).last_seq);
  expect(followed({ turns: [], messages: [] }, all)).toEqual(followed(await transcriptOf(session), []));
  const markdown = await (await gateway.fetch(`/api/sessions/${session}/transcript?format=md`)).text();
  expect(markdown.indexOf("Tool: Agent")).toBeLessThan(markdown.indexOf("Tool: Bash · echo inside"));
  expect(markdown.match(/<details>/g)).toHaveLength(markdown.match(/<\/details>/g)!.length);
});

test("[L8] an image that a tool read is a reference, and its address brings it", async () => {
  const png = Buffer.from(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    "base64",
  );
  const { session } = await gateway.post("demo:text Before it is there.");
  await gateway.ended((await gateway.post("demo:text And once more.", { session })).turn);
  writeFileSync(join(gateway.dataFolder, "sessions", session, "workspace", "dot.png"), png);
  const prompt = `demo:tool Read ${JSON.stringify({ file_path: "/session/workspace/dot.png" })}\ndemo:text Seen.`;
  const { turn } = await gateway.post(prompt, { session });
  await gateway.ended(turn);
  const { messages } = await transcriptOf(session);
  const { result } = messages[5]!.blocks.find(({ type }) => type === "tool_use") as TranscriptToolUse;
  const [image] = result!.content as { type: string; source: Reference }[];
  expect(image).toMatchObject({ type: "image", source: { type: "attachment", media_type: "image/png" } });
  const bytes = Buffer.from(await (await gateway.fetch(image!.source.url)).arrayBuffer());
  expect(bytes.subarray(0, 4).toString("latin1")).toBe("\u0089PNG");
  expect(createHash("sha256").update(bytes).digest("hex")).toBe(image!.source.attachment);
  const markdown = await (await gateway.fetch(`/api/sessions/${session}/transcript?format=md`)).text();
  expect(markdown).toContain(`[image/png](${image!.source.url})`);
});

test("[T4] what a cancelled turn had said is in it, and the next turn follows", async () => {
  const { session, turn, events_url } = await gateway.post("demo:long words=4000 rate=100");
  const reader = await openReader(events_url, { headers: gateway.headers });
  await reader.find("a delta", ({ type }) => type === "content_block_delta");
  await gateway.fetch(`/api/turns/${turn}/cancel`, { method: "POST" });
  await gateway.ended((await gateway.post("demo:text Next.", { session })).turn);
  const { messages, turns } = await transcriptOf(session);
  expect(turns).toMatchObject([{ turn, state: "cancelled", by: { key: "tester" } }, { state: "completed" }]);
  const said = messages[1]!.blocks[0] as { text: string };
  expect(said.text).toMatch(/^word1 /);
  expect(turns[0]!.text).toBe(said.text);
  expect(messages.at(-1)!.blocks).toMatchObject([{ text: "Next." }]);
});

describe("the README's lines", () => {
  test.skipIf(lacksCurl)("fetch a session's transcript in every way", async () => {
    const { session, turn } = await gateway.post("hello");
    await gateway.ended(turn);
    const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
    const block = /<!-- run: transcripts -->\s*```sh\n([^]*?)```/.exec(readme)![1]!.trim();
    const folder = newFolder(scene, "curl");
    const outputs: string[] = [];
    for (const line of block.split("\n")) {
      const command = line.replaceAll("localhost:8787", gateway.address).replace("curl", "curl -sS");
      const environment = { ...process.env, SESSION: session };
      outputs.push((await promisify(execFile)("bash", ["-c", command], { cwd: folder, env: environment })).stdout);
    }
    const [json, desc, , ndjson] = outputs as [string, string, string, string];
    expect(transcript.parse(JSON.parse(json)).messages.map(({ role }) => role)).toEqual(["user", "assistant"]);
    expect(transcript.parse(JSON.parse(desc)).messages.map(({ role }) => role)).toEqual(["assistant", "user"]);
    const file = join(folder, `session-${session}.md`);
    expect(existsSync(file)).toBe(true);
    expect(readFileSync(file, "utf8")).toContain("\nYou said: hello\n");
    expect(ndjson.trimEnd().split("\n")).toHaveLength(2);
  });

  test("[S5] a whole transcript has the headers that a page has, and is 304 to who knows it", async () => {
    const { session, turn } = await gateway.post("hello");
    await gateway.ended(turn);
    const headers = { origin: gateway.address };
    const path = `/api/sessions/${session}/transcript`;
    const [page, whole] = [
      await gateway.fetch(path, { headers }),
      await gateway.fetch(`${path}?format=ndjson`, { headers }),
    ];
    const names = (reply: Response) =>
      [...reply.headers.keys()].filter((name) => !/^(content-length|transfer-encoding|sluice-last-seq)$/.test(name));
    expect(names(whole)).toEqual(names(page));
    await page.text();
    const lastSeq = Number(whole.headers.get("sluice-last-seq"));
    expect((await whole.text()).length).toBeGreaterThan(0);
    expect(lastSeq).toBe((await gateway.session(session)).last_seq);
    const known = await gateway.fetch(`${path}?format=ndjson`, {
      headers: { "if-none-match": whole.headers.get("etag")! },
    });
    expect([known.status, await known.text()]).toEqual([304, ""]);
    expect(
      await readAll(new URL(`/api/turns/${turn}/events?after=${lastSeq - 1}`, gateway.address), {
        headers: gateway.headers,
      }),
    ).toHaveLength(1);
  });
});
