// Builds what pages load: `widget.mjs` and the loader `widget.js` under plain names, everything else under names that carry its hash; the
// digests of all; and the types and the description of the element.
import { createHash } from "node:crypto";
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build, defineConfig, type Plugin } from "vite";

// One widget, whoever builds it: in an environment of tests Vite would leave more in it.
process.env["NODE_ENV"] = "production";

const here = import.meta.dirname;
const dist = join(here, "dist");

const entry = join(here, "embed.ts");

/** The modules that a page loads at once. Left alone, what they share with later chunks would become files of its own. */
const atOnce = new Set<string>();

export default defineConfig({
  root: here,
  logLevel: "warn",
  build: {
    outDir: dist,
    emptyOutDir: true,
    target: "es2022",
    // As a library: for an application Vite puts in a helper that writes links into the page's head.
    lib: { entry, formats: ["es"] },
    cssMinify: "lightningcss",
    // Not older than what the code needs of them: for others colours and directions would be written out at length.
    cssTarget: ["chrome123", "firefox124", "safari17.5"],
    rolldownOptions: {
      preserveEntrySignatures: "allow-extension",
      output: {
        // Of a library Vite leaves the white space.
        minify: true,
        comments: false,
        // V8 then compiles all that is in the file while it comes, beside the main thread, which has to do it otherwise when a function is first
        // called: https://v8.dev/blog/explicit-compile-hints
        postBanner: "//# allFunctionsCalledOnLoad",
        codeSplitting: { groups: [{ name: "main", test: (id: string) => atOnce.has(id) }] },
        entryFileNames: "[name]-[hash].mjs",
        chunkFileNames: "[name]-[hash].mjs",
        hashCharacters: "hex",
      },
    },
  },
  plugins: [findAtOnce(), withoutShadows(), besideTheModule()],
});

function findAtOnce(): Plugin {
  return {
    name: "sluice-at-once",
    apply: "build",
    buildEnd() {
      const add = (id: string) => {
        if (atOnce.has(id)) return;
        atOnce.add(id);
        for (const imported of this.getModuleInfo(id)?.importedIds ?? []) add(imported);
      };
      add(entry);
    },
  };
}

/** On a page that has frozen `Object.prototype` nothing can be assigned that has a name of it. Nobody here makes a text of a signal. */
function withoutShadows(): Plugin {
  const shadows = /\w+\.prototype\.(?:toString|valueOf)=function\(\)\{[^}]*\};?/g;
  return {
    name: "sluice-without-shadows",
    apply: "build",
    transform(code, id) {
      if (!id.includes("signals-core")) return undefined;
      const without = code.replace(shadows, "");
      if (without === code) throw new Error("the signals are written otherwise than they were");
      return { code: without, map: null };
    },
  };
}

/** What stands beside the hashed module: built when its name is known. */
function besideTheModule(): Plugin {
  return {
    name: "sluice-beside-the-module",
    apply: "build",
    async writeBundle() {
      const module = readdirSync(dist).find((name) => name.startsWith("embed-"))!;
      await buildLoader(module);
      const loader = readFileSync(join(dist, "widget.js"));
      writeFileSync(join(dist, `widget-${createHash("sha256").update(loader).digest("hex").slice(0, 8)}.js`), loader);
      writeFileSync(join(dist, "widget.mjs"), `export { mount } from "./widget/${module}";\n`);
      copyFileSync(join(here, "custom-elements.json"), join(dist, "custom-elements.json"));
      writeFileSync(join(dist, "integrity.json"), `${JSON.stringify(digests(), null, 2)}\n`);
    },
  };
}

/** A classic script: it knows its own address by `document.currentScript`, which a module does not. */
async function buildLoader(module: string): Promise<void> {
  await build({
    configFile: false,
    root: here,
    logLevel: "warn",
    define: { MODULE: JSON.stringify(module) },
    build: {
      outDir: dist,
      emptyOutDir: false,
      target: "es2022",
      modulePreload: false,
      rolldownOptions: { input: join(here, "loader.ts"), output: { format: "iife", entryFileNames: "widget.js" } },
    },
  });
}

/** For `integrity="…"`: https://www.w3.org/TR/sri-2/ */
function digests(): Record<string, string> {
  const names = readdirSync(dist).filter((name) => /\.m?js$/.test(name));
  return Object.fromEntries(
    names.toSorted().map((name) => [
      name,
      `sha384-${createHash("sha384")
        .update(readFileSync(join(dist, name)))
        .digest("base64")}`,
    ]),
  );
}
