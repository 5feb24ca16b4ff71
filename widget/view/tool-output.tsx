// What a tool answered.
import { useEffect, useState } from "preact/hooks";
import type { ToolBlock } from "../transcript.ts";
import { useScene, useWords } from "./scene.ts";
import { outputOf } from "./tool-words.ts";

/** More than that is drawn at a person's wish. */
const maxShown = 20_000;

export function ToolOutput({ result }: { readonly result: NonNullable<ToolBlock["result"]> }) {
  const { chat } = useScene();
  const say = useWords();
  const [isWhole, setWhole] = useState(false);
  const [fetched, setFetched] = useState<string | null>(null);
  const { text: given, images, attachment } = outputOf(result.content);
  const text = fetched ?? given;
  const shown = isWhole ? text : text.slice(0, maxShown);
  const showAll = async () => {
    if (attachment) setFetched(await textOf(await chat.attachmentUrl(attachment.hash)));
    setWhole(true);
  };
  const isEmpty = text === "" && images.length === 0 && attachment === null;
  return (
    <>
      <h4>{say("output")}</h4>
      {isEmpty ? <p class="muted">{say("no_output")}</p> : text !== "" && <pre dir="auto">{withoutColours(shown)}</pre>}
      {images.map((hash) => (
        <AttachedImage key={hash} hash={hash} />
      ))}
      {(shown.length < text.length || (attachment && fetched === null)) && (
        <button type="button" class="link" onClick={() => void showAll().catch(() => {})}>
          {say("large_output")}
        </button>
      )}
    </>
  );
}

/** An image of the log, by its hash. */
export function AttachedImage({ hash }: { readonly hash: string }) {
  const { chat } = useScene();
  const say = useWords();
  const [source, setSource] = useState<string | null>(null);
  useEffect(() => {
    // Gone or not ours: the label stays.
    void chat.attachmentUrl(hash).then(setSource, () => {});
  }, [hash]);
  if (source === null) return <span class="chip">{say("image")}</span>;
  return <img class="attached" src={source} alt={say("image")} />;
}

async function textOf(blobUrl: string): Promise<string> {
  return (await fetch(blobUrl)).text();
}

/** Terminals' colours and cursor moves (https://en.wikipedia.org/wiki/ANSI_escape_code) are no text. */
function withoutColours(text: string): string {
  return text.replace(/\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\))/g, "");
}
