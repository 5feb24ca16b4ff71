// What tries are made of: tool calls, and the shell and Python code that they run. No command has a word that counts as success in one piece.
import { existsSync, readFileSync } from "node:fs";
import type { Call, Try } from "../try.ts";

export function bash(command: string): Call {
  return { name: "Bash", input: { command } };
}

export function tool(name: string, input: Readonly<Record<string, unknown>>): Call {
  return { name, input };
}

/** After `&&`: says that the command before it was let do what it does. */
export const sayThrough = "echo got''-through";

/** Every secret in the input, each on a line. */
export const secrets = "grep -aohE 'trove-[a-z.-]+-[0-9a-f]{12}' | sort -u";

/** Runs a command for each process that has an argument; the shell's `pid` is its pid. The search does not find itself. */
export function withPid(mark: string, command: string): string {
  return `for f in $(grep -la '${unlikeItself(mark)}' /proc/[0-9]*/cmdline 2>/dev/null); do pid=\${f#/proc/}; pid=\${pid%/cmdline}; ${command}; done`;
}

/** A pattern that finds a text, and not the command that looks for it. */
export function unlikeItself(text: string): string {
  return `[${text[0]}]${text.slice(1)}`;
}

/** Runs Python with the kit below. */
export function python(code: string): Call {
  return bash(`python3 - <<'PY'\n${kit}${code}\nPY`);
}

const kit = String.raw`
import ctypes, glob, mmap, os, re, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.shmat.restype = ctypes.c_void_p
intel = os.uname().machine == "x86_64"

def call(name, *args):
    numbers = {"keyctl": (250, 219), "bpf": (321, 280), "perf_event_open": (298, 241), "name_to_handle_at": (303, 264),
        "open_by_handle_at": (304, 265), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_getfd": (438, 438),
        "pidfd_send_signal": (424, 424), "tgkill": (234, 131), "mount": (165, 40), "pivot_root": (155, 41), "open_tree": (428, 428),
        "move_mount": (429, 429), "kcmp": (312, 272), "request_key": (249, 218), "add_key": (248, 217)}
    # As longs: of a shorter number the kernel would read too much.
    return libc.syscall(numbers[name][0 if intel else 1], *(ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args))

def found(data):
    for secret in sorted(set(re.findall(rb"trove-[a-z.-]+-[0-9a-f]{12}", data))):
        print(secret.decode())

def through():
    print("got" + "-through")

def pids(mark):
    for name in os.listdir("/proc"):
        try:
            args = open(f"/proc/{name}/cmdline", "rb").read().split(b"\0") if name.isdigit() else []
        except OSError:
            continue
        if mark.encode() in args and int(name) != os.getpid():
            yield int(name)

def areas(pid):
    for line in open(f"/proc/{pid}/maps"):
        span, rights, *rest = line.split(maxsplit=5)
        start, end = (int(part, 16) for part in span.split("-"))
        if rights.startswith("rw") and end - start < 1 << 26:
            yield start, end, rest[-1].strip()

def without_fail(act, *args):
    try:
        return act(*args)
    except OSError as error:
        print(error)
`;

/** Whether a file of the machine is there and has these words. */
export function fileHas(path: string, words: string): boolean {
  return existsSync(path) && readFileSync(path, "utf8").includes(words);
}

/** A numeric setting of the kernel; 0 if there is none of that name. */
export function setting(name: string): number {
  const path = `/proc/sys/${name}`;
  return existsSync(path) ? Number(readFileSync(path, "utf8")) : 0;
}

const programs = [
  ..."awk bash cat chroot curl dd find git grep head mount nsenter perl pivot_root prlimit ps python3 renice sed".split(
    " ",
  ),
  ..."setsid su tar umount unshare".split(" "),
];

/** Not a try itself: it checks that the programs are there which the tries use. Without them a try would fail for the wrong reason. */
export const means: Try = {
  title: "the programs of the tries",
  calls: () => [
    bash(
      `for program in ${programs.join(" ")}; do command -v $program >/dev/null || { echo missing: $program; exit 1; }; done; python3 -c 'import ctypes, fcntl, sqlite3' && ${sayThrough}`,
    ),
  ],
  through: true,
};
