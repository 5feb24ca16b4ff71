// What an agent's sessions may have of this machine beyond their box, as the configuration file says it [A9]. From the file alone: each field opens
// something.
import { z } from "zod";

/** Whether sessions run in boxes. `auto`: if this machine can make one, and always once the data folder has had one. */
export const isolations = ["required", "auto", "off"] as const;

export type IsolationWish = (typeof isolations)[number];

/** So that a path says where it lies, and where the box shows it. */
const isPlain = (path: string) =>
  !path
    .replace(/\/$/, "")
    .split("/")
    .slice(1)
    .some((part) => ["", ".", ".."].includes(part));

const hostPath = z
  .string()
  .max(4096)
  .regex(/^(\/|~\/)/, 'must be absolute, or begin with "~/"')
  // It would end, or part, an argument.
  .refine((path) => !/[\0\n\r]/.test(path), "must not contain a line break or NUL")
  .refine(isPlain, 'must not contain "//", "/./" or "/../"');

const paths = z.array(hostPath).max(500).default([]);

/** They say where things are in the box, or are the gateway's own business. */
const boxedVariable =
  /^(HOME|USER|LOGNAME|TMPDIR|CLAUDE_CONFIG_DIR|CLAUDE_SECURESTORAGE_CONFIG_DIR|ANTHROPIC_UNIX_SOCKET|SLUICE_.*)$/;

/** Networks: that of the host, or the model's API alone. */
export const networks = ["open", "none"] as const;

export type Network = (typeof networks)[number];

export const boxConfig = z.strictObject({
  /** Files and folders that are there to read; "~/…" is the gateway's home on the host, and the session's in the box. */
  read: paths,
  /** The same, to change. All sessions of the agent share them. */
  write: paths,
  devices: z
    .array(z.string().regex(/^(\/dev)(\/(?!\.{1,2}(\/|$))[\w.:-]+)+$/, "must be a path below /dev"))
    .max(50)
    .default([]),
  /** Variables of the gateway's environment. */
  env: z
    .array(
      z
        .string()
        .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must be the name of a variable")
        .refine((name) => !boxedVariable.test(name), "must not be a variable that the box or the gateway sets"),
    )
    .max(200)
    .default([]),
  /** Default: `none` for public agents that need no other network, else `open`. */
  network: z.enum(networks).optional(),
  /** Default: `write`. */
  workspace: z.enum(["write", "read"]).optional(),
  /** Lets `read` and `write` name Docker's socket. Who reaches that is root of this machine. */
  docker: z.boolean().default(false),
});

export type BoxConfig = z.infer<typeof boxConfig>;
