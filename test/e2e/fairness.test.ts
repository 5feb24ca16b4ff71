// [T8] Whose prompts fill the gateway, with the real CLI: they hold nobody else up.
import { afterAll, beforeAll, expect, test } from "vitest";
import { choice } from "../support/approval-drafts.ts";
import { createClient, jsonBody, openGateway, type Client, type OwnGateway, type Turn } from "../support/gateway.ts";
import { openScene, type Scene } from "../support/real-cli.ts";
import { until } from "../support/wait.ts";

const shop = "https://shop.example";
const ask = `demo:tool AskUserQuestion ${JSON.stringify(choice)}`;

let scene: Scene;
let gateway: OwnGateway;
beforeAll(async () => {
  scene = await openScene();
  gateway = await openGateway(scene, {
    agents: [
      { name: "default" },
      { name: "open", public: { origins: [shop] }, extra_tools: ["AskUserQuestion"], permission_mode: "default" },
      { name: "narrow", running_turns: 1 },
    ],
  });
});
afterAll(async () => {
  await gateway.close();
  await scene.close();
});

async function newVisitor(): Promise<Client> {
  const headers = { origin: shop };
  const reply = await fetch(new URL("/api/tokens", gateway.address), jsonBody({ agent: "open" }, headers));
  expect(reply.status).toBe(201);
  return createClient(gateway.address, ((await reply.json()) as { token: string }).token, headers);
}

async function pending(client: Client): Promise<{ approval: string; turn: string }[]> {
  const reply = await client.fetch("/api/approvals?state=pending");
  return ((await reply.json()) as { approvals: { approval: string; turn: string }[] }).approvals;
}

test("[T8] eight prompts of one visitor that wait for a person hold up neither another visitor nor anybody else", async () => {
  const [flooder, other] = [await newVisitor(), await newVisitor()];
  const flood = await Promise.all(Array.from({ length: 8 }, () => flooder.post(ask)));
  // Of sixteen processes visitors have eight, and one of them four.
  const asked = await until(
    "its questions",
    async () => {
      const open = await pending(flooder);
      return open.length === 4 && open;
    },
    60_000,
  );
  const states = async () => {
    const seen = await Promise.all(flood.map(({ turn }) => flooder.turn(turn)));
    return seen.map(({ state, position }) => `${state} ${position}`).toSorted();
  };
  const held = ["queued 1", "queued 2", "queued 3", "queued 4", ...Array<string>(4).fill("waiting null")];
  expect(await states()).toEqual(held);

  const passing = [
    await other.post("hello"),
    await gateway.post("hello"),
    await gateway.post("hello", { user: "ann" }),
  ];
  for (const [client, { turn }] of [
    [other, passing[0]!],
    [gateway, passing[1]!],
    [gateway, passing[2]!],
  ] as const)
    expect((await client.ended(turn)).state).toBe("completed");
  expect(await states()).toEqual(held);

  // Whoever is answered goes on, and the next one has its place.
  const { approval, turn } = asked[0]!;
  const answers = { "Which colour?": "Blue", "Which sides?": ["Left"] };
  expect((await flooder.fetch(`/api/approvals/${approval}`, jsonBody({ decision: "allow", answers }))).status).toBe(
    200,
  );
  expect((await flooder.ended(turn)).state).toBe("completed");
  await until(
    "the next question",
    async () => (await pending(flooder)).some((one) => asked.every((old) => old.turn !== one.turn)),
    60_000,
  );
  for (const one of flood) await flooder.fetch(`/api/turns/${one.turn}/cancel`, { method: "POST" });
});

test("[T8] 200 prompts of one caller fill an agent's queue for nobody else", async () => {
  const send = (user?: string) =>
    gateway.fetch("/api/turns", jsonBody({ prompt: "hello", agent: "narrow", ...(user && { user }) }));
  const hanging = await gateway.post("demo:hang", { agent: "narrow" });
  const replies = await Promise.all(Array.from({ length: 200 }, () => send()));
  const taken = replies.filter(({ status }) => status === 202);
  const refused = replies.filter(({ status }) => status === 429);
  expect([taken.length, refused.length]).toEqual([100, 100]);
  expect(refused[0]!.headers.get("retry-after")).toBe("10");
  expect(await refused[0]!.json()).toMatchObject({ code: "too_many_requests", limit: "caller_share", value: 0.5 });

  const ann = await send("ann");
  expect(ann.status).toBe(202);
  const { turn, position } = (await ann.json()) as { turn: string; position: number };
  expect(position).toBeLessThanOrEqual(2);
  await gateway.fetch(`/api/turns/${hanging.turn}/cancel`, { method: "POST" });
  expect((await gateway.ended(turn)).state).toBe("completed");
  const waiting = (await gateway.fetch("/api/turns?state=queued&limit=200").then((reply) => reply.json())) as {
    turns: unknown[];
  };
  expect(waiting.turns.length).toBeGreaterThan(90);
});

/** A command for the background, at whose end the model starts the next one. */
function endless(times: number): string {
  const next =
    times === 0
      ? ""
      : `\ndemo:tool Bash ${JSON.stringify({ command: endless(times - 1), run_in_background: true })}\n#`;
  return `sleep 0.2 #${times}${next}`;
}

test("[T8] a CLI that wakes itself up over and over has no more turns than its caller's rate, and is ended", async () => {
  const restless = await openGateway(scene, {
    agents: [{ name: "default", background_tasks: true, allowed_tools: ["Bash"] }],
    limits: { rates: { user: { turns_per_minute: 3 } } },
  });
  const call = `demo:tool Bash ${JSON.stringify({ command: endless(6), run_in_background: true })}`;
  const { session } = await restless.post(`${call}\ndemo:text It was started.`, { user: "ann" });
  const ended = await until(
    "its end",
    async () => {
      const reply = await restless.fetch(`/api/turns?session=${session}`);
      const { turns } = (await reply.json()) as { turns: Turn[] };
      return turns.some(({ state }) => state === "failed") && turns.toReversed();
    },
    50_000,
  );
  // The prompt was the first of the three.
  expect(ended.map(({ state }) => state)).toEqual(["completed", "completed", "completed", "failed"]);
  expect(ended.at(-1)).toMatchObject({
    code: "process_died",
    message: expect.stringContaining("rates.user.turns_per_minute (3)") as string,
  });
  await until("the process's end", async () => {
    const { agents } = (await (await restless.fetch("/api/agents")).json()) as {
      agents: { now: { processes: { live: number } } }[];
    };
    return agents[0]!.now.processes.live === 0;
  });
  const send = (user: string) => restless.fetch("/api/turns", jsonBody({ prompt: "hello", user }));
  const refused = await send("ann");
  expect([refused.status, await refused.json()]).toMatchObject([
    429,
    { limit: "rates.user.turns_per_minute", value: 3 },
  ]);
  expect((await send("bob")).status).toBe(202);
  await restless.close();
});
