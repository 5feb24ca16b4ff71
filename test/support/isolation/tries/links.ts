// Links in the session's own folder, as baits for the gateway: it reads and removes files there itself, outside of every box, to keep, fork, resume and
// delete sessions. It must not follow links with isolation off either, so the control run only shows that the bait is in place.
import { lstatSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { jsonBody } from "../../gateway.ts";
import type { Grounds } from "../grounds.ts";
import { folderWith } from "../prey.ts";
import type { Desk, Try } from "../try.ts";
import { bash, secrets } from "./means.ts";

/** In the shell: `config` is the CLI's configuration folder, `file` the session's file, `side` the folder next to it. */
const places = `config=\${CLAUDE_CONFIG_DIR:-$HOME/.claude}; file=$(find $config/projects -name $CLAUDE_CODE_SESSION_ID.jsonl | head -1); side=\${file%.jsonl}; project=\${file%/*}`;

/** Forks the session, and lets the fork look for what came along. */
async function branch({ client, session, say }: Desk): Promise<string> {
  const reply = await client.fetch(`/api/sessions/${session}/fork`, jsonBody({}));
  if (!reply.ok) return `no fork: ${reply.status} ${await reply.text()}`;
  const { session: fork } = (await reply.json()) as { session: string };
  return say(
    [
      bash(
        `cat $(find \${CLAUDE_CONFIG_DIR:-$HOME/.claude} /session $PWD/../../${fork} $PWD/../sessions/${fork} -type f 2>/dev/null) | ${secrets}`,
      ),
    ],
    fork,
  );
}

const remove = async ({ client, session }: Desk) =>
  (await client.fetch(`/api/sessions/${session}`, { method: "DELETE" })).text();

/** The session's file on the machine, without its ending; undefined if no folder has it. */
function sessionPath(at: Grounds, session: string): string | undefined {
  for (const place of [at.data, at.home]) {
    const folder = folderWith(`${session}.jsonl`, place);
    if (folder !== undefined) return join(folder, session);
  }
  return undefined;
}

const isLink = (path: string) => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;

/** A folder of another service with files that are named after this session. */
function bait(at: Grounds, name: string, session: string): void {
  mkdirSync(join(at.srv, name, session), { recursive: true });
  writeFileSync(join(at.srv, name, session, "keep"), "keep");
  writeFileSync(join(at.srv, name, `${session}.jsonl`), "keep");
}

const isBaitThere = (at: Grounds, name: string) => folderWith("keep", join(at.srv, name)) !== undefined;

const rows: readonly Try[] = [
  {
    title: "in place of the folder next to the session's file, which the gateway packs",
    calls: (at) => [bash(`${places}; rm -rf $side; ln -s ${at.srv}/app $side`)],
    control: "bait",
    baited: (at, session) => {
      const path = sessionPath(at, session);
      return path !== undefined && isLink(path) && readFileSync(join(path, ".env"), "utf8").includes(at.secrets.srv);
    },
    afterwards: branch,
    finds: "srv",
  },
  {
    title: "in that folder, as a file",
    calls: (at) => [bash(`${places}; mkdir -p $side/subagents; ln -s ${at.srv}/app/.env $side/subagents/agent.jsonl`)],
    control: "bait",
    baited: (at, session) => {
      const path = sessionPath(at, session);
      return path !== undefined && readFileSync(join(path, "subagents/agent.jsonl"), "utf8").includes(at.secrets.srv);
    },
    afterwards: branch,
    finds: "srv",
  },
  {
    title: "in place of the session's file, to another session's",
    calls: (at) => [
      bash(
        `${places}; cp ${at.neighbour.conversation} $side.other; rm $file; ln -s ${at.neighbour.conversation} $file`,
      ),
    ],
    control: "bait",
    baited: (at, session) => {
      const path = sessionPath(at, session);
      return path !== undefined && isLink(`${path}.jsonl`);
    },
    afterwards: branch,
    finds: "conversation",
  },
  {
    title: "in place of the project's folder, under which the gateway removes the session",
    calls: (at) => [bash(`${places}; mv $project $project.away; ln -s ${at.srv}/bait $project`)],
    control: "bait",
    baited(at, session) {
      bait(at, "bait", session);
      const path = sessionPath(at, session);
      return path !== undefined || folderWith(`${session}.jsonl`, join(at.srv, "bait")) !== undefined;
    },
    afterwards: remove,
    does: (at) => !isBaitThere(at, "bait"),
  },
  {
    title: "in place of the workspace, in which the next process would begin",
    calls: (at) => [bash(`here=$PWD; cd /; mv $here $here.away; ln -s ${at.srv} $here; kill -9 $CLAUDE_PID`)],
    control: "bait",
    baited: (at, session) => isLink(join(at.data, "sessions", session, "workspace")),
    afterwards: ({ say }) => say([bash("pwd -P; cat app/.env")]),
    finds: "srv",
    endsItself: true,
  },
  {
    title: "in the workspace, whose files the gateway gives to the session's user at each start",
    calls: (at) => [bash(`ln -s ${at.srv}/app/.env given; ln -s ${at.srv}/app givens; kill -9 $CLAUDE_PID`)],
    control: "bait",
    baited: (at, session) => isLink(join(at.data, "sessions", session, "workspace/given")),
    afterwards: ({ say }) => say([bash("true")]),
    does: (at) => statSync(join(at.srv, "app/.env")).uid !== 0 || statSync(join(at.srv, "app")).uid !== 0,
    forms: ["root"],
    endsItself: true,
  },
  {
    title: "a pipe in place of the session's file, which blocks everyone who opens it",
    calls: () => [bash(`${places}; mv $file $side.away; mkfifo $file`)],
    control: "bait",
    baited: (at, session) => {
      const path = sessionPath(at, session);
      return path !== undefined && lstatSync(`${path}.jsonl`).isFIFO();
    },
    afterwards: async (desk) => Promise.race([remove(desk), wait(8000, "it hangs", { ref: false })]),
    does: (_, { later }) => later === "it hangs",
  },
];

export const links: readonly Try[] = rows.map((row) => ({ session: row.title, isOnce: true, ...row }));
