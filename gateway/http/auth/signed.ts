// [A3] Signed claims for browsers: tokens, stream tickets and sign-in cookies. JWTs with HS256 and nothing else; the secrets lie in the
// data folder (0600) and rotate: the newest signs, older ones still verify until what they signed has run out. Each claim is signed for
// the service key that it rests on, so that a key's end is the end of them all, also where a new key takes its name.
import { createHmac, randomBytes } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { decodeJwt, decodeProtectedHeader, jwtVerify, SignJWT } from "jose";
import { z } from "zod";
import { GatewayError } from "../../protocol/errors.ts";
import type { KeyRing } from "./key-ring.ts";

const common = { key: z.string(), exp: z.number(), iat: z.number().default(0) };

const claims = z.discriminatedUnion("kind", [
  /** For a person of a page: `agents` and `origins` limit it, null means no limit of its own. */
  z.object({
    kind: z.literal("token"),
    ...common,
    user: z.string(),
    agents: z.array(z.string()).nullable(),
    origins: z.array(z.string()).nullable(),
    /** Of a visitor's: when their first one was signed. */
    since: z.number().optional(),
  }),
  /** For GET of one session's streams. `owner` is the session's: an administrator may watch those of other keys. */
  z.object({
    kind: z.literal("ticket"),
    ...common,
    owner: z.object({ key: z.string(), user: z.string().nullable() }),
    session: z.string(),
    agent: z.string(),
    origin: z.string().nullable(),
  }),
  /** A person who is signed in at the gateway itself. */
  z.object({ kind: z.literal("cookie"), ...common }),
]);

export type Claims = z.infer<typeof claims>;
export type ClaimsOf<Kind extends Claims["kind"]> = Extract<Claims, { kind: Kind }>;

export type NewClaims = { [Kind in Claims["kind"]]: Omit<ClaimsOf<Kind>, "iat"> }[Claims["kind"]];

export interface Signer {
  /** `exp`, and all other times, are in seconds since the epoch; `iat` is now. Throws `unauthorized` where the claims' key is not good any more. */
  sign(claims: NewClaims): Promise<string>;
  /** Undefined for whatever is not signed by us, is of another kind, was ended with its user, or ran out more than `graceS` ago. */
  verify<Kind extends Claims["kind"]>(jwt: string, kind: Kind, graceS?: number): Promise<ClaimsOf<Kind> | undefined>;
}

interface Secret {
  readonly id: string;
  readonly secret: string;
  /** Epoch milliseconds. */
  readonly madeAt: number;
}

const secretFile = z.array(z.object({ id: z.string(), secret: z.string(), madeAt: z.number() }));

const rotateMs = 24 * 60 * 60 * 1000;
/** A visitor's token can be renewed for so long. */
export const renewableS = 30 * 24 * 60 * 60;
const longestMs = 24 * 60 * 60 * 1000;
const keptMs = rotateMs + longestMs + renewableS * 1000;

export function createSigner(
  file: string,
  keys: Pick<KeyRing, "named" | "revokedUntil">,
  now: () => number = Date.now,
): Signer {
  let secrets = readSecrets(file);

  /** The newest secret; a new one where that is a day old. */
  function current(): Secret {
    const newest = secrets[0];
    if (newest && newest.madeAt > now() - rotateMs) return newest;
    const made = {
      id: randomBytes(6).toString("base64url"),
      secret: randomBytes(32).toString("base64url"),
      madeAt: now(),
    };
    secrets = [made, ...secrets.filter(({ madeAt }) => madeAt > now() - keptMs)];
    writeFileSync(`${file}.new`, JSON.stringify(secrets), { mode: 0o600 });
    renameSync(`${file}.new`, file);
    return made;
  }

  function isRevoked(said: Claims): boolean {
    if (said.kind === "cookie") return false;
    const { key, user } = said.kind === "token" ? said : said.owner;
    return said.iat * 1000 <= keys.revokedUntil(key, user);
  }

  return {
    async sign({ exp, ...rest }) {
      const key = keys.named(rest.key);
      if (!key) throw new GatewayError("unauthorized", "This key is not good any more.");
      const { id, secret } = current();
      return new SignJWT(rest)
        .setProtectedHeader({ alg: "HS256", kid: id })
        .setExpirationTime(exp)
        .setIssuedAt(now() / 1000)
        .sign(secretFor(key.hash, secret));
    },
    async verify(jwt, kind, graceS = 0) {
      try {
        const { kid } = decodeProtectedHeader(jwt);
        const known = secrets.find(({ id }) => id === kid);
        // What it says is believed only below, when its signature for this key is right.
        const key = keys.named(String(decodeJwt(jwt)["key"]));
        if (!known || !key) return undefined;
        const { payload } = await jwtVerify(jwt, secretFor(key.hash, known.secret), {
          algorithms: ["HS256"],
          clockTolerance: graceS,
          currentDate: new Date(now()),
        });
        const parsed = claims.safeParse(payload);
        if (!parsed.success || parsed.data.kind !== kind || isRevoked(parsed.data)) return undefined;
        return parsed.data as ClaimsOf<typeof kind>;
      } catch {
        // Whatever is wrong with it: it is not good, and the reason is nobody's business.
        return undefined;
      }
    },
  };
}

function secretFor(keyHash: Uint8Array, secret: string): Uint8Array {
  return createHmac("sha256", secret).update(keyHash).digest();
}

function readSecrets(file: string): Secret[] {
  try {
    return secretFile.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    // None yet, or damaged: new secrets end what the old ones signed.
    return [];
  }
}
