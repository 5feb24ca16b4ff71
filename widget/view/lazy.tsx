// A component whose code is fetched when it is first drawn; until then, and where it cannot be had, the fallback stands there.
import type { ComponentChildren, ComponentType, JSX } from "preact";
import { useEffect } from "preact/hooks";
import { signal } from "@preact/signals";

/** Fetches once, however often it is asked for; after a failure (offline, or another version was installed) anew. */
export function once<Chunk>(fetchCode: () => Promise<Chunk>): () => Promise<Chunk> {
  let fetched: Promise<Chunk> | undefined;
  return () =>
    (fetched ??= fetchCode().catch((error: unknown) => {
      fetched = undefined;
      throw error;
    }));
}

export function lazy<Props extends object>(
  fetchComponent: () => Promise<ComponentType<Props>>,
): (props: Props & { readonly fallback?: ComponentChildren }) => JSX.Element {
  const code = signal<{ readonly Component: ComponentType<Props> } | null>(null);
  const load = () =>
    fetchComponent().then(
      (Component) => void (code.value = { Component }),
      // The fallback stays, until the next one is drawn.
      () => undefined,
    );
  return function Later({ fallback, ...props }) {
    useEffect(() => void (code.peek() ?? load()), []);
    if (!code.value) return <>{fallback}</>;
    const { Component } = code.value;
    return <Component {...(props as unknown as Props)} />;
  };
}

/** An effect whose code is fetched first; `attach` resolves with what ends it. */
export function useLater(attach: () => Promise<() => void>, inputs: readonly unknown[]): void {
  useEffect(() => {
    let isGone = false;
    let detach = () => {};
    void attach().then(
      (end) => (isGone ? end() : (detach = end)),
      // Without its code there is nothing to end.
      () => undefined,
    );
    return () => {
      isGone = true;
      detach();
    };
  }, inputs);
}
