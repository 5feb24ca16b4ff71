// What `--help` prints: of the whole command line, and of the commands that have more to say.
import type { Scope } from "./protocol/scopes.ts";

/** The help of a command, or of all of them. */
export function helpOf(command: string | undefined): string {
  if (command === "key") return keyHelp;
  return command === "doctor" ? doctorHelp : help;
}

const help = `Sluice puts Claude Code behind plain HTTP.

  npx sluice serve               the gateway, with your own login; its key lies in <data>/key
  npx sluice demo                the gateway with the demo model: no login, no network, no key
  npx sluice ask "…"             one prompt, answered on the terminal: by the gateway that runs on the
                                 data folder, else by one of its own that ends with the answer
  npx sluice demo ask "…"        the same with the demo model
  npx sluice doctor              checks Node, the CLI and its login, boxes, the PTY, folders, database and port
  npx sluice key add NAME        makes a service key: see npx sluice key --help
  npx sluice key list | revoke NAME
  npx sluice token --link        a link that signs a browser in at the running gateway, once
  npx sluice token --user NAME   a browser token for one of your users
  npx sluice schema              the JSON Schema of sluice.config.json
  npx sluice --version

Options of ask:
  --session UUID  go on with this session      --agent NAME  ask this agent
  --timing        say when things happened

Environment (defaults in parentheses):
  SLUICE_HOST, SLUICE_PORT    where to listen (127.0.0.1, 8787; port 0 takes a free one)
  SLUICE_DATA                 the data folder (.sluice; the demo's is .sluice-demo)
  SLUICE_CONFIG               the configuration file (sluice.config.json, if it is there)
  SLUICE_CLAUDE               the claude CLI (on PATH, else the npm-installed one)
  SLUICE_KEYS                 service keys, name:secret, comma separated (one is made)
  SLUICE_PUBLIC_URL           the address that replies carry (the request's own)
  SLUICE_ALLOWED_HOSTS        further Host names to answer to (loopback, SLUICE_HOST)
  SLUICE_ALLOWED_ORIGINS      web pages that may call (none but the gateway's own)
  SLUICE_LOG                  trace, debug, info, warn, error or silent (info)
`;

const scopeHelp: Readonly<Record<Scope, string>> = {
  turns: "send prompts, read their streams, change and remove sessions",
  transcripts: "list sessions and read them whole",
  agents: "see agents; make, change and remove those that are not in the file",
  approvals: "see and answer tool calls that wait for a person",
  usage: "turns, tokens and cost",
  tokens: "make browser tokens for users, and sign-in links",
  manage_agents: "make agents, and change and remove those that this key has made",
  admin: "the sessions of all keys, and what the CLI wrote beside its protocol",
};

const keyHelp = `Service keys: for servers, scripts and people, never for browsers. They can be made and revoked while a gateway runs.

  npx sluice key add NAME [--scopes a,b] [--agents a,b]   shows the secret, once
  npx sluice key list
  npx sluice key revoke NAME

Scopes (without --scopes all but manage_agents and admin):
${Object.entries(scopeHelp)
  .map(([scope, text]) => `  ${scope.padEnd(15)}${text}`)
  .join("\n")}

Agents: those that the key may use (without --agents all).
`;

const doctorHelp = `Checks what Sluice needs, one line each, and says how to mend what is not as it should be. Ends with 1 if anything is not.

  npx sluice doctor
  npx sluice doctor --agent NAME   looks at the programs of this agent alone

  Node          24 or newer
  claude CLI    found, can be run, not too old
  login         what \`npx claude auth status\` says of the one that sessions have: that there is one, not that it is good
  PTY           a child gets a terminal
  git           only agents with a worktree need it
  data folder   can be written; its database is whole
  box           bubblewrap makes a box here, and it holds; if not, whether sessions run without
  workspaces    each agent's folder is there and can be read
  programs      what an agent's hooks and MCP servers name is there in its box, too
  address       SLUICE_HOST and SLUICE_PORT are free, or the gateway's own
`;
