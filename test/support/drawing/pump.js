// Runs in the page of page.ts before anything else, as `drawing`: an EventSource that brings what it is given, at a pace of one's own, and
// what a page does to be measured. Plain JavaScript, since it runs in the browser alone.
(() => {
  const sources = new Set();
  globalThis.EventSource = class extends EventTarget {
    constructor() {
      super();
      sources.add(this);
    }
    close() {
      sources.delete(this);
    }
  };
  const ofBrowser = globalThis.requestAnimationFrame.bind(globalThis);
  const frame = () => new Promise(ofBrowser);
  const channel = new MessageChannel();
  channel.port1.start();
  let parts = [];
  let show = tell;
  let stopCounting;

  function tell([type, data]) {
    for (const source of sources) source.dispatchEvent(new MessageEvent(type, { data }));
  }

  function task() {
    return new Promise((resolve) => {
      channel.port1.addEventListener("message", resolve, { once: true });
      channel.port2.postMessage(null);
    });
  }

  /** Behind what waits at the end of this task. */
  function behind() {
    return new Promise((resolve) => queueMicrotask(resolve));
  }

  async function settled() {
    for (let frames = 0; frames < 3; frames++) await frame();
    await new Promise((resolve) => requestIdleCallback(resolve));
  }

  const load = (file) => import(`/files/${file}`);
  const root = () => document.querySelector("sluice-chat")?.shadowRoot ?? document;
  const log = () => root().querySelector(".log");

  globalThis.drawing = {
    settled,
    isListening: () => sources.size > 0,

    /** What comes next. */
    take: (given) => void (parts = given),

    /**
     * Each part in a task of its own: applied and drawn at once, and laid out behind each, or whenever the browser draws a frame. Resolves
     * with how many there were until `limitMs` had gone by.
     */
    async each({ isLaidOut = false, limitMs = Infinity } = {}) {
      const due = [];
      globalThis.requestAnimationFrame = (draw) => due.push(draw);
      const end = performance.now() + limitMs;
      const scroller = log();
      let count = 0;
      for (const part of parts) {
        if (performance.now() > end) break;
        await task();
        show(part);
        // The events of one task are applied behind it, and what they change is drawn behind that.
        await behind();
        for (const draw of due.splice(0)) draw(performance.now());
        for (let turns = 0; turns < 3; turns++) await behind();
        if (isLaidOut) void scroller.scrollHeight;
        count += 1;
      }
      globalThis.requestAnimationFrame = ofBrowser;
      for (const draw of due) ofBrowser(draw);
      await settled();
      return count;
    },

    /** So many parts a second, drawn whenever the browser draws. */
    async paced(perSecond) {
      const began = performance.now();
      let at = 0;
      while (at < parts.length) {
        const due = ((performance.now() - began) / 1000) * perSecond;
        while (at < parts.length && at < due) show(parts[at++]);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      await settled();
    },

    /** Counts the nodes of the conversation that come and go from now on. */
    count() {
      const counts = { added: 0, removed: 0 };
      const size = (node) => Array.from(node.childNodes, size).reduce((sum, one) => sum + one, 1);
      const note = (records) => {
        for (const { addedNodes, removedNodes } of records) {
          for (const node of addedNodes) counts.added += size(node);
          for (const node of removedNodes) counts.removed += size(node);
        }
      };
      const observer = new MutationObserver(note);
      observer.observe(log(), { childList: true, subtree: true });
      stopCounting = () => {
        note(observer.takeRecords());
        observer.disconnect();
        return counts;
      };
    },
    counted: () => stopCounting(),

    /** The tag of the README: resolves when the element is ready. */
    start: (mode) =>
      new Promise((resolve) => {
        addEventListener("sluice:ready", () => resolve(), { once: true });
        const script = document.createElement("script");
        script.dataset.mode = mode;
        script.src = "/widget.js";
        document.head.append(script);
      }),

    /** Milliseconds until this session's newest page is drawn. */
    async open(session) {
      const began = performance.now();
      await document.querySelector("sluice-chat").openSession(session);
      await frame();
      await frame();
      return performance.now() - began;
    },

    /** Scrolls up until there are so many messages. */
    async scrollUp(messages) {
      while (root().querySelectorAll("article").length < messages) {
        log().scrollTop = 0;
        await frame();
      }
      await settled();
    },

    /** Other renderers, in pages that have their files: what comes next they show. */
    others: {
      /** Takes what comes and shows nothing of it. */
      async nothing() {
        document.body.appendChild(document.createElement("div")).className = "log";
        show = () => {};
      },
      async streamingMarkdown() {
        const { default_renderer, parser, parser_write } = await load("streaming-markdown/smd.js");
        const scroller = document.body.appendChild(document.createElement("div"));
        scroller.className = "log";
        Object.assign(scroller.style, { height: "860px", overflow: "auto" });
        const target = scroller.appendChild(document.createElement("div"));
        new ResizeObserver(() => (scroller.scrollTop = scroller.scrollHeight)).observe(target);
        const growing = parser(default_renderer(target));
        show = (text) => parser_write(growing, text);
      },
      async marked() {
        const { parse } = await load("marked/marked.esm.js");
        const target = document.body.appendChild(document.createElement("div"));
        target.className = "log";
        let whole = "";
        show = (text) => (target.innerHTML = parse((whole += text)));
      },
      async deepChat() {
        await load("deep-chat/deepChat.bundle.js");
        const chat = document.createElement("deep-chat");
        Object.assign(chat.style, { width: "760px", height: "860px" });
        const asked = new Promise((resolve) => {
          const handler = (_, signals) => {
            signals.onOpen();
            show = (text) => signals.onResponse({ text });
            resolve();
          };
          chat.connect = { stream: true, handler };
        });
        document.body.append(chat);
        await settled();
        chat.submitUserMessage({ text: "Go on" });
        await asked;
      },
    },
  };
})();
