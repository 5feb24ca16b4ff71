import { afterEach, expect, test } from "vitest";
import { openApp, secrets, type AppScene } from "../../support/app-scene.ts";
import { readAgent } from "../../support/real-cli.ts";

const scenes: AppScene[] = [];
afterEach(async () => {
  for (const scene of scenes.splice(0)) await scene.close();
});
async function open(options?: Parameters<typeof openApp>[0]): Promise<AppScene> {
  const scene = await openApp(options);
  scenes.push(scene);
  return scene;
}

const signedOut = { headers: { authorization: "" } };

test("the gateway's own page leads people who are signed out to the sign-in, and has no widget for them", async () => {
  const scene = await open();
  const reply = await scene.request("/", signedOut);
  const page = await reply.text();
  expect(reply.status).toBe(200);
  expect(page).toContain('<a href="sign-in">Sign in</a>');
  expect(page).not.toContain('src="widget.js"');
});

test("[A4] it tells nobody who is signed out which agents there are, not even who guesses", async () => {
  const agents = ["payroll", "tester"].map((name) => readAgent({ name }));
  const scene = await open({ agents });
  for (const path of ["/", "/?agent=payroll"]) {
    const page = await (await scene.request(path, signedOut)).text();
    expect(page).toContain("data-agent=&quot;default&quot;");
    for (const { name } of agents) expect(page).not.toContain(name);
  }
});

test("[A1] the cookie of a sign-in brings the widget, for the agent that is asked for, and a way out", async () => {
  const scene = await open();
  const signIn = await scene.app.request("http://localhost/sign-in", {
    method: "POST",
    body: new URLSearchParams({ key: secrets.alice }),
    headers: { host: "localhost" },
  });
  const cookie = signIn.headers.get("set-cookie")!.split(";")[0]!;
  const page = await (await scene.request("/", { headers: { authorization: "", cookie } })).text();
  expect(page).toContain('src="widget.js"');
  expect(page).toContain('data-agent="tester"');
  expect(page).toContain("Signed in as alice");
  expect(page).toContain('action="sign-out"');
});

test("behind a proxy that serves the gateway below a path, all that its pages lead to is below it too", async () => {
  const agents = ["default", "tester"].map((name) => readAgent({ name }));
  const scene = await open({ agents });
  const post = (path: string, body?: URLSearchParams) =>
    scene.app.request(`http://localhost${path}`, {
      method: "POST",
      headers: { host: "localhost" },
      ...(body ? { body } : {}),
    });
  const signIn = await post("/sign-in", new URLSearchParams({ key: secrets.alice }));
  const signOut = await post("/sign-out");
  const pageOf = async (path: string, headers: Record<string, string> = {}) =>
    (await scene.request(path, { headers: { authorization: "", ...headers } })).text();
  const led = (path: string, page: string) =>
    [...page.matchAll(/ (?:href|src|action)="([^"]*)"/g)].map(
      ([, to]) => new URL(to!, `https://x.example/below${path}`),
    );
  const all = [
    ...led("/", await pageOf("/")),
    ...led("/", await pageOf("/", { cookie: signIn.headers.get("set-cookie")!.split(";")[0]! })),
    ...led("/sign-in", await pageOf("/sign-in?code=x")),
    new URL(signIn.headers.get("location")!, "https://x.example/below/sign-in"),
    new URL(signOut.headers.get("location")!, "https://x.example/below/sign-out"),
  ].map(({ pathname, search }) => pathname + search);
  expect(new Set(all)).toEqual(
    new Set(["", "icon.svg", "sign-in", "sign-out", "widget.js", "?agent=tester"].map((path) => `/below/${path}`)),
  );
});

test("without any key it has the widget with things to try", async () => {
  const scene = await open({ app: { openCaller: { key: "demo", user: null, reach: "all" } } });
  const page = await (await scene.request("/", signedOut)).text();
  expect(page).toContain("data-suggestions=");
  expect(page).not.toContain("Sign out");
});

test("its policy lets nothing in but its own scripts, and no text of a request becomes markup", async () => {
  const scene = await open({ app: { openCaller: { key: "demo", user: null, reach: "all" } } });
  const reply = await scene.request('/?agent="><script>alert(1)</script>', signedOut);
  const policy = reply.headers.get("content-security-policy")!;
  expect(
    policy
      .replace(/'nonce-[\w+/=]{24}'/, "a nonce")
      .split("; ")
      .toSorted(),
  ).toEqual([
    "base-uri 'none'",
    "connect-src 'self'",
    "default-src 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "img-src 'self' blob:",
    "require-trusted-types-for 'script'",
    "script-src 'self'",
    "style-src a nonce",
    "trusted-types 'none'",
  ]);
  expect(await reply.text()).not.toContain("alert(1)");
  expect(Object.fromEntries(reply.headers)).toMatchObject({
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
});
