// `${NAME}` in an agent's MCP servers: a secret stands in the gateway's environment, and not in the configuration file. Pure.

type Servers = Readonly<Record<string, unknown>>;

/** Where a name stands, as `server.env.TOKEN`, and the name. */
export interface NamedVariable {
  readonly field: string;
  readonly name: string;
}

const pattern = /\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g;

/** Each variable that the strings in these servers name. */
export function variablesIn(servers: Servers): NamedVariable[] {
  return Object.entries(servers).flatMap(([key, value]) =>
    stringsIn(value, key).flatMap(({ field, text }) =>
      [...text.matchAll(pattern)].map(([, name]) => ({ field, name: name! })),
    ),
  );
}

/** The servers with their values in place; a name without one is left as it stands. Keys are no strings of theirs. */
export function withVariables<Value>(servers: Value, values: Readonly<Record<string, string | undefined>>): Value {
  return replaced(servers, values) as Value;
}

function replaced(value: unknown, values: Readonly<Record<string, string | undefined>>): unknown {
  // Once: a value is no text with names in it.
  if (typeof value === "string") return value.replace(pattern, (whole, name: string) => values[name] ?? whole);
  if (Array.isArray(value)) return value.map((item) => replaced(item, values));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, replaced(item, values)]));
}

function stringsIn(value: unknown, field: string): { readonly field: string; readonly text: string }[] {
  if (typeof value === "string") return [{ field, text: value }];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => stringsIn(item, `${field}.${key}`));
}
