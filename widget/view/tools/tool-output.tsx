// What a tool answered.
import { useState } from "preact/hooks";
import type { ToolBlock } from "../../transcript.ts";
import { AttachedImage } from "../attached-image.tsx";
import { download } from "../buttons.tsx";
import { useScene, useWords } from "../scene.ts";
import { outputOf } from "./tool-words.ts";

/** More than that is drawn at a person's wish. */
const maxShown = 20_000;

export function ToolOutput({ result }: { readonly result: NonNullable<ToolBlock["result"]> }) {
  const { chat } = useScene();
  const say = useWords();
  const [isWhole, setWhole] = useState(false);
  const { text, images, attachment } = outputOf(result.content);
  const shown = isWhole ? text : text.slice(0, maxShown);
  const isEmpty = text === "" && images.length === 0 && attachment === null;
  const save = (hash: string) =>
    chat.attachmentUrl(hash).then(
      (url) => download(url, "output.txt"),
      ({ code, message: detail }: { code: string; message: string }) => (chat.problem.value = { code, detail }),
    );
  return (
    <>
      <p class="label">{say("output")}</p>
      {isEmpty && <p class="muted">{say("no_output")}</p>}
      {text !== "" && (
        <pre tabIndex={0} dir="auto">
          {withoutColours(shown)}
        </pre>
      )}
      {images.map((hash) => (
        <AttachedImage key={hash} hash={hash} />
      ))}
      {shown.length < text.length && (
        <button type="button" class="link" onClick={() => setWhole(true)}>
          {say("large_output")}
        </button>
      )}
      {attachment && (
        <button type="button" class="link" onClick={() => void save(attachment)}>
          {say("save_output")}
        </button>
      )}
    </>
  );
}

/** Terminals' colours and cursor moves (https://en.wikipedia.org/wiki/ANSI_escape_code) are no text. */
function withoutColours(text: string): string {
  return text.replace(/\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\))/g, "");
}
