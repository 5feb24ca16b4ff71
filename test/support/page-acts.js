// What a page does to a gateway, as code of that page: `acts.<name>(argument)`. Plain JavaScript, since it runs in the browser alone.
globalThis.acts = {
  /** What becomes of each request, as the page sees it. */
  request: (requests) =>
    Promise.all(
      requests.map(({ url, ...init }) =>
        fetch(url, init).then(
          async (reply) => `${reply.type} ${reply.status} ${await reply.text()}`,
          (error) => error.name,
        ),
      ),
    ),

  beacon: ({ url, body }) => navigator.sendBeacon(url, new Blob([body], { type: "text/plain" })),

  /** Sends a form that looks like JSON, as pages can without asking. */
  submit({ url, field, value }) {
    const form = document.createElement("form");
    Object.assign(form, { method: "POST", action: url, enctype: "text/plain" });
    const input = document.createElement("input");
    Object.assign(input, { name: field, value });
    form.append(input);
    document.body.append(form);
    form.submit();
  },

  /** The origin of a sandboxed frame, and what became of its requests. */
  requestFromSandbox: ({ url }) =>
    new Promise((resolve) => {
      addEventListener("message", ({ data }) => resolve(data));
      const frame = document.createElement("iframe");
      frame.sandbox.add("allow-scripts");
      frame.srcdoc = `<script>
        const init = { method: "POST", body: '{"prompt":"x"}', mode: "no-cors", headers: { "content-type": "text/plain" } };
        Promise.allSettled([fetch(${JSON.stringify(url)}, init), fetch(${JSON.stringify(url)})])
          .then((all) => parent.postMessage([origin, ...all.map(({ status }) => status)], "*"));
      </script>`;
      document.body.append(frame);
    }),

  /** `load` or `error` of each tag for each address. */
  embed: ({ urls, tags }) =>
    Promise.all(
      urls.flatMap((url) =>
        tags.map(
          (tag) =>
            new Promise((resolve) => {
              const element = document.createElement(tag);
              for (const type of ["load", "error"]) element.addEventListener(type, () => resolve(type));
              Object.assign(element, tag === "link" ? { rel: "stylesheet", href: url } : { src: url });
              document.body.append(element);
            }),
        ),
      ),
    ),

  /** How an EventSource stands after its first error, and how many events it has seen. */
  listen: ({ url, types }) =>
    new Promise((resolve) => {
      const source = new EventSource(url);
      let events = 0;
      for (const type of types) source.addEventListener(type, () => (events += 1));
      source.addEventListener("error", () => resolve([source.readyState, events]));
    }),

  socket: ({ url }) =>
    new Promise((resolve) => {
      const socket = new WebSocket(url);
      for (const type of ["open", "error"]) socket.addEventListener(type, () => resolve(type));
    }),

  /** A visitor's token, a turn with it, and its stream by EventSource, to its end. */
  async talk({ address, agent, types }) {
    const json = { "content-type": "application/json" };
    const post = (path, body, headers) =>
      fetch(address + path, { method: "POST", body: JSON.stringify(body), headers: { ...json, ...headers } });
    const { token } = await (await post("/api/tokens", { agent })).json();
    const reply = await post("/api/turns", { prompt: "hello" }, { authorization: `Bearer ${token}` });
    const turn = await reply.json();
    const exposed = [reply.headers.get("location"), reply.headers.get("sluice-turn")];
    const events = [];
    const source = new EventSource(turn.events_url);
    for (const type of types) source.addEventListener(type, ({ lastEventId }) => events.push(`${lastEventId} ${type}`));
    // It opens the stream again by itself after its end, and is told by 204 that there is no more.
    await new Promise((resolve) => {
      source.addEventListener("error", () => source.readyState === EventSource.CLOSED && resolve());
    });
    return { token, turn, exposed, events };
  },

  cookie: () => document.cookie,
};
