// Where a boxed process finds what is its own. Short, the same for every session, and without any path of the host's data folder.

/** The session's folders, as they are called on the host too: `<data>/sessions/<session>/<name>`. */
export const sessionParts = ["claude", "home", "workspace"] as const;

export type SessionPart = (typeof sessionParts)[number];

/** Where they are in the box. */
export const sessionRoot = "/session";

/** The private files of the process, read-only: MCP servers, instructions, settings. */
export const filesInBox = `${sessionRoot}/files`;

/** The login on disk, for agents that may have it. */
export const loginInBox = `${sessionRoot}/login`;

/** The socket that leads to the model's API, if that is all of the network there is. */
export const apiSocketInBox = `${sessionRoot}/api.sock`;

export const cliInBox = "/run/sluice/claude";

export const temporaryInBox = "/tmp";

/** Bytes that a box may hold in memory: /tmp, and shared memory. Both end with the process. */
export const temporaryBytes = 512 * 1024 * 1024;
export const sharedMemoryBytes = 64 * 1024 * 1024;
