// [A7] What goes wrong with a process, as callers and as administrators are told it.
import { chmodSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newFolder, openGateway, type OwnGateway, type Turn } from "../support/gateway.ts";
import { giveToSessions } from "../support/owner.ts";
import { openScene, type Scene } from "../support/real-cli.ts";
import { until } from "../support/wait.ts";

let scene: Scene;
const gateways: OwnGateway[] = [];

beforeAll(async () => {
  scene = await openScene();
});
afterAll(async () => {
  for (const gateway of gateways) await gateway.close();
  await scene.close();
});

/** A gateway whose CLI is this shell script, in front of the real one. */
async function gatewayOf(script: string, agent: Record<string, unknown> = {}): Promise<OwnGateway> {
  const binary = join(newFolder(scene, "bin"), "claude");
  writeFileSync(binary, `#!/bin/sh\n[ "$1" = --version ] && exec '${scene.binary}' --version\n${script}\n`);
  chmodSync(binary, 0o755);
  chmodSync(dirname(binary), 0o755);
  const box = { read: [dirname(scene.binary)] };
  const gateway = await openGateway({ ...scene, binary }, { agents: [{ name: "tester", box, ...agent }] });
  gateways.push(gateway);
  return gateway;
}

const diagnosticsOf = (gateway: OwnGateway, { turn }: Turn) =>
  until("diagnostics", async () => {
    const reply = (await (await gateway.fetch(`/api/turns/${turn}/diagnostics`)).json()) as { text: string };
    return reply.text;
  });

/** All that its owner is told of a turn. */
async function toldOf(gateway: OwnGateway, { turn, session }: Turn): Promise<string> {
  const paths = [`/api/turns/${turn}`, `/api/turns/${turn}/events`, `/api/sessions/${session}/transcript`];
  return (await Promise.all(paths.map(async (path) => (await gateway.fetch(path)).text()))).join("\n");
}

test("[A7] the last words of a CLI that dies at its start are kept, and its caller hears none of them", async () => {
  const gateway = await gatewayOf("echo noise-on-stdout /opt/secret; echo words-on-stderr /opt/secret >&2; exit 3");
  const turn = await gateway.ended((await gateway.post("hello")).turn);
  expect(turn).toMatchObject({ state: "failed", code: "spawn_failed", message: "The CLI could not be started." });
  const text = await diagnosticsOf(gateway, turn);
  expect(text).toContain("words-on-stderr /opt/secret\n");
  expect(text).toContain("noise-on-stdout /opt/secret\n");
  expect(await toldOf(gateway, turn)).not.toMatch(/noise|words-on|secret/);
});

test("[A7] words beside the protocol of a CLI that answers well are kept with the turn", async () => {
  const gateway = await gatewayOf(
    `echo '{"type":"/opt/secret: new","x":"raw"}'; echo words-on-stderr >&2; exec '${scene.binary}' "$@"`,
  );
  const turn = await gateway.ended((await gateway.post("hello")).turn);
  expect(turn).toMatchObject({ state: "completed" });
  const text = await diagnosticsOf(gateway, turn);
  expect(text).toContain("words-on-stderr\n");
  expect(text).toContain('{"type":"/opt/secret: new","x":"raw"}\n');
  const told = await toldOf(gateway, turn);
  expect(told).toContain('type \\"unnamed\\"');
  expect(told).not.toMatch(/raw|words-on|secret/);
});

test("[A7] why a process could not even be launched is kept, with the path that its caller is not told", async () => {
  const workspace = join(newFolder(scene, "gone"), "workspace");
  mkdirSync(workspace);
  giveToSessions(workspace);
  const gateway = await gatewayOf(`exec '${scene.binary}' "$@"`, { workspace });
  rmdirSync(workspace);
  const turn = await gateway.ended((await gateway.post("hello")).turn);
  expect(turn).toMatchObject({ state: "failed", code: "spawn_failed" });
  expect(await diagnosticsOf(gateway, turn)).toContain(workspace);
  expect(await toldOf(gateway, turn)).not.toContain(workspace);
});
