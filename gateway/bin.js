#!/usr/bin/env node
// Starts the gateway on the right Node: the running one if it is new enough, else the one of the npm package `node`.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import module, { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const neededMajor = 24;

if (Number(process.versions.node.split(".")[0]) >= neededMajor) {
  module.enableCompileCache?.();
  endWithParent();
  const source = new URL("./main.ts", import.meta.url);
  const built = new URL("../dist/main.js", import.meta.url);
  const { main } = await import(existsSync(source) ? source.href : built.href);
  process.exitCode = await main(process.argv.slice(2));
} else {
  const node = packagedNode();
  if (node === undefined) {
    console.error(
      `Sluice needs Node ${neededMajor} or newer; this is ${process.version}, and the npm package "node" is not installed.`,
    );
    console.error("Run `npm install` again with install scripts allowed, or use a newer Node.");
    process.exit(1);
  }
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
}

/** Whoever started this on the right Node may be killed outright: its channel shows that. */
function endWithParent() {
  if (!process.channel) return;
  process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
  process.channel.unref();
}

function packagedNode() {
  try {
    const path = createRequire(import.meta.url).resolve("node/bin/node");
    return existsSync(path) ? path : undefined;
  } catch {
    // The package is not installed, or its install script did not run.
    return undefined;
  }
}
