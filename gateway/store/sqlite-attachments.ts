// Attachments in the SQLite store: kept once by their hash, seen by whoever sees a session that refers to them, and by who sent
// them ahead of a prompt.
import type { DatabaseSync } from "node:sqlite";
import type { Store, Write } from "./port.ts";
import { owned, visibility, visible } from "./sqlite-statements.ts";

type Row = Record<string, unknown>;
export type AttachmentWrite = Extract<Write, { kind: "attachment" | "attachment_link" | "upload" }>;

/** Within the caller's own limit: what was sent without one is not. Older versions did not note it. */
const sentForSeenAgents = `(:seen_agents IS NULL OR s.agents IS NULL OR (s.agents <> 'null' AND NOT EXISTS (
  SELECT 1 FROM json_each(s.agents) WHERE value NOT IN (SELECT value FROM json_each(:seen_agents)))))`;

const seen = `(EXISTS (SELECT 1 FROM session_attachments l JOIN sessions s USING (session) WHERE l.hash = a.hash AND ${visible})
  OR EXISTS (SELECT 1 FROM uploads s WHERE s.hash = a.hash AND ${owned} AND ${sentForSeenAgents}))`;

function prepareAttachmentStatements(database: DatabaseSync) {
  const prepare = (sql: string) => database.prepare(sql);
  return {
    insert: prepare(
      `INSERT INTO attachments (hash, media_type, bytes) VALUES (:hash, :media_type, :bytes) ON CONFLICT DO NOTHING`,
    ),
    link: prepare(`INSERT INTO session_attachments (hash, session) VALUES (:hash, :session) ON CONFLICT DO NOTHING`),
    upload: prepare(
      `INSERT INTO uploads (hash, owner_key, owner_user, agents, at) VALUES (:hash, :key, :user, :agents, :at)
       ON CONFLICT DO UPDATE SET at = excluded.at`,
    ),
    one: prepare(`SELECT a.* FROM attachments a WHERE a.hash = :hash AND ${seen}`),
    head: prepare(`SELECT a.media_type, length(a.bytes) AS size FROM attachments a WHERE a.hash = :hash AND ${seen}`),
    dropUploads: prepare(`DELETE FROM uploads WHERE at < :before`),
    dropUnused: prepare(
      `DELETE FROM attachments WHERE NOT EXISTS (SELECT 1 FROM session_attachments l WHERE l.hash = attachments.hash)
         AND NOT EXISTS (SELECT 1 FROM uploads u WHERE u.hash = attachments.hash)`,
    ),
  };
}

export interface AttachmentParts {
  readonly reads: Pick<Store, "attachment" | "attachmentHead">;
  write(change: AttachmentWrite): void;
  /** Forgets what was sent ahead before `before`, with the bytes that no session refers to. */
  dropUploads(before: number): void;
}

export function createAttachments(database: DatabaseSync): AttachmentParts {
  const sql = prepareAttachmentStatements(database);
  return {
    reads: {
      async attachment(caller, hash) {
        const row = sql.one.get({ hash, ...visibility(caller) }) as Row | undefined;
        return row && { hash, mediaType: row["media_type"] as string, bytes: row["bytes"] as Uint8Array };
      },
      async attachmentHead(caller, hash) {
        const row = sql.head.get({ hash, ...visibility(caller) }) as Row | undefined;
        return row && { hash, mediaType: row["media_type"] as string, size: row["size"] as number };
      },
    },
    write(change) {
      if (change.kind === "attachment_link") return void sql.link.run({ hash: change.hash, session: change.session });
      const { hash, mediaType, bytes } = change.attachment;
      sql.insert.run({ hash, media_type: mediaType, bytes });
      if (change.kind === "attachment") return void sql.link.run({ hash, session: change.session });
      const { owner, agents = null, at } = change;
      sql.upload.run({ hash, key: owner.key, user: owner.user, agents: JSON.stringify(agents), at });
    },
    dropUploads(before) {
      if (sql.dropUploads.run({ before }).changes > 0) sql.dropUnused.run();
    },
  };
}
