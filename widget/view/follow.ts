// Follows the end of what grows, within 48 px of it. Any scroll up lets go; being at the end again, by whatever way, takes hold again.
import { signal, type ReadonlySignal } from "@preact/signals";

const nearPx = 48;

export interface Follow {
  readonly isFollowing: ReadonlySignal<boolean>;
  /** Watches this scroller and what grows in it; the function that it returns ends that. */
  attach(scroller: HTMLElement, content: HTMLElement): () => void;
  toEnd(): void;
}

export function createFollow(): Follow {
  const isFollowing = signal(true);
  let scroller: HTMLElement | null = null;
  let lastTop = 0;
  let lastHeight = 0;

  function toEnd(): void {
    isFollowing.value = true;
    if (!scroller) return;
    scroller.scrollTop = scroller.scrollHeight;
    lastTop = scroller.scrollTop;
    lastHeight = scroller.scrollHeight;
  }

  function onScroll(): void {
    const { scrollTop, scrollHeight, clientHeight } = scroller!;
    // What shrinks moves the end up, and nobody has scrolled.
    const isUp = scrollTop < lastTop && scrollHeight >= lastHeight;
    const isNear = scrollHeight - scrollTop - clientHeight <= nearPx;
    if (isUp) isFollowing.value = scrollHeight - scrollTop - clientHeight < 1;
    else if (isNear && scrollTop > lastTop) isFollowing.value = true;
    lastTop = scrollTop;
    lastHeight = scrollHeight;
  }

  return {
    isFollowing,
    toEnd,
    attach(element, content) {
      scroller = element;
      const onWheel = (event: WheelEvent) => {
        // At once: by the time of its scroll event more may have come.
        if (event.deltaY < 0 && element.scrollHeight > element.clientHeight) isFollowing.value = false;
      };
      const growth = new ResizeObserver(() => isFollowing.peek() && toEnd());
      growth.observe(content);
      growth.observe(element);
      element.addEventListener("scroll", onScroll, { passive: true });
      element.addEventListener("wheel", onWheel, { passive: true });
      return () => {
        growth.disconnect();
        element.removeEventListener("scroll", onScroll);
        element.removeEventListener("wheel", onWheel);
        scroller = null;
      };
    },
  };
}
