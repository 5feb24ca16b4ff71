import { expect, test } from "vitest";
import { variablesIn, withVariables } from "../../../gateway/claude/expansion.ts";

const servers = {
  wiki: {
    type: "http",
    url: "https://wiki.example/${SPACE}/mcp",
    headers: { Authorization: "Bearer ${WIKI_TOKEN}", "X-${SPACE}": "plain" },
    timeout: 5,
  },
  files: { command: "node", args: ["${ROOT}/server.js", "$ROOT", "${ROOT:-/srv}", "${not a name}", null] },
};

test("each variable that a value names is found where it stands; keys, and what looks like one, are none", () =>
  expect(variablesIn(servers)).toEqual([
    { field: "wiki.url", name: "SPACE" },
    { field: "wiki.headers.Authorization", name: "WIKI_TOKEN" },
    { field: "files.args.0", name: "ROOT" },
  ]));

test("values take the names' place, all else stays as it is, and nothing is changed in the original", () => {
  const before = structuredClone(servers);
  expect(withVariables(servers, { SPACE: "docs", WIKI_TOKEN: "s3cret", ROOT: "/srv" })).toEqual({
    wiki: {
      type: "http",
      url: "https://wiki.example/docs/mcp",
      headers: { Authorization: "Bearer s3cret", "X-${SPACE}": "plain" },
      timeout: 5,
    },
    files: { command: "node", args: ["/srv/server.js", "$ROOT", "${ROOT:-/srv}", "${not a name}", null] },
  });
  expect(servers).toEqual(before);
});

test("a value is taken as it is, whatever signs it has, and a name without one is left", () => {
  const value = withVariables({ a: "${A}${B}${C}" }, { A: "$& $1 ${B}", B: "" });
  expect(value).toEqual({ a: "$& $1 ${B}${C}" });
});
