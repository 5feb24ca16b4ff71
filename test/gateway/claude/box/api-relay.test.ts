import { existsSync, statSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { openApiRelay, type ApiRelay } from "../../../../gateway/claude/box/api-relay.ts";
import { until } from "../../../support/wait.ts";

let relay: ApiRelay | undefined;
afterEach(() => relay?.close());

/** A server on loopback that does this with each connection. */
async function listen(
  onSocket: (socket: Socket) => void,
): Promise<{ server: Server; port: number; open: Set<Socket> }> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("error", () => {}).once("close", () => open.delete(socket));
    onSocket(socket);
    // Only who reads hears of an end.
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return { server, port: (server.address() as AddressInfo).port, open };
}

const shout = (socket: Socket) =>
  void socket.on("data", (chunk) => socket.write(chunk.toString().toUpperCase())).on("end", () => socket.end());

/** What comes back when this was said and the sender's side closed. */
async function ask(path: string, words: string): Promise<string> {
  const socket = connect(path);
  socket.on("error", () => {});
  socket.end(words);
  // Closed before it was heard, it is reset.
  return text(socket).catch(() => "");
}

test("[A9] it leads to the API's address and nowhere else, both ways, several at once, and each side's end is told", async () => {
  const { port } = await listen(shout);
  relay = await openApiRelay({ ANTHROPIC_BASE_URL: `http://127.0.0.1:${port}/v1` });
  const { path } = relay;
  expect(await Promise.all(["one", "two"].map((words) => ask(path, words)))).toEqual(["ONE", "TWO"]);
  // It reads no byte of what it carries: a request for another host goes to the same place.
  expect(await ask(path, "GET http://other.example/ HTTP/1.1")).toBe("GET HTTP://OTHER.EXAMPLE/ HTTP/1.1");
});

test("[A9] its folder is closed to other users, and is gone with it, as are its connections", async () => {
  const { port, open } = await listen(shout);
  relay = await openApiRelay({ ANTHROPIC_BASE_URL: `http://127.0.0.1:${port}` });
  const { path } = relay;
  expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
  const held = connect(path);
  held
    .on("error", () => {})
    .resume()
    .write("x");
  await until("the connection", () => open.size === 1);
  relay.close();
  await until("its end on both sides", () => held.destroyed && open.size === 0);
  expect(existsSync(dirname(path))).toBe(false);
});

test("an API that is not there, or goes, is a connection that ends", async () => {
  const { port } = await listen((socket) => socket.destroy());
  relay = await openApiRelay({ ANTHROPIC_BASE_URL: `http://127.0.0.1:${port}` });
  expect(await ask(relay.path, "x")).toBe("");
  relay.close();
  const { server, port: gone } = await listen(() => {});
  await new Promise((resolve) => server.close(resolve));
  relay = await openApiRelay({ ANTHROPIC_BASE_URL: `http://127.0.0.1:${gone}` });
  expect(await ask(relay.path, "x")).toBe("");
});

test("[A9] whoever goes away on one side takes the other along", async () => {
  const { port, open } = await listen(() => {});
  relay = await openApiRelay({ ANTHROPIC_BASE_URL: `http://127.0.0.1:${port}` });
  const inside = connect(relay.path);
  inside
    .on("error", () => {})
    .resume()
    .write("x");
  await until("the connection", () => open.size === 1);
  inside.destroy();
  expect(await until("its end", () => open.size === 0)).toBe(true);
});

test("[A9] a box that opens connections without end does not take the gateway's descriptors", async () => {
  const { port, open } = await listen(() => {});
  relay = await openApiRelay({ ANTHROPIC_BASE_URL: `http://127.0.0.1:${port}` });
  const { path } = relay;
  const all: Socket[] = [];
  onTestFinished(() => all.forEach((socket) => socket.destroy()));
  for (let count = 0; count < 1100; count++) {
    const socket = connect(path)
      .on("error", () => {})
      .resume();
    all.push(socket);
    await new Promise((resolve) => socket.once("connect", resolve).once("close", resolve));
  }
  await until("the refused ones", () => all.filter(({ destroyed }) => destroyed).length >= 100 && open.size > 900);
  expect(open.size).toBeLessThanOrEqual(1000);
});

describe("an https API", () => {
  const api = { ANTHROPIC_BASE_URL: "https://api.example" };

  /** A proxy that answers a CONNECT so, then shouts. */
  async function proxy(answer: string) {
    const heads: string[] = [];
    const { port } = await listen((socket) => {
      socket.once("data", (chunk) => {
        heads.push(chunk.toString());
        socket.write(answer);
        shout(socket);
      });
    });
    return { heads, url: `http://127.0.0.1:${port}` };
  }

  test("is reached by the proxy, whose answer is not passed on but for what follows it", async () => {
    const { heads, url } = await proxy("HTTP/1.1 200 Connection established\r\nX: y\r\n\r\nfirst ");
    relay = await openApiRelay({ ...api, HTTPS_PROXY: url });
    expect(await ask(relay.path, "hello")).toBe("first HELLO");
    expect(heads).toEqual(["CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:443\r\n\r\n"]);
  });

  test.each([
    ["refuses", "HTTP/1.1 403 Forbidden\r\n\r\n"],
    ["is none", "SSH-2.0-OpenSSH\r\n\r\n"],
    ["never comes to an end", "x".repeat(10_000)],
  ])("is not reached where the proxy %s: nothing of its answer comes in", async (_, answer) => {
    const { url } = await proxy(answer);
    relay = await openApiRelay({ ...api, HTTPS_PROXY: url });
    expect(await ask(relay.path, "hello")).toBe("");
  });

  test.each([
    ["api.example", true],
    [".example", true],
    ["*", true],
    ["other.example,*.example", true],
    ["other.example", false],
    ["", false],
  ])("with NO_PROXY=%j is reached without: %j", async (NO_PROXY, isDirect) => {
    const { heads, url } = await proxy("HTTP/1.1 200 OK\r\n\r\n");
    // A name that nobody has: the direct way ends at once.
    relay = await openApiRelay({ ANTHROPIC_BASE_URL: "https://api.example:1", HTTPS_PROXY: url, NO_PROXY });
    expect(await ask(relay.path, "x")).toBe(isDirect ? "" : "X");
    expect(heads.length).toBe(isDirect ? 0 : 1);
  });
});
