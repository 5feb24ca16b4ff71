// The gateway of the grounds, a child that runs as root or as an ordinary user, with the agents of all attackers; and its clients.
import { execFileSync } from "node:child_process";
import { chownSync, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createClient, jsonBody, newFolder, spawnGateway, type ChildGateway, type Client } from "../gateway.ts";
import type { Scene } from "../real-cli.ts";
import { until } from "../wait.ts";
import { attackers, publicOrigin, type Attacker } from "./attackers.ts";
import { asUser } from "./checkout.ts";
import type { Planted } from "./planting.ts";
import { folderWith } from "./prey.ts";
import type { Secrets } from "./secrets.ts";

export type Isolation = "off" | "required";

export interface StartOptions {
  readonly scene: Scene;
  readonly planted: Planted;
  readonly isolation: Isolation;
  readonly uid: number | undefined;
  readonly secrets: Secrets;
}

export async function startGateway({ scene, planted, isolation, uid, secrets }: StartOptions): Promise<ChildGateway> {
  const named = Object.entries(attackers as Record<string, Attacker>).map(([name, { agent }]) => ({
    name,
    ...agent(planted),
  }));
  const agents = [
    ...named,
    // With a token of its own for the gateway, and a worktree.
    { name: "lead", supervises: ["worker"], workspace: planted.project, worktree: true, allowed_tools: ["Bash"] },
  ];
  const prefix = ["python3", "-c", inAKeyring, secrets["session-keyring"]];
  // What its start needs was made by the user of the tests.
  const dataFolder = newFolder(scene, "data");
  if (uid !== undefined) {
    chownSync(dataFolder, uid, uid);
    const [file, ...args] = asUser(uid) as [string, ...string[]];
    if (isolation !== "off") execFileSync(file, [...args, process.execPath, linkCli, dataFolder]);
    const give = ["sh", "-c", `chown -R ${uid}:${uid} "$(dirname "$SLUICE_CONFIG")" && exec "$0" "$@"`];
    prefix.unshift(...give, file, ...args);
  }
  const settings = {
    agents,
    dataFolder,
    limits: {
      processes: 60,
      process_idle_s: 5,
      running_turns: 30,
      caller_share: 1,
      shutdown_grace_s: 0.5,
      process_end_s: 2,
    },
    file: { isolation },
    environment: {
      SLUICE_LOG: "warn",
      // A debugger, if one is opened, takes any free port.
      NODE_OPTIONS: "--inspect-port=0",
      PATH: `${planted.home}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    },
  };
  const gateway = await spawnGateway(scene, settings, { prefix });
  secrets.key = readFileSync(join(gateway.dataFolder, "key"), "utf8").trim();
  return gateway;
}

/** Gives a data folder its copy of the CLI, as who runs it. */
const linkCli = new URL("link-cli.ts", import.meta.url).pathname;

/** Runs a program with a session keyring that has a secret, as a login may leave one. */
const inAKeyring = `import ctypes, os, sys
libc = ctypes.CDLL(None)
keyctl, add_key = (250, 248) if os.uname().machine == "x86_64" else (219, 217)
join, of_the_session = 1, -3
libc.syscall(keyctl, join, None)
libc.syscall(add_key, b"user", b"login", sys.argv[1].encode(), len(sys.argv[1]), of_the_session)
os.execvp(sys.argv[2], sys.argv[2:])`;

/** Each request has a connection for itself: on a busy machine one that was kept may be closed just as it is used again. */
export const alone = { connection: "close" };

export async function userClient(gateway: ChildGateway, key: Client, user: string): Promise<Client> {
  const reply = await key.fetch("/api/tokens", jsonBody({ user, expires_in: 3600 }));
  const { token } = (await reply.json()) as { token: string };
  return createClient(gateway.address, token, alone);
}

export async function clientOf(
  gateway: ChildGateway,
  key: Client,
  { caller = "user" }: Attacker,
  agent: string,
): Promise<Client> {
  if (caller === "key") return key;
  if (caller === "user") return userClient(gateway, key, `mallory-${agent}`);
  const headers = { origin: publicOrigin };
  const stranger = createClient(gateway.address, undefined, alone);
  const { token } = (await (await stranger.fetch("/api/tokens", jsonBody({ agent }, headers))).json()) as {
    token: string;
  };
  const client = createClient(gateway.address, token, alone);
  return { ...client, post: (prompt, body) => post(client, { prompt, ...body }, headers) };
}

async function post(client: Client, body: object, headers: Record<string, string>) {
  const reply = await client.fetch("/api/turns", jsonBody(body, headers));
  if (!reply.ok) throw new Error(`refused with ${reply.status}: ${await reply.text()}`);
  return (await reply.json()) as Awaited<ReturnType<Client["post"]>>;
}

/** A turn of ann's that goes on for as long as its tool lives; resolves with its session. */
export async function startNeighbour(ann: Client, command: string, secrets: Secrets): Promise<string> {
  const call = { command, timeout: 600_000 };
  const prompt = `Between us: ${secrets.conversation}\ndemo:tool Bash ${JSON.stringify(call)}`;
  return (await ann.post(prompt, { agent: "shell" })).session;
}

/** What the gateway itself has written down, and a file in another agent's worktree. */
export async function plantGatewaySecrets(key: Client, data: string, secrets: Secrets): Promise<void> {
  const backwards = [...secrets["other-worktree"]].toReversed().join("");
  // Its turn goes on: with its process its token would go.
  const call = { command: `echo ${backwards} | rev > unsaved.txt; exec sleep 600`, timeout: 600_000 };
  await key.post(`demo:tool Bash ${JSON.stringify(call)}`, { agent: "lead" });
  const unsaved = join(data, "worktrees/lead/unsaved.txt");
  await until("the lead's file", () => existsSync(unsaved) && statSync(unsaved).size > 0, 30_000);
  const [signing] = JSON.parse(readFileSync(join(data, "signing.json"), "utf8")) as [{ secret: string }];
  secrets.signing = signing.secret;
  const run = join(data, "run");
  const files = readdirSync(run).map((name) => folderWith("mcp.json", join(run, name)));
  const token = files
    .flatMap((folder) => (folder === undefined ? [] : [readFileSync(join(folder, "mcp.json"), "utf8")]))
    .map((text) => /"Bearer ([^"]+)"/.exec(text)?.[1])
    .find((found) => found !== undefined);
  if (token === undefined) throw new Error("the lead's own token was not found");
  secrets.supervision = token;
}
