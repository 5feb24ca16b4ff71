// `sluice key` and `sluice token`: service keys, and what is made with one, from the operator's terminal.
import { join } from "node:path";
import type { Config } from "./config.ts";
import { makeDataFolder, readHolder } from "./data-folder.ts";
import { hashSecret } from "./http/auth/key-ring.ts";
import { newSecret, readSelfMadeKey } from "./keys.ts";
import { configuredAddress, whoAnswers } from "./listen.ts";
import { gatewayCaller } from "./protocol/callers.ts";
import { SetupError } from "./protocol/errors.ts";
import { ordinaryScopes, scopes, type Scope } from "./protocol/scopes.ts";
import type { Store } from "./store/port.ts";
import { openSqliteStore } from "./store/sqlite.ts";

export interface KeyOptions {
  /** Comma separated; all but `manage_agents` and `admin` where there are none. */
  readonly scopes?: string | undefined;
  /** Comma separated; all where there are none. */
  readonly agents?: string | undefined;
}

/** Makes, lists and revokes keys, also while a gateway runs: it notices within `revocation_s`. Resolves with the exit code. */
export async function keyCommand(
  config: Config,
  [action, name, ...rest]: readonly string[],
  options: KeyOptions,
  print: (line: string) => void,
): Promise<number> {
  const isKnown =
    action === "add" || action === "revoke" ? name !== undefined : action === "list" && name === undefined;
  if (!isKnown || rest.length > 0) throw usage("key takes add NAME, revoke NAME or list");
  makeDataFolder(config.dataFolder);
  const store = openSqliteStore(join(config.dataFolder, "sluice.sqlite"));
  try {
    if (action === "add") return await add(store, config, name!, options, print);
    if (action === "list") return await list(store, print);
    if (!(await store.revokeKey(name!, Date.now()))) throw usage(`there is no key "${name}" that could be revoked`);
    print(`Revoked. A running gateway cuts its streams within ${config.limits.revocation_s} s.`);
    return 0;
  } finally {
    await store.close();
  }
}

async function add(
  store: Store,
  config: Config,
  name: string,
  options: KeyOptions,
  print: (line: string) => void,
): Promise<number> {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(name)) throw usage("a key's name is 1 to 64 of A-Z, a-z, 0-9, _ and -");
  if (name === "local" || name === "visitors" || config.keys.some((key) => key.name === name))
    throw usage(`the name "${name}" is taken`);
  const agents = options.agents?.split(",") ?? null;
  const known = new Set([...config.agents, ...(await store.agents(gatewayCaller))].map((agent) => agent.name));
  const unknown = agents?.find((agent) => !known.has(agent));
  if (unknown !== undefined) throw usage(`--agents: there is no agent "${unknown}"`);
  const secret = newSecret();
  const key = { name, hash: hashSecret(secret), scopes: readScopes(options.scopes), agents, madeAt: Date.now() };
  if (!(await store.putKey(key))) throw usage(`there is a key "${name}" already; revoke it first`);
  print(`${secret}\n\nThis is the only time that it is shown. Clients send it as: Authorization: Bearer ${secret}`);
  return 0;
}

function readScopes(text: string | undefined): readonly Scope[] {
  if (text === undefined) return ordinaryScopes;
  return text.split(",").map((name) => {
    const found = scopes.find((scope) => scope === name);
    if (!found) throw usage(`--scopes: "${name}" is none of ${scopes.join(", ")}`);
    return found;
  });
}

async function list(store: Store, print: (line: string) => void): Promise<number> {
  const keys = await store.keys(gatewayCaller);
  if (keys.length === 0) print("No keys were made by `npx sluice key add`.");
  for (const { name, scopes: allowed, agents, madeAt, revokedAt } of keys) {
    const state = revokedAt === null ? "in use" : `revoked ${new Date(revokedAt).toISOString()}`;
    print(
      `${name}  ${state}  made ${new Date(madeAt).toISOString()}  scopes ${allowed.join(",")}  agents ${agents?.join(",") ?? "all"}`,
    );
  }
  return 0;
}

export interface TokenOptions {
  readonly link?: boolean | undefined;
  readonly user?: string | undefined;
}

/** Prints a one-time sign-in link, or a browser token for a user, of the gateway that runs on the data folder. */
export async function tokenCommand(
  config: Config,
  { link, user }: TokenOptions,
  print: (line: string) => void,
): Promise<number> {
  if ((link === true) === (user !== undefined)) throw usage("token takes either --link or --user NAME");
  const own = readHolder(config.dataFolder)?.address;
  const key = config.keys[0]?.secret ?? readSelfMadeKey(config.dataFolder);
  const address = own ?? configuredAddress(config);
  const who = await whoAnswers(address);
  if (own === undefined || who !== "gateway") throw notRunning(config.dataFolder, address, who);
  if (key === undefined) throw otherKeys();
  const path = link ? "/api/sign-in-links" : "/api/tokens";
  const reply = await fetch(`${address}${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify(link ? {} : { user }),
  });
  if (reply.status === 401) throw otherKeys();
  const answer = (await reply.json()) as { url?: string; token?: string; detail?: string };
  if (!reply.ok) throw usage(`the gateway refused: ${answer.detail?.replace(/\.$/, "") ?? reply.status}`);
  print(answer.url ?? answer.token ?? "");
  return 0;
}

function otherKeys(): SetupError {
  return new SetupError(
    "config_invalid",
    "The gateway takes other keys than that of its data folder: those of its SLUICE_KEYS.",
    "Set that here too.",
  );
}

function notRunning(dataFolder: string, address: string, who: "gateway" | "demo" | undefined): SetupError {
  if (who === "demo")
    return new SetupError(
      "not_running",
      `The demo runs at ${address}, which needs no sign-in and no token.`,
      `Open ${address}/ in a browser.`,
    );
  return new SetupError(
    "not_running",
    `No gateway runs on the data folder ${dataFolder}.`,
    who
      ? `One of another data folder runs at ${address}: set SLUICE_DATA to that.`
      : "Start one with `npx sluice serve`.",
  );
}

function usage(what: string): SetupError {
  return new SetupError("config_invalid", `${what}.`, "See `npx sluice --help`.");
}
