// The command line.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pino } from "pino";
import { z } from "zod";
import { checkOptions, readArguments, usage, type Values } from "./arguments.ts";
import { ask, howToLogIn } from "./ask.ts";
import { installCommand } from "./claude/locate.ts";
import { configFile, isLoopback, readConfig, type Config } from "./config.ts";
import { readHolder } from "./data-folder.ts";
import { startDemoModel, type DemoModel } from "./demo/model.ts";
import { escapedLine, loggedError } from "./error-log.ts";
import { doctor } from "./doctor.ts";
import { onEndSignal } from "./end-signal.ts";
import { helpOf } from "./help.ts";
import { keyCommand, tokenCommand } from "./key-command.ts";
import { keyFile, readSelfMadeKey } from "./keys.ts";
import { isAnswering } from "./listen.ts";
import type { Caller } from "./protocol/callers.ts";
import { SetupError } from "./protocol/errors.ts";
import { prompt as promptSchema } from "./protocol/prompt.ts";
import { startGateway, type Gateway } from "./serve.ts";

/** Beside gateway/ in a checkout, beside dist/ in the published package. */
const manifest = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")));

/** The demo's words come at a pace that can be read. */
const demoDelayMs = 15;
const demoCaller: Caller = { key: "demo", user: null, reach: "all" };

/** What a bug outside of any request ends with; whatever it left is seen to at the next start. */
const crashCode = 70;

/** Characters of the log that wait for room where it goes; what comes beyond them is lost. */
const maxUnwrittenLog = 256 * 1024;

/** Runs one command line; resolves with the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    return await runCommand(args);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`sluice: ${error.message}\n        ${error.mend}`);
    return error.fault === "config_invalid" ? 2 : 1;
  }
}

async function runCommand(args: readonly string[]): Promise<number> {
  const { values, positionals } = readArguments(args);
  if (values.version) return say(manifest.version);
  const [command, ...rest] = positionals;
  if (values.help || command === undefined || command === "help")
    return say(helpOf(command === "help" ? rest[0] : command));
  checkOptions(command === "demo" && rest[0] !== undefined ? rest[0] : command, values);
  switch (command) {
    case "serve":
      noMore("serve", rest);
      return serve(readConfig());
    case "ask":
      return askOnce(readConfig(), rest, values);
    case "demo":
      return demo(rest, values);
    case "doctor":
      noMore("doctor", rest);
      return doctor(readConfig(), console.log, values.agent);
    case "key":
      return keyCommand(readConfig(), rest, values, console.log);
    case "token":
      noMore("token", rest);
      return tokenCommand(readConfig(), values, console.log);
    case "schema":
      noMore("schema", rest);
      return say(JSON.stringify(z.toJSONSchema(configFile, { io: "input" }), null, 2));
    default:
      throw usage(`"${command}" is no command`);
  }
}

/** Runs a gateway until a signal ends it. */
async function serve(config: Config, openCaller?: Caller): Promise<number> {
  // Heard from the beginning: whoever reads the listening line may send a signal at once.
  const isToEnd = new Promise<void>((resolve) => void onEndSignal(resolve));
  const gateway = await start(config, config.logLevel, openCaller);
  console.log(`listening on ${gateway.address}`);
  if (process.stdout.isTTY) console.log(openCaller ? demoHint(gateway.address) : keyHint(config, gateway));
  // Not sooner: it takes the CLI longer than all the rest.
  void gateway.checkLogin().then((login) => {
    if (login === "not_logged_in" && process.stdout.isTTY) console.log(` The CLI is not logged in. ${howToLogIn}\n`);
  });
  await isToEnd;
  // What a second signal leaves is swept at the next start.
  if (process.stdout.isTTY)
    console.log(`ending: running turns get up to ${config.limits.shutdown_grace_s} s; Ctrl-C again ends at once`);
  await gateway.close();
  return 0;
}

function start(config: Config, level: string, openCaller: Caller | undefined): Promise<Gateway> {
  const serializers = { err: (error: unknown) => loggedError(error) };
  const logger = pino({ level, serializers, hooks: { streamWrite: escapedLine } }, logDestination());
  // [A7] Node's own words for a crash would quote the error. A process that is in an unknown state must not go on.
  process.once("uncaughtException", (error) => {
    logger.fatal({ err: error }, "crash");
    process.exit(crashCode);
  });
  return startGateway(config, { logger, version: manifest.version, ...(openCaller ? { openCaller } : {}) });
}

/** What cannot be written, to a full disk or a terminal that was closed, fails nothing that is logged; it is tried again with the next line. */
function logDestination() {
  return pino.destination({ dest: 2, sync: true, maxLength: maxUnwrittenLog }).on("error", () => {});
}

function keyHint({ keys, dataFolder }: Config, { signInUrl }: Gateway): string {
  const key = keys.length > 0 ? "<a secret of SLUICE_KEYS>" : `$(cat ${keyFile(dataFolder)})`;
  return `\nTry: npx sluice ask "hello"\n or with curl and -H "authorization: Bearer ${key}", see the README.\n Sign a browser in, once, and chat: ${signInUrl}\n`;
}

function demoHint(address: string): string {
  const curl = `curl -N ${address}/api/turns -H 'content-type: application/json' -d '{"prompt":"hello"}'`;
  return `\nThe demo model answers: no account is used. Chat at ${address}/ or try, in another terminal:\n\n  ${curl} -H 'accept: text/plain'\n  ${curl} -H 'accept: text/event-stream'\n  npx sluice demo ask "show me a table"\n`;
}

async function askOnce(config: Config, words: readonly string[], values: Values, openCaller?: Caller): Promise<number> {
  const prompt = words.join(" ");
  const parsed = promptSchema.safeParse(prompt);
  if (!parsed.success) throw usage(`the prompt ${parsed.error.issues[0]?.message ?? "is wrong"}: npx sluice ask "…"`);
  const { session, agent, timing = false } = values;
  if (session !== undefined && !z.uuid().safeParse(session).success)
    throw usage(`--session must be a UUID, not "${session}"`);
  const running = readHolder(config.dataFolder)?.address;
  const isThere = running !== undefined && (await isAnswering(running));
  const own = isThere ? undefined : await start({ ...config, host: "127.0.0.1", port: 0 }, "warn", openCaller);
  const key = openCaller ? undefined : (config.keys[0]?.secret ?? readSelfMadeKey(config.dataFolder));
  try {
    return await ask({
      address: own?.address ?? running!,
      key,
      prompt,
      session,
      agent,
      timing,
      print: (text) => process.stdout.write(shownOn(process.stdout, text)),
      printAside: (text) => process.stderr.write(`${shownOn(process.stderr, text)}\n`),
      unread: whenUnread(),
    });
  } finally {
    await own?.close(0);
  }
}

/**
 * A terminal obeys control characters: a model's words must not reach its clipboard, its title or what is there already. By those for the
 * direction of writing they would be read in another order.
 */
function shownOn({ isTTY }: { isTTY?: boolean }, text: string): string {
  return isTTY ? text.replaceAll(/[^\P{Cc}\n\t]|\p{Bidi_Control}/gu, "") : text;
}

/** When nobody reads stdout any more. Node would end the process for that, and all that it has started would be left. */
function whenUnread(): AbortSignal {
  const unread = new AbortController();
  process.stdout.on("error", () => unread.abort());
  // Without those words the answer is still one.
  process.stderr.on("error", () => {});
  return unread.signal;
}

/** The demo: the real CLI with the demo model as its API, a made-up credential, and a home of its own that ends with it. */
async function demo(words: readonly string[], values: Values): Promise<number> {
  const [command, ...rest] = words;
  if (command !== undefined && command !== "ask") throw usage(`demo takes nothing, or ask "…", not "${command}"`);
  const config = readConfig({ SLUICE_DATA: ".sluice-demo", ...process.env });
  if (!isLoopback(config.host))
    throw usage(`the demo has no key and listens on loopback alone, not on SLUICE_HOST ${config.host}`);
  const model = await startDemoModel({ delayMs: demoDelayMs });
  const home = mkdtempSync(join(tmpdir(), "sluice-demo-"));
  const demoConfig = { ...config, environment: demoEnvironment(config, model, home) };
  try {
    return await (command === "ask" ? askOnce(demoConfig, rest, values, demoCaller) : serve(demoConfig, demoCaller));
  } catch (error) {
    if (!(error instanceof SetupError) || error.fault !== "cli_missing") throw error;
    throw new SetupError(
      "cli_missing",
      error.message,
      `The demo runs the real CLI without any account: ${installCommand}`,
    );
  } finally {
    await model.close();
    rmSync(home, { recursive: true, force: true });
  }
}

function demoEnvironment(config: Config, model: DemoModel, home: string): Config["environment"] {
  return {
    ...config.environment,
    ANTHROPIC_BASE_URL: model.url,
    ANTHROPIC_API_KEY: undefined,
    ANTHROPIC_AUTH_TOKEN: undefined,
    CLAUDE_CODE_OAUTH_TOKEN: "made-up-for-the-demo",
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    CLAUDE_CONFIG_DIR: resolve(config.dataFolder, "claude"),
    HOME: home,
  };
}

function noMore(command: string, rest: readonly string[]): void {
  if (rest.length > 0) throw usage(`${command} takes no further words, not "${rest.join(" ")}"`);
}

function say(text: string): number {
  console.log(text);
  return 0;
}
