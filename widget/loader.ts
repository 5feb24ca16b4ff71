// `widget.js`, a classic script: makes a `<sluice-chat>` of its tag's data-* attributes, and imports the module that stands beside it. It leaves no
// global and touches nothing but the place where the element goes: `data-target` (a selector), else the end of the body.

/** The hashed name of the module, put in by the build. */
declare const MODULE: string;

const script = document.currentScript as HTMLScriptElement;
// `…/widget.js`, or `…/widget/widget-<hash>.js`.
const base = new URL(script.src.replace(/widget(\.js|\/[^/]*)([?#].*)?$/, ""));

function place(): void {
  const chat = document.createElement("sluice-chat");
  if (script.nonce) chat.setAttribute("nonce", script.nonce);
  for (const { name, value } of script.attributes)
    if (name.startsWith("data-") && name !== "data-target") chat.setAttribute(name.slice(5), value);
  const { target } = script.dataset;
  const parent = target === undefined ? document.body : document.querySelector(target);
  if (parent) parent.append(chat);
  else console.error(`sluice: data-target="${target}" is no element of this page`);
}

const started = import(/* @vite-ignore */ new URL(`widget/${MODULE}`, base).href);
started.catch((error: unknown) => console.error("sluice: the widget could not be loaded", error));
// Without `defer` there may be no body yet.
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", place, { once: true });
else place();
