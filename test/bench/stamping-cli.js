// A CLI whose deltas say when they were written: what lies between that and the reader is the gateway's. It speaks just enough of the
// protocol. The prompt is `<deltas> <milliseconds between them>`.
import { createInterface } from "node:readline";

if (process.argv.includes("--version")) {
  process.stdout.write("2.1.330 (Claude Code)\n");
  process.exit(0);
}

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const stream = (event) => say({ type: "stream_event", event, parent_tool_use_id: null });
const now = () => performance.timeOrigin + performance.now();

createInterface({ input: process.stdin }).on("line", (text) => {
  const line = JSON.parse(text);
  if (line.type === "control_request") {
    const response = { account: { tokenSource: "CLAUDE_CODE_OAUTH_TOKEN", apiProvider: "firstParty" } };
    say({ type: "control_response", response: { subtype: "success", request_id: line.request_id, response } });
  } else if (line.type === "user") {
    const [count, ms] = line.message.content[0].text.split(" ").map(Number);
    answer(line.uuid, count, ms);
  }
});

function answer(uuid, count, ms) {
  const id = `msg_${uuid}`;
  say({ type: "system", subtype: "init", session_id: "s", user_message_uuids: [uuid] });
  stream({ type: "message_start", message: { id, model: "stamping", role: "assistant", content: [] } });
  stream({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } });
  let said = 0;
  const timer = setInterval(() => {
    const delta = { type: "text_delta", text: `${now().toFixed(3)} ` };
    stream({ type: "content_block_delta", index: 0, delta });
    if (++said < count) return;
    clearInterval(timer);
    stream({ type: "content_block_stop", index: 0 });
    stream({ type: "message_stop" });
    say({ type: "result", subtype: "success", is_error: false, result: "", user_message_uuids: [uuid] });
  }, ms);
}
