// The widget's drawings: strokes on 24 × 24, in the colour of the text.
export const icons = {
  chat: "M4 5.5h16v11H10l-4.5 3.5v-3.5H4z",
  close: "M6 6l12 12M18 6L6 18",
  plus: "M12 5v14M5 12h14",
  list: "M4 7h16M4 12h16M4 17h10",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M7.5 7.5h9v9h-9z",
  down: "M12 5v14M6 13l6 6 6-6",
  edit: "M5 19l1-4L16 5l3 3L9 18z",
  info: "M12 11v5M12 8h.01M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z",
  chevron: "M9 6l6 6-6 6",
} as const;

export function Icon({ path }: { readonly path: string }) {
  return (
    <svg class={path === icons.chevron ? "icon chevron" : "icon"} viewBox="0 0 24 24" aria-hidden="true">
      <path d={path} />
    </svg>
  );
}
