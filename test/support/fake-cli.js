// A CLI that misbehaves as a script tells it: for what the real one cannot be made to do. Plain JavaScript, so that it starts
// fast. The script: `on <occasion>` opens a section, each further line is a step (`steps` below), `#` a comment. Occasions:
// `start`, `initialize`, `user` (or `user 2` for the second prompt alone), `interrupt`, `response` (an answer of the gateway to a
// request of ours), `end` (of stdin). What a script does not name happens as with the real CLI.
import { spawn, spawnSync } from "node:child_process";
import { closeSync, readFileSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { isatty } from "node:tty";
import { setTimeout as wait } from "node:timers/promises";

const usual = `
on initialize
account
on interrupt
interrupted
on end
exit 0
`;

const sections = { ...readScript(usual), ...readScript(readFileSync(process.argv[2], "utf8")) };
const message = "msg_fake";
let prompts = 0;
let messages = 0;
let turn = "";
/** The newest line that the gateway wrote. */
let heard = { text: "", value: {} };
let playing = Promise.resolve();

const steps = {
  /** Answers `initialize`. */
  account: () => answer({ account: { tokenSource: "CLAUDE_CODE_OAUTH_TOKEN", apiProvider: "firstParty" } }),
  /** Begins a turn; `init named` names its prompt, as 2.1.330 does for turns that a prompt began. */
  init(how) {
    const named = how === "named" ? { user_message_uuids: [turn] } : {};
    json({ type: "system", subtype: "init", session_id: "s", model: "fake", tools: [], ...named });
  },
  lifecycle: (state) => json({ type: "command_lifecycle", command_uuid: turn, state }),
  /** Opens a message and its text block. */
  open() {
    stream({ type: "message_start", message: { id: message, model: "fake" } });
    stream({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } });
  },
  delta: (text) => stream({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } }),
  /** A whole message at once. */
  text: (text) =>
    json({ type: "assistant", message: { id: `${message}_${messages++}`, content: [{ type: "text", text }] } }),
  /** A delta of so many bytes, numbered so that a lost one shows. */
  numbered: (bytes) => steps.delta(numbered(Number(bytes))),
  result: (text) => json({ type: "result", subtype: "success", is_error: false, result: text, num_turns: 1 }),
  interrupted() {
    answer({});
    json({ type: "result", subtype: "error_during_execution", terminal_reason: "aborted_streaming" });
  },
  /** Answers the control request with nothing in it. */
  answered: () => answer({}),
  /** Refuses the control request. */
  refused() {
    const { request_id } = heard.value;
    json({ type: "control_response", response: { subtype: "error", request_id, error: "no" } });
  },
  /** A delta, and then a pause of so many milliseconds. */
  async dots(ms) {
    steps.delta(".");
    await wait(Number(ms));
  },
  /** A line that is no message, and then a pause of so many milliseconds. */
  async babble(ms) {
    write("still here\n");
    await wait(Number(ms));
  },
  /** Says the newest line that the gateway wrote. */
  echo: () => steps.text(heard.text),
  /** Says what stdin and stdout are. */
  terminals: () => steps.text(`stdin ${isatty(0)}, stdout ${isatty(1)}`),
  /** One line of JSON; `$TURN` stands for the newest prompt's id. */
  json: (text) => write(`${text.replaceAll("$TURN", turn)}\n`),
  /** Anything, as a JSON string: no line end is added. */
  raw: (text) => write(JSON.parse(text)),
  /** Bytes in hex. */
  hex: (text) => write(Buffer.from(text, "hex")),
  /** So many bytes of one line that does not end. */
  endless: (bytes) => write("x".repeat(Number(bytes))),
  stderr: (bytes) => writeAll(2, Buffer.from(`${"e".repeat(Number(bytes) - 5)}tail\n`)),
  /** A step so many times. */
  async times(rest) {
    const [count, ...step] = rest.split(" ");
    for (let i = 0; i < Number(count); i++) await play([step.join(" ")]);
  },
  wait: (ms) => wait(Number(ms)),
  exit: (code) => process.exit(Number(code)),
  /** Ends (or stops) by a real signal. */
  async kill(signal) {
    process.kill(process.pid, signal);
    await wait(1000);
  },
  ignore: (signal) => void process.on(signal, () => {}),
  /** Reads nothing any more. */
  deaf: () => void process.stdin.pause(),
  mute: () => closeSync(1),
  /** A child in a session of its own. */
  setsid: () => began(spawn("sleep", ["600"], { detached: true, stdio: "inherit" }).pid),
  /** A grandchild in a session of its own whose parent is gone. */
  "double-fork": () =>
    began(
      spawnSync("sh", ["-c", "setsid sleep 600 >/dev/tty & echo $!"], { stdio: ["ignore", "pipe", "ignore"] }).stdout,
    ),
  /** A child in a session of its own that has shed its environment. */
  anonymous: () => began(spawn("env", ["-i", "/bin/sleep", "600"], { detached: true, stdio: "inherit" }).pid),
};

// It lives until it is told to end, whatever becomes of stdin.
setInterval(() => {}, 60_000);
act("start");
createInterface({ input: process.stdin })
  .on("line", (line) => {
    heard = { text: line, value: JSON.parse(line) };
    act(occasionOf(heard.value));
  })
  .on("close", () => act("end"));

function occasionOf({ type, request, uuid }) {
  if (type === "control_request") return request.subtype;
  if (type === "control_response") return "response";
  turn = uuid;
  prompts += 1;
  return `user ${prompts}` in sections ? `user ${prompts}` : "user";
}

function act(occasion) {
  const lines = sections[occasion] ?? [];
  const now = heard;
  playing = playing.then(() => {
    heard = now;
    return play(lines);
  });
}

async function play(lines) {
  for (const line of lines) {
    const [, name, rest] = /^(\S+) ?(.*)$/s.exec(line);
    await steps[name](rest);
  }
}

function readScript(text) {
  const read = {};
  let section;
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const occasion = /^on (.+)$/.exec(line)?.[1];
    if (occasion) section = read[occasion] = [];
    else section.push(line);
  }
  return read;
}

/** Says the id of a process that it started. */
function began(pid) {
  steps.text(`pid ${String(pid).trim()}`);
}

function answer(response) {
  const { request_id } = heard.value;
  json({ type: "control_response", response: { subtype: "success", request_id, response } });
}

function stream(event) {
  json({ type: "stream_event", event, parent_tool_use_id: null });
}

function json(value) {
  write(`${JSON.stringify(value)}\n`);
}

function write(content) {
  writeAll(1, Buffer.from(content));
}

function writeAll(fd, bytes) {
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      // The other end reads slower than this writes.
      if (error.code !== "EAGAIN") throw error;
    }
  }
}

function numbered(bytes) {
  let text = "";
  for (let i = 0; text.length < bytes; i++) text += `${i} `;
  return text.slice(0, bytes);
}
