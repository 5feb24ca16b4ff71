// What a session starts and wants to outlive it [P9]. Each ends by itself within a minute.
import { setTimeout as wait } from "node:timers/promises";
import { signalIfThere } from "../../../../gateway/claude/process-table.ts";
import type { Grounds } from "../grounds.ts";
import { pidsWith } from "../prey.ts";
import type { Desk, Try } from "../try.ts";
import { bash, python } from "./means.ts";

/** An argument that is unique on the machine. */
const markOf = ({ id }: Grounds, name: string) => `${id}-${name}`;

const remove = async ({ client, session }: Desk) =>
  (await client.fetch(`/api/sessions/${session}`, { method: "DELETE" })).text();

/** Whether it lives on; ends it if so. It looks more than once: a process that changes its pid may be missed. */
async function livesOn(at: Grounds, name: string): Promise<boolean> {
  const mark = markOf(at, name);
  let isThere = false;
  for (let look = 0; look < 10; look++) {
    const pids = pidsWith(mark);
    isThere ||= pids.length > 0;
    for (const pid of pids) signalIfThere(pid, "SIGKILL");
    await wait(20);
  }
  return isThere;
}

const sleeper = (mark: string) => `bash -c 'sleep 60; :' ${mark}`;

/** The last one of a session deletes it. */
const rows: readonly Try[] = [
  {
    title: "a process in a new session (`setsid`), without the environment that marks it",
    calls: (at) => [bash(`env -i setsid ${sleeper(markOf(at, "setsid"))} >/dev/null 2>&1 </dev/null & true`)],
    does: (at) => livesOn(at, "setsid"),
  },
  {
    title: "a daemon: forked twice, without open files, ignoring signals",
    calls: (at) => [
      python(`import signal
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in range(1, 32): signal.signal(number, signal.SIG_IGN) if number not in (9, 19) else None
        os.closerange(0, 64)
        os.chdir("/")
        os.execve("/bin/bash", ["bash", "-c", "sleep 60; :", "${markOf(at, "daemon")}"], {})
    os._exit(0)`),
    ],
    does: (at) => livesOn(at, "daemon"),
  },
  {
    title: "a process that forks and exits every few milliseconds",
    calls: (at) => [
      bash(`cat > hop.py <<'PY'
import os, sys, time
end = time.monotonic() + 20
while time.monotonic() < end:
    if os.fork(): os._exit(0)
    os.setsid()
    time.sleep(0.01)
PY
env -i setsid python3 hop.py ${markOf(at, "hop")} >/dev/null 2>&1 </dev/null & true`),
    ],
    afterwards: remove,
    does: (at) => livesOn(at, "hop"),
  },
  {
    title: "a process whose CLI is killed by its own tool",
    calls: (at) => [
      bash(
        `env -i setsid ${sleeper(markOf(at, "orphan"))} >/dev/null 2>&1 </dev/null & sleep 0.1; kill -9 $CLAUDE_PID`,
      ),
    ],
    afterwards: remove,
    session: "orphan",
    does: (at) => livesOn(at, "orphan"),
    endsItself: true,
  },
];

export const staying: readonly Try[] = rows.map((row) => ({ session: "ended", ...row }));

/** Without a box this is the end of the gateway, too. */
export const everything: readonly Try[] = [
  {
    title: "`kill -9 -1`: every process of the user",
    calls: () => [bash("kill -9 -1")],
    does: (at) => pidsWith(at.bystander.mark).length === 0,
    forms: ["user"],
    needs: (at) => at.hasOwnUid,
    session: "last",
    isLast: true,
    endsItself: true,
  },
];
