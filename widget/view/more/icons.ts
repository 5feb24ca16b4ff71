// Drawings of what is not there all the time.
export const icons = {
  up_thumb: "M7 11v8H4v-8zM7 11l4-7c1.5 0 2.5 1 2.5 2.5L13 10h5.5c1 0 1.7.9 1.5 1.9l-1.2 5.6c-.2.9-.9 1.5-1.8 1.5H7",
  down_thumb: "M7 13V5H4v8zM7 13l4 7c1.5 0 2.5-1 2.5-2.5L13 14h5.5c1 0 1.7-.9 1.5-1.9l-1.2-5.6C18.6 5.6 17.9 5 17 5H7",
  save: "M12 4v11M7 11l5 5 5-5M5 20h14",
  copy: "M9 9h10v10H9zM15 9V5H5v10h4",
  check: "M5 12.5l4.5 4.5L19 7.5",
  retry: "M19 12a7 7 0 1 1-2.2-5.1M19 4v4h-4",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9h.01",
  warning: "M12 9v5M12 17h.01M12 4l9 16H3z",
  more: "M4.4 12a.6.6 0 1 0 1.2 0 .6.6 0 1 0-1.2 0m7 0a.6.6 0 1 0 1.2 0 .6.6 0 1 0-1.2 0m7 0a.6.6 0 1 0 1.2 0 .6.6 0 1 0-1.2 0",
} as const;
