// A private git repository over HTTP, for whoever has its token: git's older protocol, which any server of files can speak.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join, normalize } from "node:path";
import { copyRepository, personal } from "./git-scene.ts";

export interface GitServer {
  /** Without a path. */
  readonly origin: string;
  /** What each request that was let in had as user and password. */
  readonly credentials: Set<string>;
  close(): void;
}

/** Serves a repository with one commit, `first`, as `/team/private.git`. */
export async function openGitServer(folder: string, token: string): Promise<GitServer> {
  const work = join(folder, "to-be-served");
  const bare = join(folder, "served/team/private.git");
  copyRepository(work);
  execFileSync("git", ["clone", "--quiet", "--bare", work, bare], { env: personal });
  execFileSync("git", ["update-server-info"], { cwd: bare, env: personal });
  const credentials = new Set<string>();
  const server = createServer((request, reply) => {
    const given = Buffer.from(request.headers.authorization?.replace("Basic ", "") ?? "", "base64").toString();
    if (!given.endsWith(`:${token}`)) {
      reply.writeHead(401, { "www-authenticate": 'Basic realm="team"' }).end();
      return;
    }
    credentials.add(given);
    try {
      const { pathname } = new URL(request.url!, "http://served");
      reply.end(readFileSync(join(folder, "served", normalize(pathname))));
    } catch {
      // git asks for files that a repository may well not have.
      reply.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { origin: `http://127.0.0.1:${port}`, credentials, close: () => void server.close() };
}
