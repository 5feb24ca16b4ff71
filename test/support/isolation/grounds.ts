// The grounds of tries: a gateway, and everything that its sessions must not reach, planted and known to every try by its path on the machine.
// One for each form and isolation.
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chownSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { sweep } from "../../../gateway/claude/run-folder.ts";
import { createClient, type ChildGateway, type Client } from "../gateway.ts";
import { sessionUid } from "../owner.ts";
import { openReader } from "../reader.ts";
import { openScene, type Scene } from "../real-cli.ts";
import { until } from "../wait.ts";
import type { Attacker } from "./attackers.ts";
import {
  alone,
  clientOf,
  plantGatewaySecrets,
  startGateway,
  startNeighbour,
  userClient,
  type Isolation,
} from "./grounds-gateway.ts";
import { cleanMachine, lookAtMachine, type Machine } from "./machine.ts";
import { plant, raiseRights, type Planted } from "./planting.ts";
import { findPrey, folderWith, makePreySettings, neighbourCommand, startBystander, type Prey } from "./prey.ts";
import { makeSecrets, type Secrets } from "./secrets.ts";
import type { Form } from "./try.ts";

const runsAsRoot = process.getuid?.() === 0;

/** Root can have both forms, any other user only one. */
export const formsHere: readonly Form[] = runsAsRoot ? ["root", "user"] : ["user"];

/** Uids that nobody has: what runs as one of them belongs to these tests. Two, since without a box a try ends all processes of its user. */
const ordinaryUids: Readonly<Record<Isolation, number>> = { off: 54_321, required: 54_322 };

export interface Grounds extends Omit<Planted, "close">, Machine {
  readonly form: Form;
  readonly isolation: Isolation;
  /** The name of everything that a try leaves outside of `folder` begins with it. */
  readonly id: string;
  readonly folder: string;
  readonly data: string;
  readonly secrets: Secrets;
  readonly scene: Scene;
  readonly gateway: ChildGateway;
  readonly neighbour: Neighbour;
  readonly bystander: Prey;
  /** Whether the gateway has a uid for itself. */
  readonly hasOwnUid: boolean;
  /** The gateway's, if it is not that of the tests. */
  readonly uid: number | undefined;
  clientOf(attacker: Attacker, agent: string): Promise<Client>;
  /** What the gateway keeps of a process's stderr for the operator. */
  diagnosticsOf(turn: string | undefined): Promise<string>;
  /** Ends the gateway, and removes what the tries have left. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface Neighbour extends Prey {
  readonly session: string;
  /** The CLI's file of its session, on the machine. */
  readonly conversation: string;
  /** The CLI's configuration folder of it. */
  readonly configFolder: string;
  /** The terminal that its CLI writes to. */
  readonly terminal: string;
  /** Everything that its stream has shown. */
  heard(): Promise<string>;
}

/** If it fails half-way, what was made so far is removed. */
export async function openGrounds(form: Form, isolation: Isolation): Promise<Grounds> {
  const opened = new AsyncDisposableStack();
  try {
    return await open(form, isolation, opened);
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}

async function open(form: Form, isolation: Isolation, opened: AsyncDisposableStack): Promise<Grounds> {
  const secrets = makeSecrets();
  const id = `sluice-${randomBytes(5).toString("hex")}`;
  const environment = {
    CLAUDE_CODE_OAUTH_TOKEN: secrets.credential,
    TEAM_SECRET: secrets.environment,
    LANG: "C.UTF-8",
  };
  // Calls come in few deltas: their programs are long, and how they are streamed is no matter here.
  const scene = await openScene(environment, { chars: 4096 });
  const { folder } = scene;
  opened.defer(() => scene.close());
  opened.defer(() => cleanMachine(id, folder));
  const planted = await plant(folder, id, secrets);
  opened.defer(() => planted.close());
  const uid = form === "user" && runsAsRoot ? ordinaryUids[isolation] : undefined;
  giveAway(folder, planted, { uid, isBoxed: isolation !== "off" });
  // After the change of owners: what it mounts is root's.
  const machine = lookAtMachine(folder, secrets.covered, uid);
  const gateway = await startGateway({ scene, planted, isolation, uid, secrets });
  opened.defer(() => endGateway(gateway));
  const key = createClient(gateway.address, secrets.key, alone);
  const [preys] = await Promise.all([
    startPreys({ gateway, key, planted, uid, secrets, opened }),
    plantGatewaySecrets(key, gateway.dataFolder, secrets),
  ]);
  secrets["neighbour-session"] = preys.neighbour.session;
  return {
    ...planted,
    ...machine,
    ...preys,
    form,
    isolation,
    id,
    folder,
    data: gateway.dataFolder,
    secrets,
    scene,
    gateway,
    hasOwnUid: uid !== undefined,
    uid,
    clientOf: (attacker, agent) => clientOf(gateway, key, attacker, agent),
    async diagnosticsOf(turn) {
      if (turn === undefined) return "";
      const reply = await key.fetch(`/api/turns/${turn}/diagnostics`);
      if (!reply.ok) throw new Error(`no diagnostics: ${reply.status} ${await reply.text()}`);
      return ((await reply.json()) as { text: string }).text;
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** Gives everything to the gateway's user; of a gateway that is root, the workspaces to the user of its sessions. Some things stay root's. */
function giveAway(
  folder: string,
  { placed, project }: Planted,
  { uid, isBoxed }: { readonly uid: number | undefined; readonly isBoxed: boolean },
): void {
  const give = (path: string, owner: number) =>
    execFileSync("chown", ["--no-dereference", "--recursive", `${owner}:${owner}`, path]);
  if (uid !== undefined) give(folder, uid);
  else if (runsAsRoot && isBoxed) for (const path of [placed, project]) give(path, sessionUid);
  if (!runsAsRoot) return;
  for (const name of [".locked", "cat-of-root", "capable-cat"]) chownSync(join(placed, name), 0, 0);
  raiseRights(placed);
}

/** And what an unboxed one leaves running, however it ends. */
async function endGateway(gateway: ChildGateway): Promise<void> {
  await Promise.race([gateway.kill("SIGTERM"), wait(10_000, undefined, { ref: false })]);
  await gateway.kill("SIGKILL");
  await sweep(join(gateway.dataFolder, "run"));
}

interface PreyOptions {
  readonly gateway: ChildGateway;
  readonly key: Client;
  readonly planted: Planted;
  readonly uid: number | undefined;
  readonly secrets: Secrets;
  readonly opened: AsyncDisposableStack;
}

async function startPreys({ gateway, key, planted, uid, secrets, opened }: PreyOptions) {
  const settings = makePreySettings(secrets, "neighbour");
  const ann = await userClient(gateway, key, "ann");
  const [bystander, session] = await Promise.all([
    startBystander(makePreySettings(secrets, "bystander"), planted.bystanderFolder, uid, opened),
    startNeighbour(ann, neighbourCommand(settings), secrets),
  ]);
  const stop = (prey: Prey) => prey.stop().catch(() => {});
  opened.defer(() => stop(bystander));
  // Where the session's files are, in a box and without one.
  const places = [gateway.dataFolder, planted.home];
  const look = () => places.map((place) => folderWith(`ready-${settings.mark}`, place)).find((found) => found);
  const prey = await findPrey(settings, look);
  opened.defer(() => stop(prey));
  const conversation = await until("the neighbour's file", () => findConversation(session, places));
  const configFolder = dirname(dirname(dirname(conversation)));
  const terminal = terminalOf(prey.pid);
  const heard = () => heardIn(key, session);
  return { bystander, neighbour: { ...prey, session, conversation, configFolder, terminal, heard } };
}

/** The terminal of the nearest ancestor that has one: the tool's CLI. */
function terminalOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const [, parent, , , device] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const [major, minor] = [(device! >> 8) & 0xfff, (device! & 0xff) | ((device! >> 12) & 0xfff00)];
  if (major >= 136 && major <= 143) return `/dev/pts/${(major - 136) * 256 + minor}`;
  if (parent! <= 1) throw new Error("the neighbour's terminal was not found");
  return terminalOf(parent!);
}

async function heardIn(key: Client, session: string): Promise<string> {
  const { last_seq: last } = await key.session(session);
  const reader = await openReader(new URL(`/api/sessions/${session}/events`, key.address), { headers: key.headers });
  await reader.find("its newest event", ({ seq }) => seq >= last);
  reader.leave();
  return JSON.stringify(reader.events);
}

function findConversation(session: string, places: readonly string[]): string | undefined {
  const name = `${session}.jsonl`;
  const folder = places.map((place) => folderWith(name, place)).find((found) => found !== undefined);
  return folder && join(folder, name);
}
