// The table of all tries, in groups. A new one is a row in one of them: see try.ts for its fields and tries/means.ts for what to make it of.
import { isSameAnyway } from "./attackers.ts";
import type { Form, Try } from "./try.ts";
import { byTools } from "./tries/by-tools.ts";
import { kernel } from "./tries/kernel.ts";
import { links } from "./tries/links.ts";
import { ownCli } from "./tries/own-cli.ts";
import { processes } from "./tries/processes.ts";
import { reaching } from "./tries/reaching.ts";
import { reading } from "./tries/reading.ts";
import { repository } from "./tries/repository.ts";
import { everything, staying } from "./tries/staying.ts";
import { writing } from "./tries/writing.ts";

export interface Group {
  readonly name: string;
  /** The rule that they try to break. */
  readonly rule: "A9" | "P9";
  readonly tries: readonly Try[];
}

export const groups: readonly Group[] = [
  { name: "Reading by commands", rule: "A9", tries: reading },
  { name: "The CLI's own tools", rule: "A9", tries: byTools },
  { name: "Other processes", rule: "A9", tries: [...processes, ...everything] },
  { name: "The session's own CLI", rule: "A9", tries: ownCli },
  { name: "Sockets and shared memory", rule: "A9", tries: reaching },
  { name: "The kernel", rule: "A9", tries: kernel },
  { name: "The repository of a worktree", rule: "A9", tries: repository },
  { name: "Links for the gateway", rule: "A9", tries: links },
  { name: "Writing by commands", rule: "A9", tries: writing },
  { name: "Outliving the session", rule: "P9", tries: staying },
];

/** Those for one form, of the forms that can be had. What does not depend on the form is in the first. */
export function triesIn(form: Form, forms: readonly Form[]): { readonly title: string; readonly row: Try }[] {
  const isHere = ({ forms: only, isOnce, by = "shell" }: Try) =>
    (only?.includes(form) ?? true) && (form === forms[0] || !(isOnce ?? isSameAnyway(by)));
  return groups.flatMap(({ name, rule, tries }) =>
    tries.filter(isHere).map((row) => ({ title: `[${rule}] ${name}: ${row.title}`, row })),
  );
}

const allForms: readonly Form[] = ["root", "user"];

/** The table for a page of the documentation: what is tried, and in which forms a box holds it. */
export function triesAsMarkdown(): string {
  const cell = (row: Try, form: Form) => ((row.forms ?? allForms).includes(form) ? "held" : "–");
  const lines = ({ name, tries }: Group) => [
    `### ${name}`,
    "",
    "| Tried | Gateway as root | As an ordinary user |",
    "| --- | --- | --- |",
    ...tries.map((row) => `| ${row.title.replaceAll("|", "\\|")} | ${cell(row, "root")} | ${cell(row, "user")} |`),
    "",
  ];
  return groups.flatMap(lines).join("\n");
}
