// Once before the widget's suites in a browser, and before it is measured: what is tested is what is built now, not some day.
import { execFileSync } from "node:child_process";

export function setup(): void {
  const root = new URL("../..", import.meta.url).pathname;
  execFileSync("npm", ["run", "build:widget"], { cwd: root, stdio: "pipe" });
}
