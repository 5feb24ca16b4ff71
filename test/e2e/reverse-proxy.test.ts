// The README's nginx in front of a gateway, with TLS and HTTP/2. Only its addresses and files are others.
import { execFile, execFileSync, spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { spawnGateway, type ChildGateway } from "../support/gateway.ts";
import { lacksCurl, lacksNginx } from "../support/programs.ts";
import { openScene, type Scene } from "../support/real-cli.ts";
import { until } from "../support/wait.ts";

const readme = readFileSync(resolve(import.meta.dirname, "../../README.md"), "utf8");
const sample = /<!-- run: nginx -->\s*```nginx\n([^]*?)```/.exec(readme)![1]!;

describe.skipIf(lacksNginx || lacksCurl)("behind the README's nginx", () => {
  let scene: Scene;
  let gateway: ChildGateway;
  let nginx: ChildProcess;
  let publicUrl: string;
  beforeAll(async () => {
    scene = await openScene();
    const port = await freePort();
    publicUrl = `https://gateway.example:${port}`;
    gateway = await spawnGateway(scene, {
      limits: { trusted_proxies: ["127.0.0.1"] },
      environment: { SLUICE_PUBLIC_URL: publicUrl },
    });
    nginx = startNginx(port);
    await until("nginx in front of the gateway", async () => (await call("/healthz").catch(() => "")).includes('"ok"'));
  });
  afterAll(async () => {
    nginx.kill();
    await gateway.kill("SIGKILL");
    await scene.close();
  });

  function startNginx(port: number): ChildProcess {
    const folder = join(scene.folder, "nginx");
    mkdirSync(folder);
    const [key, certificate] = ["gateway.key", "gateway.pem"].map((name) => join(folder, name)) as [string, string];
    const subject = ["-subj", "/CN=gateway.example", "-days", "1"];
    execFileSync(
      "openssl",
      ["req", "-x509", "-nodes", "-newkey", "rsa:2048", ...subject, "-keyout", key, "-out", certificate],
      {
        stdio: "pipe",
      },
    );
    const server = sample
      .replaceAll("/etc/ssl", folder)
      .replace("/var/log/nginx", folder)
      .replace("listen 443", `listen 127.0.0.1:${port}`)
      .replace("http://127.0.0.1:8787", gateway.address);
    const own = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
      (what) => `${what}_temp_path ${folder}/${what};`,
    );
    // Its worker reads what is this user's alone.
    const user = process.getuid?.() === 0 ? "user root;" : "";
    const main = `${user} daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log; events {}`;
    writeFileSync(join(folder, "nginx.conf"), `${main}\nhttp { ${own.join(" ")}\n${server} }`);
    return spawn("nginx", ["-c", join(folder, "nginx.conf"), "-e", join(folder, "error.log")], { stdio: "ignore" });
  }

  const curlArguments = (path: string, args: readonly string[]) => {
    const resolved = ["-sSk", "--resolve", `gateway.example:${new URL(publicUrl).port}:127.0.0.1`];
    return [...resolved, "-H", `authorization: ${gateway.headers["authorization"]}`, ...args, `${publicUrl}${path}`];
  };
  async function call(path: string, ...args: readonly string[]): Promise<string> {
    return (await promisify(execFile)("curl", curlArguments(path, args))).stdout;
  }
  const turn = (prompt: string) => ["-H", "content-type: application/json", "-d", JSON.stringify({ prompt })];

  test("replies carry the address that people have, and images of more than nginx's megabyte are taken", async () => {
    const reply = await call("/api/turns", ...turn("demo:text Hello"));
    expect(JSON.parse(reply)).toMatchObject({
      events_url: expect.stringContaining(`${publicUrl}/api/turns/`) as string,
    });
    const image = join(scene.folder, "image.gif");
    writeFileSync(image, Buffer.concat([Buffer.from("GIF89a"), Buffer.alloc(5_000_000)]));
    const sent = await call("/api/attachments", "-H", "content-type: image/gif", "--data-binary", `@${image}`);
    expect(JSON.parse(sent)).toMatchObject({ bytes: 5_000_006 });
  });

  test("[A3] a stream's ticket is not in the proxy's log", async () => {
    const { session } = JSON.parse(await call("/api/sessions", "-H", "content-type: application/json", "-d", "{}")) as {
      session: string;
    };
    const made = await call(`/api/sessions/${session}/ticket`, "-X", "POST");
    const { events_url, ticket } = JSON.parse(made) as { events_url: string; ticket: string };
    const { pathname, search } = new URL(events_url);
    await call(pathname + search, "-m", "1").catch(() => {});
    await until("the log's line", () =>
      readFileSync(join(scene.folder, "nginx/sluice.log"), "utf8").includes(pathname),
    );
    expect(readFileSync(join(scene.folder, "nginx/sluice.log"), "utf8")).not.toContain(ticket);
  });

  test("[S2] words come as they are said; a stream that the gateway cuts is no whole one to its reader", async () => {
    const args = ["-N", "--http2", "-H", "accept: text/plain", ...turn("demo:long words=2000 rate=20")];
    const reader = spawn("curl", curlArguments("/api/turns", args), { stdio: ["ignore", "pipe", "ignore"] });
    const code = new Promise((done) => reader.once("exit", done));
    let text = "";
    reader.stdout.on("data", (part: Buffer) => (text += part.toString()));
    await until("the first words", () => text.includes("word5 "));
    expect(text).not.toContain("word1000 ");
    await gateway.kill("SIGKILL");
    // 92: the stream of HTTP/2 was not closed cleanly; 18 by HTTP/1.1.
    expect([18, 92]).toContain(await code);
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}
