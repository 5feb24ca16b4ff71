// What comes from a caller, checked against its schema: what is wrong is a refusal that names the field.
import type { z } from "zod";
import { GatewayError } from "./errors.ts";

/** Throws `invalid_request`. */
export function validated<Schema extends z.ZodType>(schema: Schema, value: unknown): z.infer<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = deepest(parsed.error.issues[0]!);
  const field = issue.path.join(".") || (issue.code === "unrecognized_keys" ? issue.keys[0] : undefined);
  const what =
    issue.code === "unrecognized_keys"
      ? `unknown field ${issue.keys.map((key) => `"${key}"`).join(", ")}`
      : isMissing(value, issue.path)
        ? "is missing"
        : issue.message;
  throw new GatewayError(
    "invalid_request",
    `${field === undefined ? "" : `${field}: `}${what}`.slice(0, 500),
    field === undefined ? {} : { field },
  );
}

function isMissing(value: unknown, path: readonly PropertyKey[]): boolean {
  const [first, ...rest] = path;
  if (first === undefined) return value === undefined;
  if (typeof value !== "object" || value === null) return false;
  return isMissing((value as Record<PropertyKey, unknown>)[first], rest);
}

/** Of a union's issues, the one of the branch that came furthest: it says what is really wrong. The union's own, where none took the value at all. */
function deepest(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== "invalid_union") return issue;
  const branches = issue.errors.flatMap((errors) => errors.slice(0, 1)).map(deepest);
  const depth = ({ path, code }: z.core.$ZodIssue) => path.length + (code === "invalid_type" ? 0 : 0.5);
  const best = branches.toSorted((a, b) => depth(b) - depth(a))[0];
  if (best && depth(best) > 0) return { ...best, path: [...issue.path, ...best.path] };
  return { ...issue, message: issue.message === "Invalid input" ? (best?.message ?? issue.message) : issue.message };
}
