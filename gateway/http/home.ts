// The gateway's own page: the widget, for whoever is signed in, and how to put it into a page of one's own. Its addresses are relative: a proxy may
// serve the gateway below a path of its own.
import type { Context, Hono } from "hono";
import { html } from "hono/html";
import type { Registry } from "../agents/registry.ts";
import type { Identity } from "./auth/identity.ts";
import type { Env } from "./env.ts";
import { setPageHeaders } from "./page-headers.ts";
import { absoluteUrl, type RouteDeps } from "./routes.ts";

export interface HomeDeps extends RouteDeps {
  readonly registry: Pick<Registry, "agents">;
  /** Who is at the page; undefined: nobody who is signed in. */
  readonly personAt: (c: Context<Env>) => Promise<Identity | undefined>;
}

const demoSuggestions = [
  "What can you do?",
  "Show me a table and some code",
  "Make a plan and work through it",
  "Edit a file",
  "Ask me something",
];

export function mountHome(app: Hono<Env>, deps: HomeDeps): void {
  app.get("/icon.svg", (c) => c.body(icon, 200, { "Content-Type": "image/svg+xml", "Cache-Control": "max-age=86400" }));
  app.get("/", async (c) => {
    const person = await deps.personAt(c);
    // Their names are for those alone who may use them.
    const known = person === undefined ? [] : deps.registry.agents.map(({ name }) => name);
    const agents = known.filter((name) => person?.caller.agents?.includes(name) ?? true);
    const asked = c.req.query("agent");
    const agent = agents.find((name) => name === asked) ?? agents.find((name) => name === "default") ?? agents[0];
    return page(c, {
      person,
      agent: agent ?? "default",
      agents,
      address: absoluteUrl(c, deps, ""),
    });
  });
}

const icon =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#0d6e78"/>' +
  '<path d="M9 8v16M23 8v16M9 13h14M13 18c2 2 4-2 6 0" fill="none" stroke="#fff" stroke-width="2.6" stroke-linecap="round"/></svg>';

interface Shown {
  readonly person: Identity | undefined;
  readonly agent: string;
  readonly agents: readonly string[];
  readonly address: string;
}

function page(c: Context<Env>, shown: Shown) {
  const nonce = setPageHeaders(
    c,
    "; script-src 'self'; connect-src 'self'; img-src 'self' blob:; require-trusted-types-for 'script'; trusted-types 'none'",
  );
  return c.html(
    html`<!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, interactive-widget=resizes-content" />
          <title>Sluice</title>
          <link rel="icon" href="icon.svg" />
          <style nonce="${nonce}">
            ${style}
          </style>
        </head>
        <body>
          <main>
            ${about(shown)}
            <section id="chat" aria-label="Chat">${shown.person === undefined ? signedOut : ""}</section>
          </main>
          ${shown.person === undefined ? "" : widget(shown)}
        </body>
      </html>`,
  );
}

function about({ person, agent, agents, address }: Shown) {
  const snippet = `<script src="${address}/widget.js"\n  data-agent="${agent}"\n  data-token-url="/sluice-token" defer></script>`;
  const links = agents.map((name) =>
    name === agent ? html`<strong>${name}</strong> ` : html`<a href="./?agent=${name}">${name}</a> `,
  );
  const signOut = html`<form method="post" action="sign-out">
    Signed in as ${person?.key ?? ""}. <button>Sign out</button>
  </form>`;
  return html`<section id="about">
    <h1>Sluice</h1>
    <p>Claude Code behind plain HTTP. This is the widget; one tag puts it into any internal page:</p>
    <pre tabindex="0"><code>${snippet}</code></pre>
    <p>
      <code>data-token-url</code> is an address of your own server. It asks the gateway for a short-lived token of the
      person who is signed in there (<code>POST /api/tokens</code>), and hands it to the page. The README says how, and
      what else can be set.
    </p>
    ${agents.length > 1 ? html`<p>Agents: ${links}</p>` : ""}
    ${person?.kind === "open" ? html`<p>The demo model answers here: no account is used.</p>` : ""}
    ${person?.kind === "cookie" ? signOut : ""}
  </section>`;
}

const signedOut = html`<p><a href="sign-in">Sign in</a> to chat here.</p>`;

function widget({ agent, person }: Shown) {
  const suggestions = person?.kind === "open" ? demoSuggestions.join("\n") : "";
  return html`<script
    src="widget.js"
    data-target="#chat"
    data-mode="inline"
    data-title="${agent === "default" ? "Sluice" : agent}"
    data-agent="${agent}"
    data-suggestions="${suggestions}"
    defer
  ></script>`;
}

const style = html`
  :root { color-scheme: light dark; font: 16px/1.6 ui-sans-serif, system-ui, sans-serif; background: light-dark(#f3f5f5,
  #0e1113); color: light-dark(#1c2124, #e7eaec); } body { margin: 0; } main { display: grid; grid-template-columns:
  minmax(0, 26rem) minmax(0, 44rem); gap: 3rem; justify-content: center; padding: 2.5rem 1.5rem; } h1 { margin: 0 0
  0.75rem; font-size: 2rem; font-weight: 650; letter-spacing: -0.02em; line-height: 1.2; } a { color:
  light-dark(#0d6e78, #5cc8d0); } pre { overflow: auto; padding: 0.9rem 1rem; border: 1px solid light-dark(#dde2e3,
  #2a3238); border-radius: 10px; background: light-dark(#fff, #16191c); font-size: 0.8rem; } #chat { height: calc(100dvh
  - 5rem); min-height: 24rem; } #chat sluice-chat { height: 100%; } button { font: inherit; } @media (max-width: 900px)
  { main { grid-template-columns: minmax(0, 44rem); gap: 1rem; padding: 0; } #chat { grid-row: 1; height: 100dvh; }
  #about { padding: 1.5rem; } } @media print { #chat { height: auto; } }
`;
