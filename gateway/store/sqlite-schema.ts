// The SQLite schema as a list of migrations. A database remembers in `user_version` how many it has seen; one that has seen more than
// there are is of a newer Sluice and is refused. Never change an entry that was released: add one.

export const migrations: readonly string[] = [
  `
  CREATE TABLE sessions (
    session TEXT PRIMARY KEY,
    agent TEXT NOT NULL,
    owner_key TEXT NOT NULL,
    owner_user TEXT,
    last_seq INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX sessions_by_owner ON sessions (owner_key, owner_user);

  CREATE TABLE turns (
    turn TEXT PRIMARY KEY,
    session TEXT NOT NULL REFERENCES sessions (session),
    by TEXT NOT NULL,
    state TEXT NOT NULL,
    prompt TEXT NOT NULL,
    options TEXT NOT NULL,
    queued_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    first_seq INTEGER NOT NULL DEFAULT 0,
    last_seq INTEGER,
    ending TEXT
  ) STRICT;
  CREATE INDEX turns_by_session ON turns (session, turn);
  CREATE INDEX turns_unfinished ON turns (turn) WHERE state IN ('queued', 'running', 'waiting');

  CREATE TABLE idempotency_keys (
    owner_key TEXT NOT NULL,
    owner_user TEXT NOT NULL,
    key TEXT NOT NULL,
    turn TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (owner_key, owner_user, key)
  ) STRICT, WITHOUT ROWID;

  -- A row is one event, or adjacent deltas folded into one: then it stands for first_seq to seq, and ends has a 32-bit
  -- little-endian number for each of them, the length of the text after it.
  CREATE TABLE events (
    session TEXT NOT NULL REFERENCES sessions (session),
    seq INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    turn TEXT,
    at INTEGER NOT NULL,
    type TEXT NOT NULL,
    body TEXT NOT NULL,
    ends BLOB,
    PRIMARY KEY (session, seq)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE attachments (
    hash TEXT PRIMARY KEY,
    media_type TEXT NOT NULL,
    bytes BLOB NOT NULL
  ) STRICT;
  CREATE TABLE session_attachments (
    hash TEXT NOT NULL REFERENCES attachments (hash),
    session TEXT NOT NULL REFERENCES sessions (session),
    PRIMARY KEY (hash, session)
  ) STRICT, WITHOUT ROWID;
  `,
  // Sessions that can be listed, found, continued elsewhere and branched.
  `
  ALTER TABLE sessions ADD COLUMN title TEXT;
  ALTER TABLE sessions ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
  UPDATE sessions SET updated_at = created_at;
  CREATE INDEX sessions_by_time ON sessions (updated_at, session);

  -- The uuid of the CLI's last answer in a turn: where a branch begins, and what a snapshot must hold.
  ALTER TABLE turns ADD COLUMN answer_uuid TEXT;

  -- One row a turn: its prompt's and its answer's words.
  CREATE VIRTUAL TABLE turn_words USING fts5 (words, turn UNINDEXED, session UNINDEXED);

  -- The CLI's own session file and its folder, packed; origin is the session whose file it is, another one where this session is
  -- a branch that has not begun yet.
  CREATE TABLE snapshots (
    session TEXT PRIMARY KEY REFERENCES sessions (session),
    origin TEXT NOT NULL,
    answer_uuid TEXT,
    packed BLOB NOT NULL,
    at INTEGER NOT NULL
  ) STRICT;
  `,
  // Tool calls that wait, or waited, for a person: made and settled by their events.
  `
  CREATE TABLE approvals (
    approval TEXT PRIMARY KEY,
    session TEXT NOT NULL REFERENCES sessions (session),
    turn TEXT NOT NULL,
    tool TEXT NOT NULL,
    requested TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    resolved TEXT,
    resolved_at INTEGER,
    -- The tool is allowed for the rest of the session.
    is_grant INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX approvals_by_session ON approvals (session, approval);
  CREATE INDEX approvals_pending ON approvals (approval) WHERE resolved IS NULL;
  CREATE INDEX approvals_granted ON approvals (session, tool) WHERE is_grant = 1;
  `,
  // What users send ahead of a prompt, what they think of an answer, what turns have used, and what limits there are.
  `
  CREATE TABLE uploads (
    hash TEXT NOT NULL REFERENCES attachments (hash),
    owner_key TEXT NOT NULL,
    owner_user TEXT,
    at INTEGER NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX uploads_once ON uploads (hash, owner_key, coalesce(owner_user, ''));

  ALTER TABLE turns ADD COLUMN rating TEXT;
  ALTER TABLE turns ADD COLUMN rating_comment TEXT;

  -- One row an ended turn. It has no column "session": it stays when its session is deleted.
  CREATE TABLE turn_usage (
    turn TEXT PRIMARY KEY,
    agent TEXT NOT NULL,
    owner_key TEXT NOT NULL,
    owner_user TEXT,
    ended_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_creation_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cost_usd REAL NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX turn_usage_by_time ON turn_usage (ended_at);
  INSERT INTO turn_usage
    SELECT t.turn, s.agent, s.owner_key, s.owner_user, t.ended_at, t.state,
      CAST(coalesce(t.ending ->> '$.usage.input_tokens', 0) AS INTEGER),
      CAST(coalesce(t.ending ->> '$.usage.output_tokens', 0) AS INTEGER),
      CAST(coalesce(t.ending ->> '$.usage.cache_creation_input_tokens', 0) AS INTEGER),
      CAST(coalesce(t.ending ->> '$.usage.cache_read_input_tokens', 0) AS INTEGER),
      CAST(coalesce(t.ending ->> '$.cost_usd', 0) AS REAL)
    FROM turns t JOIN sessions s USING (session) WHERE t.ended_at IS NOT NULL;

  CREATE TABLE rate_limits (
    credential TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    resets_at INTEGER,
    using_overage INTEGER NOT NULL,
    api_key_source TEXT,
    at INTEGER NOT NULL,
    stops_turns INTEGER NOT NULL,
    PRIMARY KEY (credential, name)
  ) STRICT, WITHOUT ROWID;
  `,
  // Where in its session's log a turn left the queue, and turns in the order of the log: a transcript reads turn by turn.
  `
  ALTER TABLE turns ADD COLUMN started_seq INTEGER;
  CREATE INDEX turns_in_log ON turns (session, first_seq);
  `,
  `
  CREATE TABLE keys (
    name TEXT PRIMARY KEY,
    hash BLOB NOT NULL,
    scopes TEXT NOT NULL,
    agents TEXT,
    made_at INTEGER NOT NULL,
    revoked_at INTEGER
  ) STRICT;
  `,
  // What the CLI said in a turn beside its protocol.
  `
  CREATE TABLE diagnostics (
    turn TEXT PRIMARY KEY,
    session TEXT NOT NULL REFERENCES sessions (session),
    text TEXT NOT NULL
  ) STRICT;
  CREATE INDEX diagnostics_by_session ON diagnostics (session);
  `,
  // Agents that are made by API, the one session that an owner has with an agent by its name alone, and who paid for a turn.
  `
  CREATE TABLE agents (
    name TEXT PRIMARY KEY,
    settings TEXT NOT NULL,
    made_by TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE standing_sessions (
    agent TEXT NOT NULL,
    owner_key TEXT NOT NULL,
    owner_user TEXT NOT NULL,
    session TEXT NOT NULL REFERENCES sessions (session),
    PRIMARY KEY (agent, owner_key, owner_user)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX standing_sessions_by_session ON standing_sessions (session);

  ALTER TABLE turn_usage ADD COLUMN api_key_source TEXT;
  CREATE INDEX turn_usage_by_agent ON turn_usage (agent, state, ended_at);
  `,
  // Sums of turn_usage for each day of UTC: what is asked for grows with days and users then, not with turns; nothing looks for turns by
  // their time any more.
  `
  DROP INDEX turn_usage_by_time;
  CREATE TABLE usage_days (
    day TEXT NOT NULL,
    agent TEXT NOT NULL,
    owner_key TEXT NOT NULL,
    owner_user TEXT,
    api_key_source TEXT,
    turns INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_creation_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cost_usd REAL NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX usage_days_once
    ON usage_days (day, agent, owner_key, coalesce(owner_user, char(0)), coalesce(api_key_source, char(0)));
  INSERT INTO usage_days
    SELECT date(ended_at / 1000, 'unixepoch'), agent, owner_key, owner_user, api_key_source, count(*), sum(state = 'completed'),
      sum(state = 'failed'), sum(state = 'cancelled'), sum(input_tokens), sum(output_tokens), sum(cache_creation_tokens),
      sum(cache_read_tokens), sum(cost_usd)
    FROM turn_usage GROUP BY 1, 2, 3, 4, 5;
  CREATE TRIGGER turn_usage_counted AFTER INSERT ON turn_usage BEGIN
    INSERT INTO usage_days VALUES (date(new.ended_at / 1000, 'unixepoch'), new.agent, new.owner_key, new.owner_user, new.api_key_source, 1,
      new.state = 'completed', new.state = 'failed', new.state = 'cancelled', new.input_tokens, new.output_tokens,
      new.cache_creation_tokens, new.cache_read_tokens, new.cost_usd)
    ON CONFLICT (day, agent, owner_key, coalesce(owner_user, char(0)), coalesce(api_key_source, char(0))) DO UPDATE SET
      turns = turns + 1, completed = completed + excluded.completed, failed = failed + excluded.failed,
      cancelled = cancelled + excluded.cancelled, input_tokens = input_tokens + excluded.input_tokens,
      output_tokens = output_tokens + excluded.output_tokens,
      cache_creation_tokens = cache_creation_tokens + excluded.cache_creation_tokens,
      cache_read_tokens = cache_read_tokens + excluded.cache_read_tokens, cost_usd = cost_usd + excluded.cost_usd;
  END;
  `,
  // Users whose tokens were ended.
  `
  CREATE TABLE revoked_users (
    key TEXT NOT NULL,
    user TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (key, user)
  ) STRICT, WITHOUT ROWID;
  `,
  // The words of each turn under a mark of its owner, and under one of its owner's key: a search reads those of its caller alone. Up to the
  // row `upto` there may be turns whose words are not marked yet: that is done while the gateway runs. They are plain ASCII letters and digits,
  // or beyond ASCII, where this tokenizer takes everything for part of a word: none loses its mark.
  `
  CREATE TABLE word_scopes (
    id INTEGER PRIMARY KEY,
    scope TEXT NOT NULL UNIQUE
  ) STRICT;
  CREATE VIRTUAL TABLE marked_words USING fts5 (words, content = '', contentless_delete = 1, tokenize = 'ascii');
  CREATE TABLE unmarked_words (upto INTEGER NOT NULL) STRICT;
  INSERT INTO unmarked_words SELECT coalesce(max(rowid), 0) FROM turns;
  `,
  // For which agents something was sent ahead.
  `
  ALTER TABLE uploads ADD COLUMN agents TEXT;
  DROP INDEX uploads_once;
  CREATE UNIQUE INDEX uploads_once ON uploads (hash, owner_key, coalesce(owner_user, ''), coalesce(agents, ''));
  `,
];
