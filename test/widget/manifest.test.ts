import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { textOptions } from "../../widget/attributes.ts";

// The element's description for editors and pages, against the source that it describes.

const root = new URL("../..", import.meta.url).pathname;
const read = (path: string) => readFileSync(join(root, path), "utf8");
const sources = (folder: string) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(tsx?|css)$/.test(name) && !name.startsWith("dist"))
    .map((name) => read(join(folder, name)))
    .join("\n");

interface Named {
  readonly name: string;
  readonly description?: string;
}
const [element] = (
  JSON.parse(read("widget/custom-elements.json")) as {
    modules: {
      declarations: Record<"attributes" | "members" | "events" | "slots" | "cssParts" | "cssProperties", Named[]>[];
    }[];
  }
).modules[0]!.declarations;
const described = (what: keyof NonNullable<typeof element>) => element![what].map(({ name }) => name).toSorted();
const found = (text: string, pattern: RegExp) =>
  [...new Set([...text.matchAll(pattern)].flatMap((match) => match[1]!.split(" ")))].toSorted();

describe("custom-elements.json", () => {
  const source = sources("widget");

  test("has every part of the shadow tree, and no other", () => {
    const parts = [
      ...found(source, /\bpart="([a-z -]+)"/g),
      ...found(source, /withPart\(.*"([a-z-]+)"\)/g),
      ...found(source, /\[part=([a-z-]+)\]/g),
    ];
    expect(described("cssParts")).toEqual([...new Set(parts)].toSorted());
  });

  test("has every custom property of the style, at most 30", () => {
    expect(described("cssProperties")).toEqual(found(source, /var\(\s*(--sluice-[a-z-]+)/g));
    expect(element!.cssProperties.length).toBeLessThanOrEqual(30);
  });

  test("has every slot, attribute, event and method", () => {
    expect(described("slots")).toEqual(found(source, /<slot name="([a-z]+)"/g));
    const attributes = textOptions.map((name) => (name === "tokenUrl" ? "token-url" : name));
    expect(described("attributes")).toEqual([...attributes, "nonce", "open"].toSorted());
    const page = read("widget/page.ts");
    expect(described("events")).toEqual(found(page, /"(sluice:[a-z]+)"/g));
    const methods = found(page, /^ {2}([a-zA-Z]+)\(/gm);
    const members = described("members");
    expect(members.filter((name) => methods.includes(name))).toEqual(methods);
    expect(members.filter((name) => !methods.includes(name))).toEqual(
      [...textOptions, "getToken", "isOpen"].toSorted(),
    );
  });

  test("says of each what it is for, and the README has it", () => {
    const readme = read("README.md");
    for (const list of ["attributes", "events", "slots", "cssParts", "cssProperties"] as const)
      for (const { name, description } of element![list]) {
        expect([name, description]).toEqual([name, expect.stringMatching(/\S/)]);
        expect(readme).toContain(`\`${name}\``);
      }
  });

  test("says the default of a custom property where that is a number", () => {
    let checked = 0;
    for (const { name, description } of element!.cssProperties)
      for (const number of description!.match(/\d[\d.]*(?:px|em|ms)?/g) ?? []) {
        expect(source).toMatch(new RegExp(`var\\(\\s*${name}, ${number}\\)`));
        checked += 1;
      }
    expect(checked).toBeGreaterThan(10);
  });
});
