// Drawings of what is not there all the time.
export const icons = {
  up_thumb: "M7 11v8H4v-8zM7 11l4-7c1.5 0 2.5 1 2.5 2.5L13 10h5.5c1 0 1.7.9 1.5 1.9l-1.2 5.6c-.2.9-.9 1.5-1.8 1.5H7",
  down_thumb: "M7 13V5H4v8zM7 13l4 7c1.5 0 2.5-1 2.5-2.5L13 14h5.5c1 0 1.7-.9 1.5-1.9l-1.2-5.6C18.6 5.6 17.9 5 17 5H7",
  save: "M12 4v11M7 11l5 5 5-5M5 20h14",
} as const;
