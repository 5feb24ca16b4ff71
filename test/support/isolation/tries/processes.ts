// Other processes: what can be read of them, and what can be done to them. Each kind of harm has its own children of the preys.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Grounds } from "../grounds.ts";
import { isAlive, stateOf, type ChildRole, type Prey } from "../prey.ts";
import type { Try } from "../try.ts";
import { bash, python, secrets, withPid } from "./means.ts";

const preysOf = ({ neighbour, bystander }: Grounds): readonly Prey[] => [neighbour, bystander];

/** A command for each child of this role, whose argument and pid on the machine the attacker knows. */
const toEach = (at: Grounds, role: ChildRole, command: string) =>
  bash(
    preysOf(at)
      .map((prey) => `${withPid(prey.childMark(role), command)}; pid=${prey.child(role)}; ${command}`)
      .join("\n"),
  );

/** The same in Python; `pid` is a child's. */
const toEachInPython = (at: Grounds, role: ChildRole, code: string) => {
  const marks = preysOf(at).map((prey) => prey.childMark(role));
  const known = preysOf(at).map((prey) => prey.child(role));
  return python(
    `for pid in [*${JSON.stringify(known)}, *(pid for mark in ${JSON.stringify(marks)} for pid in pids(mark))]: without_fail(lambda: ${code})`,
  );
};

/** In Python: for both preys, by what can be found of them and by their pids on the machine. */
const lookInto = (at: Grounds, code: string) => {
  const marks = JSON.stringify(preysOf(at).map(({ mark }) => mark));
  const known = JSON.stringify(preysOf(at).map(({ pid }) => pid));
  return python(
    `def look(pid):\n${code.replaceAll(/^/gm, "    ")}\nfor pid in {*${known}, *(pid for mark in ${marks} for pid in pids(mark))}: without_fail(look, pid)`,
  );
};

const anyOf = (at: Grounds, role: ChildRole, fits: (pid: number) => boolean) =>
  preysOf(at).some((prey) => fits(prey.child(role)));
const isKilled = (pid: number) => !isAlive(pid);
const fileOf = (pid: number, name: string) => (isAlive(pid) ? readFileSync(`/proc/${pid}/${name}`, "utf8") : "");

/** How many TCP ports a process listens on. */
function listenersOf(pid: number): number {
  const held = new Set(readdirSync(`/proc/${pid}/fd`).map((fd) => linkOf(`/proc/${pid}/fd/${fd}`)));
  const listening = readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state]) => state === "0A");
  return listening.filter((fields) => held.has(`socket:[${fields[9]}]`)).length;
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    // Closed meanwhile.
    return undefined;
  }
}

const both = (name: "argv" | "environ" | "memory" | "open" | "note") =>
  [`neighbour.${name}`, `bystander.${name}`] as const;

export const processes: readonly Try[] = [
  {
    title: "`ps` shows other processes' arguments",
    calls: () => [bash(`ps -eww -o args | ${secrets}`)],
    finds: both("argv"),
  },
  {
    title: "/proc/<pid>/cmdline of every process",
    calls: () => [bash(`cat /proc/[0-9]*/cmdline 2>/dev/null | ${secrets}`)],
    finds: both("argv"),
  },
  {
    title: "/proc/<pid>/environ of every process, the gateway among them",
    calls: () => [bash(`cat /proc/[0-9]*/environ 2>/dev/null | ${secrets}`)],
    finds: [...both("environ"), "environment"],
  },
  {
    title: "/proc/<pid>/cwd of another session's tool",
    calls: (at) => [bash(`cat /proc/[0-9]*/cwd/note-prey-*.txt /proc/${at.neighbour.pid}/cwd/note-*.txt 2>/dev/null`)],
    finds: both("note"),
    control: "cli",
  },
  {
    title: "/proc/<pid>/fd: a file that another session's tool has open, and that has no name any more",
    calls: () => [bash(`find /proc/[0-9]*/fd -lname '*gone-prey-*' -exec cat {} + 2>/dev/null`)],
    finds: both("open"),
  },
  {
    title: "/proc/<pid>/mem",
    calls: (at) => [
      lookInto(
        at,
        `memory = open(f"/proc/{pid}/mem", "rb", 0)
for start, end, _ in areas(pid):
    memory.seek(start)
    found(without_fail(memory.read, end - start) or b"")`,
      ),
    ],
    finds: both("memory"),
  },
  {
    title: "`process_vm_readv`",
    calls: (at) => [
      lookInto(
        at,
        `for start, end, _ in areas(pid):
    size = end - start
    buffer = ctypes.create_string_buffer(size)
    local, remote = struct.pack("PN", ctypes.addressof(buffer), size), struct.pack("PN", start, size)
    if call("process_vm_readv", pid, local, 1, remote, 1, 0) > 0: found(buffer.raw)`,
      ),
    ],
    finds: both("memory"),
  },
  {
    title: "`ptrace`: attached to another session's tool",
    calls: (at) => [
      lookInto(
        at,
        `if libc.ptrace(16, pid, None, None) == 0:
    os.waitpid(pid, 0x40000000)
    through()
    libc.ptrace(17, pid, None, None)`,
      ),
    ],
    through: true,
  },
  {
    title: "`pidfd_getfd`: another process's open file, taken",
    calls: (at) => [
      lookInto(
        at,
        `handle = os.pidfd_open(pid)
for number in range(3, 12):
    taken = call("pidfd_getfd", handle, number, 0)
    if taken >= 0: found(without_fail(os.pread, taken, 4096, 0) or b"")`,
      ),
    ],
    finds: both("open"),
  },
  {
    title: "`kill -9` of another session's process",
    calls: (at) => [toEach(at, "kill", 'kill -9 "$pid"')],
    does: (at) => anyOf(at, "kill", isKilled),
  },
  {
    title: "SIGSTOP to another session's process",
    calls: (at) => [toEach(at, "stop", 'kill -STOP "$pid"')],
    does: (at) => anyOf(at, "stop", (pid) => stateOf(pid) === "T"),
  },
  {
    title: "a signal to another session's process group",
    calls: (at) => [toEach(at, "group", 'kill -9 -- "-$pid"')],
    does: (at) => anyOf(at, "group", isKilled),
  },
  {
    title: "a signal to one thread, by `tgkill`",
    calls: (at) => [toEachInPython(at, "thread", 'call("tgkill", pid, pid, 9)')],
    does: (at) => anyOf(at, "thread", isKilled),
  },
  {
    title: "a signal by a pidfd",
    calls: (at) => [toEachInPython(at, "pidfd", 'call("pidfd_send_signal", os.pidfd_open(pid), 9, None, 0)')],
    does: (at) => anyOf(at, "pidfd", isKilled),
  },
  {
    title: "`prlimit` of another session's process",
    calls: (at) => [toEach(at, "limits", 'prlimit --pid "$pid" --nofile=7:7')],
    does: (at) => anyOf(at, "limits", (pid) => /Max open files +7 +7 /.test(fileOf(pid, "limits"))),
  },
  {
    title: "another session's process first in line when memory is short",
    calls: (at) => [toEach(at, "oom", 'echo 789 > "/proc/$pid/oom_score_adj"')],
    does: (at) => anyOf(at, "oom", (pid) => fileOf(pid, "oom_score_adj").trim() === "789"),
  },
  {
    title: "`renice` of another session's process",
    calls: (at) => [toEach(at, "priority", 'renice -n 17 -p "$pid"')],
    does: (at) => anyOf(at, "priority", (pid) => fileOf(pid, "stat").split(") ")[1]?.split(" ")[16] === "17"),
  },
  {
    title: "SIGUSR1 to the gateway, which opens the debugger of its Node",
    calls: (at) => [bash(`kill -USR1 ${at.gateway.pid}`)],
    does: (at) => listenersOf(at.gateway.pid) > 1,
  },
];
