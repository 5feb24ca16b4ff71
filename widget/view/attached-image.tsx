// An image of the conversation, by its hash.
import { useEffect, useState } from "preact/hooks";
import { useScene, useWords } from "./scene.ts";

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
