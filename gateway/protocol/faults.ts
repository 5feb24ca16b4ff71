// What is wrong with a value that came from outside, in words: of requests, of the configuration file and of the environment alike. Schemas say
// in their own words what only they know ("must be an agent's name"); all the rest is said here.
import { z } from "zod";

export interface Fault {
  /** `prompt.0.text`; empty where the value as a whole is meant. */
  readonly field: string;
  readonly what: string;
}

export type Checked<Schema extends z.ZodType> =
  { readonly value: z.infer<Schema>; readonly faults?: undefined } | { readonly faults: Iterable<Fault> };

/** The value as the schema gives it, or its faults: unknown fields first, since a misspelt one is missing under its right name too. */
export function check<Schema extends z.ZodType>(schema: Schema, value: unknown): Checked<Schema> {
  const known = new Map<unknown, string[]>();
  const error = (issue: z.core.$ZodRawIssue) => {
    if (issue.code === "unrecognized_keys" && issue.inst instanceof z.ZodObject)
      known.set(issue.keys, Object.keys(issue.inst.shape));
    return words(issue);
  };
  const parsed = schema.safeParse(value, { error });
  return parsed.success ? { value: parsed.data } : { faults: faultsOf(parsed.error.issues, value, known) };
}

/** One after the other: a caller may send any number of wrong fields, and the first is what it is told. */
function* faultsOf(
  issues: readonly z.core.$ZodIssue[],
  value: unknown,
  known: ReadonlyMap<unknown, string[]>,
): Generator<Fault> {
  const isUnknown = ({ code }: z.core.$ZodIssue) => code === "unrecognized_keys";
  const deep = issues.map(deepest);
  for (const issue of [...deep.filter(isUnknown), ...deep.filter((one) => !isUnknown(one))]) {
    if (issue.code !== "unrecognized_keys") {
      const what = isMissing(value, issue.path) ? "is missing" : issue.message;
      yield { field: issue.path.join("."), what };
      continue;
    }
    for (const key of issue.keys) {
      const near = nearest(key, known.get(issue.keys) ?? []);
      const field = [...issue.path, key].join(".");
      yield { field, what: `is no known field${near === undefined ? "" : `; did you mean \`${near}\`?`}` };
    }
  }
}

const kinds: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};

/** Undefined: zod's own words, which no schema of ours gets to. */
function words(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      return `must be ${kinds[issue.expected] ?? issue.expected}`;
    case "too_big":
      return `must ${size(issue.origin, issue.inclusive === false ? "less than" : "at most", issue.maximum)}`;
    case "too_small":
      if (issue.minimum === 1 && (issue.origin === "string" || issue.origin === "array")) return "must not be empty";
      return `must ${size(issue.origin, issue.inclusive === false ? "more than" : "at least", issue.minimum)}`;
    case "invalid_value":
      return oneOf(issue.values);
    case "invalid_union":
      return Array.isArray(issue["options"]) ? oneOf(issue["options"]) : undefined;
    case "invalid_format":
      return `must be ${issue.format}`;
    default:
      return undefined;
  }
}

function size(origin: string, bound: string, limit: number | bigint): string {
  if (origin === "string") return `have ${bound} ${limit} characters`;
  return origin === "array" ? `have ${bound} ${limit} items` : `be ${bound} ${limit}`;
}

function oneOf(values: readonly unknown[]): string {
  return `must be ${values.length > 1 ? "one of " : ""}${values.join(", ")}`;
}

function isMissing(value: unknown, path: readonly PropertyKey[]): boolean {
  const [first, ...rest] = path;
  if (first === undefined) return value === undefined;
  if (typeof value !== "object" || value === null) return false;
  return isMissing((value as Record<PropertyKey, unknown>)[first], rest);
}

/** Of a union's issues, the one of the branch that came furthest: it says what is really wrong. The union's own, where none took the value at all. */
function deepest(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return issue;
  const branches = issue.errors.flatMap((errors) => errors.slice(0, 1)).map(deepest);
  const depth = ({ path, code }: z.core.$ZodIssue) => path.length + (code === "invalid_type" ? 0 : 0.5);
  const best = branches.toSorted((a, b) => depth(b) - depth(a))[0];
  if (best && depth(best) > 0) return { ...best, path: [...issue.path, ...best.path] };
  if (issue.message !== "Invalid input") return issue;
  const each = [...new Set(branches.map(({ message }) => message))].join(" or ");
  return { ...issue, message: each.replaceAll(" or must be ", " or ") };
}

/** The known name that a misspelt one is likely to mean. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const most = Math.min(2, Math.floor(name.length / 2));
  // What is longer is no misspelling, and could be of any length.
  const near = name.length > 40 ? [] : known.filter((one) => distance(name, one) <= most);
  return near.toSorted((a, b) => distance(name, a) - distance(name, b))[0];
}

/** How many signs must be put in, left out or exchanged to make one of the other (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++)
      next.push(Math.min(next[j]! + 1, row[j + 1]! + 1, row[j]! + (a[i] === b[j] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}
