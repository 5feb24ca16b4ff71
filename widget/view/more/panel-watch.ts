// What a panel watches beside its keys: files that are dropped on it, and what the on-screen keyboard leaves of a phone's screen. Each watches
// until the function that it returns is called.

export function watchDrops(
  panel: HTMLElement,
  setOver: (isOver: boolean) => void,
  addImages: (files: readonly File[]) => Promise<void>,
): () => void {
  const listeners = {
    dragover(event: DragEvent) {
      if (![...(event.dataTransfer?.items ?? [])].some(({ kind }) => kind === "file")) return;
      event.preventDefault();
      setOver(true);
    },
    dragleave({ relatedTarget }: DragEvent) {
      if (!panel.contains(relatedTarget as Node | null)) setOver(false);
    },
    drop(event: DragEvent) {
      setOver(false);
      const files = [...(event.dataTransfer?.files ?? [])];
      // A text goes where the browser puts it.
      if (files.length === 0) return;
      // A file that is dropped and not taken would be opened in place of the page.
      event.preventDefault();
      void addImages(files);
    },
  };
  for (const [type, listener] of Object.entries(listeners)) panel.addEventListener(type, listener as EventListener);
  return () => {
    for (const [type, listener] of Object.entries(listeners))
      panel.removeEventListener(type, listener as EventListener);
  };
}

/** Tells the style, which knows the whole screen alone. */
export function watchViewport(panel: HTMLElement): () => void {
  const viewport = window.visualViewport;
  if (!viewport) return () => {};
  const measure = () => {
    panel.style.setProperty("--seen-height", `${viewport.height}px`);
    panel.style.setProperty("--seen-top", `${viewport.offsetTop}px`);
  };
  measure();
  viewport.addEventListener("resize", measure);
  viewport.addEventListener("scroll", measure);
  return () => {
    viewport.removeEventListener("resize", measure);
    viewport.removeEventListener("scroll", measure);
  };
}
