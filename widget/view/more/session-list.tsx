// Past conversations: found, renamed, gone on with. A chunk of its own.
import { useEffect, useRef, useState } from "preact/hooks";
import type { SessionSummary } from "../../chat.ts";
import { IconButton } from "../buttons.tsx";
import { isComposing, isTouch } from "../keyboards.ts";
import { icons } from "../icon.tsx";
import { useScene, useWords } from "../scene.ts";

const typingMs = 250;

export function SessionList() {
  const { overlay, composer, polite } = useScene();
  const say = useWords();
  const [query, setQuery] = useState("");
  const { sessions, next, isLoading, hasFailed, more, rename } = useSessions(query);
  const search = useRef<HTMLInputElement>(null);
  const isNone = !isLoading && !hasFailed && sessions.length === 0;
  useEffect(() => void (isNone && (polite.value = say("no_sessions"))), [isNone]);
  /** By touch an on-screen keyboard would come up, over what is there to read. */
  const focus = (field: HTMLElement | null) => isTouch() || field?.focus();
  useEffect(() => void focus(search.current), []);
  const leave = () => {
    overlay.value = null;
    focus(composer.current);
  };
  return (
    <div
      class="sessions"
      part="sessions"
      role="group"
      aria-label={say("sessions")}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || event.defaultPrevented || isComposing(event)) return;
        event.preventDefault();
        leave();
      }}
    >
      <input
        type="search"
        class="field"
        dir="auto"
        maxLength={500}
        aria-label={say("search_sessions")}
        placeholder={say("search_sessions")}
        value={query}
        ref={search}
        onInput={({ currentTarget }) => setQuery(currentTarget.value)}
      />
      {isNone && <p class="notice">{say("no_sessions")}</p>}
      <ul>
        {sessions.map((session) => (
          <Row key={session.session} session={session} onChosen={leave} onRename={rename} />
        ))}
      </ul>
      {isLoading && next === null && <p class="notice">{say("loading")}</p>}
      {next !== null && (
        <button type="button" class="link" aria-disabled={isLoading} onClick={() => isLoading || more()}>
          {say(isLoading ? "loading" : "more")}
        </button>
      )}
    </div>
  );
}

interface RowProps {
  readonly session: SessionSummary;
  readonly onChosen: () => void;
  readonly onRename: (session: string, title: string) => void;
}

function Row({ session: { session, title, state, updatedAt }, onChosen, onRename }: RowProps) {
  const { chat } = useScene();
  const say = useWords();
  const [name, setName] = useState<string | null>(null);
  const row = useRef<HTMLLIElement>(null);
  const isNamed = name !== null;
  const wasNamed = useRef(false);
  useEffect(() => {
    if (isNamed) row.current?.querySelector("input")?.focus();
    else if (wasNamed.current) row.current?.querySelector<HTMLElement>(".icon-button")?.focus();
    wasNamed.current = isNamed;
  }, [isNamed]);
  const isCurrent = chat.session.value === session;
  const shown = title ?? say("untitled");
  const save = (event: Event) => {
    event.preventDefault();
    if (name?.trim()) onRename(session, name.trim());
    setName(null);
  };
  if (name !== null)
    return (
      <li ref={row}>
        <form
          class="row"
          onSubmit={save}
          onKeyDown={(event) => {
            if (event.key !== "Escape" || isComposing(event)) return;
            event.preventDefault();
            setName(null);
          }}
        >
          <input
            class="field"
            dir="auto"
            maxLength={200}
            aria-label={say("rename")}
            value={name}
            onInput={({ currentTarget }) => setName(currentTarget.value)}
          />
          <button class="button primary">{say("save")}</button>
        </form>
      </li>
    );
  return (
    <li ref={row}>
      <button
        type="button"
        class="session"
        aria-current={isCurrent}
        onClick={() => {
          onChosen();
          if (!isCurrent) void chat.openSession(session);
        }}
      >
        <span class="session-title" dir="auto">
          {shown}
        </span>
        <span class="muted">
          {say.time(updatedAt)}
          {(state === "running" || state === "queued") && ` · ${say("working")}`}
          {state === "waiting" && ` · ${say("tool_waiting")}`}
        </span>
      </button>
      <IconButton icon={icons.edit} label={`${say("rename")}: ${shown}`} onClick={() => setName(shown)} />
    </li>
  );
}

function useSessions(query: string) {
  const { chat } = useScene();
  const [sessions, setSessions] = useState<readonly SessionSummary[]>([]);
  const [next, setNext] = useState<string | null>(null);
  const [isLoading, setLoading] = useState(true);
  const [hasFailed, setFailed] = useState(false);
  const newest = useRef(0);
  const load = async (cursor?: string) => {
    const mine = ++newest.current;
    setLoading(true);
    setFailed(false);
    try {
      const page = await chat.listSessions(query.trim(), cursor);
      // A slow answer to what was asked before says nothing about what is asked now.
      if (mine !== newest.current) return;
      setSessions((known) => (cursor === undefined ? page.sessions : [...known, ...page.sessions]));
      setNext(page.next);
    } catch {
      // The chat shows what went wrong.
      setFailed(mine === newest.current);
    }
    if (mine === newest.current) setLoading(false);
  };
  useEffect(() => {
    const timer = setTimeout(() => void load(), query === "" ? 0 : typingMs);
    return () => clearTimeout(timer);
  }, [query]);
  const rename = (session: string, title: string) => {
    const renamed = () =>
      setSessions((known) => known.map((one) => (one.session === session ? { ...one, title } : one)));
    void chat.renameSession(session, title).then(renamed, () => {});
  };
  return { sessions, next, isLoading, hasFailed, rename, more: () => void load(next ?? undefined) };
}
