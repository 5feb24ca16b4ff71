// The words of turns, for search. They are indexed twice: as they are, for who sees everything, and each word under a mark of those whose it is.
// What somebody else has said is nowhere near the marked ones: it costs a search no time, and its time tells nothing of it [L9].
import type { DatabaseSync } from "node:sqlite";
import type { Caller, Owner } from "../protocol/callers.ts";
import { wordsOf } from "../protocol/words.ts";

/** So much of what an older version left unmarked is marked at a time, in characters: a few tens of milliseconds. */
const maxBatchChars = 256 * 1024;
const turnsPerBatch = 200;

type Row = Record<string, unknown>;

export interface Words {
  /** Of a new turn. */
  add(turn: string, words: string): void;
  /** Of a turn that has said more. */
  append(turn: string, words: string): void;
  /** Of a turn whose copy is in another session. */
  copy(turn: string, copy: string, session: string): void;
  remove(rowid: number): void;
  /** What the lists of this caller are to match; undefined where nothing can. */
  match(caller: Caller, words: string): string | undefined;
  /** Whether an older version has left something that is not marked. */
  hasOld(): boolean;
  /** Marks some of what an older version left, newest turns first; false when nothing is left. */
  markOld(): boolean;
}

export function createWords(database: DatabaseSync): Words {
  const sql = prepareWordStatements(database);

  function idOf(scope: string): number | undefined {
    return (sql.scope.get({ scope }) as { id: number } | undefined)?.id;
  }

  function madeIdOf(scope: string): number {
    return idOf(scope) ?? Number(sql.addScope.run({ scope }).lastInsertRowid);
  }

  /** In the place of what this turn had. */
  function mark(row: Row): void {
    const { rowid, words, owner_key, owner_user } = row as Record<string, string>;
    const found = wordsOf(words!);
    const owner: Owner = { key: owner_key!, user: owner_user ?? null };
    const marks = [scopeOfKey(owner), scopeOfOwner(owner)].map((scope) => markOf(madeIdOf(scope)));
    sql.mark.run({ rowid: rowid!, words: marks.map((of) => found.map((word) => of + word).join(" ")).join(" ") });
  }

  return {
    add(turn, words) {
      sql.insert.run({ turn, words });
      mark(sql.one.get({ turn }) as Row);
    },
    append(turn, words) {
      sql.append.run({ turn, words });
      mark(sql.one.get({ turn }) as Row);
    },
    copy(turn, copy, session) {
      sql.copy.run({ turn, copy, session });
      const row = sql.one.get({ turn: copy }) as Row | undefined;
      if (row) mark(row);
    },
    remove(rowid) {
      sql.remove.run({ rowid });
      sql.unmark.run({ rowid });
    },
    match(caller, words) {
      if (caller.reach === "all") return matchOf(words, (word) => `"${word.replaceAll('"', '""')}"`);
      const id = idOf(caller.reach === "key" ? scopeOfKey(caller) : scopeOfOwner(caller));
      if (id === undefined) return undefined;
      const of = markOf(id);
      return matchOf(
        words,
        (word) =>
          `"${wordsOf(word)
            .map((one) => of + one)
            .join(" ")}"`,
      );
    },
    hasOld: () => (sql.unmarked.get() as { upto: number }).upto > 0,
    markOld() {
      const { upto } = sql.unmarked.get() as { upto: number };
      let next = 0;
      let chars = 0;
      for (const row of sql.old.all({ upto, limit: turnsPerBatch }) as { rowid: number; chars: number }[]) {
        if (chars > 0 && chars + row.chars > maxBatchChars) break;
        chars += row.chars;
        const words = sql.byRowid.get({ rowid: row.rowid }) as Row | undefined;
        if (words) mark(words);
        next = row.rowid - 1;
      }
      if (next !== upto) sql.setUnmarked.run({ upto: next });
      return next > 0;
    },
  };
}

function prepareWordStatements(database: DatabaseSync) {
  const prepare = (sql: string) => database.prepare(sql);
  const whole = `SELECT w.rowid, w.words, s.owner_key, s.owner_user
    FROM turns t JOIN sessions s USING (session) JOIN turn_words w ON w.rowid = t.rowid`;
  return {
    insert: prepare(
      `INSERT INTO turn_words (rowid, words, turn, session) SELECT rowid, :words, turn, session FROM turns WHERE turn = :turn`,
    ),
    append: prepare(
      `UPDATE turn_words SET words = words || char(10) || :words WHERE rowid = (SELECT rowid FROM turns WHERE turn = :turn)`,
    ),
    copy: prepare(
      `INSERT INTO turn_words (rowid, words, turn, session)
       SELECT (SELECT rowid FROM turns WHERE turn = :copy), words, :copy, :session FROM turn_words
       WHERE rowid = (SELECT rowid FROM turns WHERE turn = :turn)`,
    ),
    remove: prepare(`DELETE FROM turn_words WHERE rowid = :rowid`),
    one: prepare(`${whole} WHERE t.turn = :turn`),
    byRowid: prepare(`${whole} WHERE t.rowid = :rowid`),
    scope: prepare(`SELECT id FROM word_scopes WHERE scope = :scope`),
    addScope: prepare(`INSERT INTO word_scopes (scope) VALUES (:scope)`),
    mark: prepare(`INSERT OR REPLACE INTO marked_words (rowid, words) VALUES (:rowid, :words)`),
    unmark: prepare(`DELETE FROM marked_words WHERE rowid = :rowid`),
    unmarked: prepare(`SELECT upto FROM unmarked_words`),
    setUnmarked: prepare(`UPDATE unmarked_words SET upto = :upto`),
    old: prepare(
      `SELECT w.rowid, length(w.words) AS chars FROM turn_words w WHERE w.rowid <= :upto ORDER BY w.rowid DESC LIMIT :limit`,
    ),
  };
}

function scopeOfKey({ key }: Owner): string {
  return JSON.stringify([key]);
}

function scopeOfOwner({ key, user }: Owner): string {
  return JSON.stringify([key, user]);
}

/** No mark is the beginning of another one, whatever word follows. */
function markOf(id: number): string {
  return `${id}w`;
}

/**
 * Plain words as an FTS5 query: each is quoted, so that `"`, `C++`, `AND` and `foo-bar` are words; the last is a prefix, unless it ends in a
 * sign: then it is whole, and `C++` is no beginning of `can`. Undefined where no word has a letter or digit: then nothing can match.
 */
function matchOf(words: string, quoted: (word: string) => string): string | undefined {
  // SQLite would take a NUL for the end of the query.
  const known = words.split(/[\s\0]+/u).filter((word) => wordsOf(word).length > 0);
  if (known.length === 0) return undefined;
  const isBeginning = /[\p{L}\p{N}\p{M}]$/u.test(known.at(-1)!);
  return `${known.map(quoted).join(" ")}${isBeginning ? "*" : ""}`;
}
