// What an operator's machine has besides the gateway: a home, folders of other services, programs that listen, a repository. Each has a secret.
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { personal } from "../git-scene.ts";
import type { Secrets } from "./secrets.ts";

export interface Planted {
  /** The operator's home. Its `bin` is the first folder of the gateway's PATH. */
  readonly home: string;
  /** Of another service. */
  readonly srv: string;
  /** A repository, with a file that is not in it. */
  readonly project: string;
  /** A workspace with programs that have more rights than the user who starts them, and with a link that leads out of it. */
  readonly placed: string;
  /** Of a program of the operator's. */
  readonly bystanderFolder: string;
  /** A listening program's socket. */
  readonly socket: string;
  /** A port of loopback on which one listens. */
  readonly port: number;
  /** The same for UDP. */
  readonly packetPort: number;
  close(): Promise<void>;
}

export async function plant(folder: string, id: string, secrets: Secrets): Promise<Planted> {
  const [home, srv, project, placed, bystanderFolder] = ["home", "srv", "project", "placed", "bystander"].map((name) =>
    join(folder, name),
  ) as [string, string, string, string, string];
  mkdirSync(bystanderFolder);
  plantHome(home, secrets);
  plantService(srv, secrets);
  plantProject(project, secrets);
  plantWorkspace(placed, srv, secrets);
  write(`/var/tmp/${id}.txt`, secrets["var-tmp"]);
  const socket = join(folder, "run", "daemon.sock");
  const daemon = await listen(secrets.daemon, socket);
  chmodSync(socket, 0o777);
  const loopback = await listen(secrets.loopback);
  const packets = await answerPackets(secrets.packets);
  return {
    home,
    srv,
    project,
    placed,
    bystanderFolder,
    socket,
    port: (loopback.address() as AddressInfo).port,
    packetPort: packets.address().port,
    async close() {
      packets.close();
      await Promise.all([daemon, loopback].map((server) => once(server.close(), "close")));
    },
  };
}

function plantHome(home: string, secrets: Secrets): void {
  const login = {
    claudeAiOauth: {
      accessToken: secrets.login,
      refreshToken: secrets.login,
      expiresAt: Date.now() + 86_400_000,
      scopes: ["user:inference", "user:profile"],
      subscriptionType: "max",
    },
  };
  write(join(home, ".ssh/id_ed25519"), secrets.ssh, 0o600);
  write(join(home, ".claude/.credentials.json"), JSON.stringify(login), 0o600);
  write(join(home, ".claude/CLAUDE.md"), "Be kind.");
  const said = { type: "user", message: { role: "user", content: secrets["own-conversation"] } };
  write(join(home, ".claude/projects/-home-operator/11111111-1111-4111-8111-111111111111.jsonl"), JSON.stringify(said));
  write(join(home, ".bashrc"), `export DEPLOY_KEY=${secrets.bashrc}`);
  mkdirSync(join(home, "bin"));
}

function plantService(srv: string, secrets: Secrets): void {
  write(join(srv, "app/.env"), secrets.srv);
  write(join(srv, "app/deep/er/config.ini"), secrets["srv-search"]);
  mkdirSync(join(srv, "mounted"));
  const cell = {
    cell_type: "code",
    id: "one",
    source: [secrets.notebook],
    metadata: {},
    outputs: [],
    execution_count: null,
  };
  write(join(srv, "app/model.ipynb"), JSON.stringify({ cells: [cell], metadata: {}, nbformat: 4, nbformat_minor: 5 }));
}

function plantProject(project: string, secrets: Secrets): void {
  write(join(project, "README.md"), "A project.");
  write(join(project, ".gitignore"), ".env\n");
  const git = (...args: string[]) => execFileSync("git", args, { cwd: project, env: personal });
  git("init", "--quiet", "--initial-branch=main");
  git("add", ".");
  git("commit", "--quiet", "--message=First");
  write(join(project, ".env"), secrets.checkout);
}

function plantWorkspace(placed: string, srv: string, secrets: Secrets): void {
  write(join(placed, "README.md"), "A folder.");
  write(join(placed, ".locked"), secrets.locked);
  symlinkSync(srv, join(placed, "link"));
  for (const name of ["cat-of-root", "capable-cat"]) cpSync("/bin/cat", join(placed, name), { dereference: true });
}

/** Lets two programs of the folder do more than the user who starts them, and makes a file that only they can read. For root; after every `chown`. */
export function raiseRights(placed: string): void {
  chmodSync(join(placed, ".locked"), 0o600);
  chmodSync(join(placed, "cat-of-root"), 0o4755);
  // CAP_DAC_READ_SEARCH, permitted and effective.
  const setCapability = `import os, struct, sys
os.setxattr(sys.argv[1], "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 2, 0, 0, 0))`;
  execFileSync("python3", ["-c", setCapability, join(placed, "capable-cat")]);
}

/** Writes a file with its folders. */
function write(path: string, text: string, mode = 0o644): void {
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, `${text}\n`, { mode });
}

/** Tells its secret to everyone who connects. */
async function listen(secret: string, path?: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    // Unread data would keep it open.
    socket.resume().end(secret);
  });
  if (path === undefined) server.listen(0, "127.0.0.1");
  else server.listen(path);
  await once(server, "listening");
  return server;
}

async function answerPackets(secret: string): Promise<Socket> {
  const socket = createSocket("udp4");
  socket.on("message", (_, { port, address }) => socket.send(secret, port, address));
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return socket;
}
