// [A7] An error as the log has it: where it happened and what kind it is. An error's own fields, and the messages of those that quote what they
// could not read, may hold a prompt or a secret.

interface LoggedError {
  readonly type: string;
  readonly message?: string;
  readonly code?: string | number;
  /** The calls that led there, without the message that heads a stack. */
  readonly stack: string;
  readonly cause?: LoggedError;
}

const maxMessageChars = 300;
const maxCauses = 5;

/** C1 controls, which old terminals obey as they do escapes; zero-width, bidi and invisible formatting characters. JSON leaves them as they are. */
const unseen = /[\u007f-\u009f\u{e0000}-\u{e007f}]|\p{Cf}|\p{Zl}|\p{Zp}/gu;

/** A line of the log, of JSON, in which whoever reads it in a terminal sees every character. It means the same. */
export function escapedLine(line: string): string {
  return line.replace(unseen, (character) =>
    Array.from(
      { length: character.length },
      (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`,
    ).join(""),
  );
}

/** A serializer for pino's `err`. */
export function loggedError(error: unknown, depth = 0): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error, stack: "" };
  const { code } = error as { code?: unknown };
  const calls = (error.stack ?? "").split("\n").filter((line) => /^ {4}at /.test(line));
  return {
    type: error.name,
    // JSON.parse puts the beginning of its input there.
    ...(error instanceof SyntaxError ? {} : { message: error.message.slice(0, maxMessageChars) }),
    ...(typeof code === "string" || typeof code === "number" ? { code } : {}),
    stack: calls.join("\n"),
    ...(error.cause === undefined || depth >= maxCauses ? {} : { cause: loggedError(error.cause, depth + 1) }),
  };
}
