// [A1] The keys that a gateway has from the start: those of SLUICE_KEYS, else one that is made at the first start and lies in the data folder.
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "./config.ts";
import { hashSecret, type ServiceKey } from "./http/auth/key-ring.ts";
import { ordinaryScopes, scopes } from "./protocol/scopes.ts";

/** The file of the self-made key. */
export function keyFile(dataFolder: string): string {
  return join(dataFolder, "key");
}

export function fixedKeys({ keys, dataFolder }: Pick<Config, "keys" | "dataFolder">): ServiceKey[] {
  if (keys.length === 0)
    return [{ name: "local", hash: hashSecret(selfMadeKey(dataFolder)), scopes: [...scopes], agents: null }];
  return keys.map(({ name, secret }) => ({ name, hash: hashSecret(secret), scopes: ordinaryScopes, agents: null }));
}

/** A new secret, that nobody can guess: 192 bits. */
export function newSecret(): string {
  return `sluice_${randomBytes(24).toString("base64url")}`;
}

function selfMadeKey(dataFolder: string): string {
  const known = readSelfMadeKey(dataFolder);
  if (known !== undefined) return known;
  const secret = newSecret();
  writeFileSync(keyFile(dataFolder), secret, { mode: 0o600 });
  return secret;
}

export function readSelfMadeKey(dataFolder: string): string | undefined {
  try {
    return readFileSync(keyFile(dataFolder), "utf8").trim() || undefined;
  } catch {
    // The first start.
    return undefined;
  }
}
