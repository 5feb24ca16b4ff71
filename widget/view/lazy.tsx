// A component whose code is fetched when it is first drawn; until then, and where it cannot be had, the fallback stands there.
import type { ComponentChildren, ComponentType, JSX } from "preact";
import { useEffect } from "preact/hooks";
import { signal } from "@preact/signals";

export interface Lazy<Props> {
  (props: Props & { readonly fallback?: ComponentChildren }): JSX.Element;
  /** Fetches it ahead. */
  load(): Promise<void>;
}

export function lazy<Props extends object>(fetchCode: () => Promise<ComponentType<Props>>): Lazy<Props> {
  const code = signal<{ readonly Component: ComponentType<Props> } | null>(null);
  let asked: Promise<void> | undefined;
  const load = () =>
    (asked ??= fetchCode().then(
      (Component) => void (code.value = { Component }),
      // Offline, or the gateway was updated: asked again with the next that wants it.
      () => void (asked = undefined),
    ));
  function Later({ fallback, ...props }: Props & { readonly fallback?: ComponentChildren }) {
    useEffect(() => void load(), []);
    if (!code.value) return <>{fallback}</>;
    const { Component } = code.value;
    return <Component {...(props as unknown as Props)} />;
  }
  return Object.assign(Later, { load });
}
