// What comes from a caller, checked against its schema: what is wrong is a refusal that names the field.
import type { z } from "zod";
import { GatewayError } from "./errors.ts";
import { check } from "./faults.ts";

/** Throws `invalid_request`, with the first fault. */
export function validated<Schema extends z.ZodType>(schema: Schema, value: unknown): z.infer<Schema> {
  const checked = check(schema, value);
  if (!checked.faults) return checked.value;
  // There is at least one.
  const [fault] = checked.faults;
  const { field, what } = fault!;
  throw new GatewayError(
    "invalid_request",
    (field === "" ? `The body ${what}.` : `${field}: ${what}`).slice(0, 500),
    field === "" ? {} : { field },
  );
}
