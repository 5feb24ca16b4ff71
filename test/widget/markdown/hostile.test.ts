import { describe, expect, test } from "vitest";
import { safeImage, safeLink } from "../../../widget/markdown/links.ts";
import { corpus } from "../../support/markdown/corpus.ts";
import { hostile } from "../../support/markdown/hostile.ts";
import { recordedMarkdown, type RecordedElement } from "./recording-document.ts";

const gateway = "https://gateway.example";

/** Draws the text; after each piece every element that was ever made is looked at, also those that are gone again. */
function drawn(...pieces: string[]): RecordedElement {
  const { view, root, document } = recordedMarkdown([gateway]);
  let looked = 0;
  for (const piece of pieces) {
    view.append(piece);
    document.made.slice(looked).forEach(expectHarmless);
    looked = document.made.length;
  }
  view.end();
  // Links get their address late.
  document.made.forEach(expectHarmless);
  return root;
}

function expectHarmless({ localName, attributes, className }: RecordedElement): void {
  const href = attributes.get("href");
  if (href !== undefined) {
    expect(localName).toBe("a");
    expect(new URL(href).protocol).toMatch(/^(?:https?|mailto):$/);
    expect(attributes.get("rel")).toBe("noopener noreferrer nofollow");
    expect(attributes.get("target")).toBe("_blank");
  }
  const src = attributes.get("src");
  if (src !== undefined) {
    expect(localName).toBe("img");
    const { origin, protocol } = new URL(src);
    expect(protocol === "blob:" || origin === gateway).toBe(true);
  }
  expect(className).toMatch(/^[a-z -]*$/);
}

describe("[A6] a hostile text becomes only elements and attributes of a closed list, and no address that runs or loads anything", () => {
  test("there are at least sixty of them", () => expect(new Set(hostile).size).toBeGreaterThanOrEqual(60));

  test.each(hostile)("split at each place: %j", (text) => {
    const whole = described(drawn(text));
    for (const at of placesIn(text)) expect(described(drawn(text.slice(0, at), text.slice(at)))).toEqual(whole);
    expect(described(drawn(...text))).toEqual(whole);
  });

  test("so does every document of the corpus", () => {
    for (const text of corpus) expect(drawn(...text).localName).toBe("div");
  });

  test("all of them in one text too", () => {
    const text = hostile.filter((one) => one.length < 1000).join("\n\n");
    expect(described(drawn(...text))).toEqual(described(drawn(text)));
  });
});

/** All places; of a very long text, which repeats itself, those near its ends and some between. */
function placesIn(text: string): number[] {
  const places = Array.from({ length: text.length + 1 }, (_, at) => at);
  return text.length < 300 ? places : places.filter((at) => at < 40 || at > text.length - 40 || at % 499 === 0);
}

function described(element: RecordedElement): unknown {
  const texts = element.children.length === 0 ? element.textContent : element.children.map(described);
  return [element.localName, element.className, [...element.attributes], texts];
}

describe("[A6] the policy of links and images", () => {
  test.each([
    ["https://example.org/a b", "https://example.org/a%20b"],
    ["http://example.org", "http://example.org/"],
    ["mailto:a@b.cd", "mailto:a@b.cd"],
    ["ht\ntps://example.org", "https://example.org/"],
    ["/relative", null],
    ["//example.org", null],
    ["example.org", null],
    ["javascript:alert(1)", null],
    ["java\u0000script:alert(1)", null],
    ["ftp://example.org", null],
    ["tel:1", null],
    ["", null],
  ])("%j may be followed as %j", (address, followed) => expect(safeLink(address)).toBe(followed));

  test.each([
    ["https://gateway.example/api/x.png", "https://gateway.example/api/x.png"],
    ["blob:https://page.example/1-2", "blob:https://page.example/1-2"],
    ["https://evil.example/x.png", null],
    ["https://gateway.example.evil.example/x.png", null],
    ["https://gateway.example@evil.example/x.png", null],
    ["data:image/png;base64,AAAA", null],
    ["/x.png", null],
  ])("%j is loaded as %j", (address, loaded) => expect(safeImage(address, [gateway])).toBe(loaded));

  test("an image that is not loaded is a link with its name", () => {
    const [link] = drawn("![a chart](https://other.example/x.png 'title')").children[0]!.children[0]!.children;
    expect(link!.localName).toBe("a");
    expect(link!.textContent).toBe("Image: a chart");
    expect(Object.fromEntries(link!.attributes)).toMatchObject({ href: "https://other.example/x.png", title: "title" });
  });

  test("HTML is shown as it was written", () => {
    const text = '<img src=x onerror="alert(1)">';
    expect(drawn(`a ${text}`).textContent).toBe(`a ${text}`);
    expect(drawn(`<div>\n${text}\n</div>`).textContent).toBe(`<div>\n${text}\n</div>`);
  });
});
