// Devices of the machine, and what the kernel shows of all of it. Each needs root without a box.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import type { Grounds } from "../grounds.ts";
import type { Try } from "../try.ts";
import { bash, python, sayThrough, setting } from "./means.ts";

const secretOf = ({ srv }: Grounds) => `${srv}/app/.env`;

export const devices: readonly Try[] = [
  {
    title: "a device made by `mknod`",
    calls: () => [bash(`mknod zero c 1 5 && head -c 1 zero >/dev/null && ${sayThrough}`)],
    through: true,
  },
  {
    title: "the disk, by its device",
    calls: (at) => [bash(`head -c 1 ${at.disk} | wc -c | grep -q 1 && ${sayThrough}`)],
    through: true,
    needs: (at) => at.disk !== undefined,
  },
  {
    title: "the machine's memory, by /dev/mem",
    calls: () => [bash(`head -c 1 /dev/mem >/dev/null && ${sayThrough}`)],
    through: true,
    needs: () => existsSync("/dev/mem"),
  },
  {
    title: "the kernel's log, by /dev/kmsg",
    calls: () => [bash(`timeout 5 dd if=/dev/kmsg bs=8k count=1 2>/dev/null | grep -q . && ${sayThrough}`)],
    through: true,
    needs: () => existsSync("/dev/kmsg"),
  },
  {
    title: "the kernel's log, by its system call",
    calls: () => [python("if libc.klogctl(3, ctypes.create_string_buffer(4096), 4096) > 0: through()")],
    through: true,
    needs: () => setting("kernel/dmesg_restrict") > 0,
  },
  {
    title: "every packet of the machine",
    calls: () => [
      python(
        "without_fail(socket.socket, socket.AF_PACKET, socket.SOCK_RAW, 0x0300)\nsocket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x0300)\nthrough()",
      ),
    ],
    through: true,
  },
  {
    title: "a program in the kernel (`bpf`)",
    calls: () => [
      python(`attributes = struct.pack("IIIII", 1, 4, 4, 1, 0).ljust(128, b"\\0")
if call("bpf", 0, attributes, 128) >= 0: through()`),
    ],
    through: true,
    needs: () => setting("kernel/unprivileged_bpf_disabled") > 0,
  },
  {
    title: "what every processor does (`perf_event_open`)",
    calls: () => [
      python(`size = 128
attributes = struct.pack("IIQ", 1, size, 0).ljust(size, b"\\0")
if call("perf_event_open", attributes, -1, 0, -1, 0) >= 0: through()`),
    ],
    through: true,
    needs: () => setting("kernel/perf_event_paranoid") > 0,
  },
  {
    title: "a file by its inode, past every folder (`open_by_handle_at`)",
    calls: (at) => [
      python(`handle = bytes.fromhex("${handleOf(secretOf(at))}")
for place in (".", "/", "/usr", "/tmp"):
    opened = call("open_by_handle_at", os.open(place, os.O_RDONLY), handle, 0)
    if opened >= 0: found(os.read(opened, 4096)); break`),
    ],
    finds: "srv",
    needs: (at) => handleOf(secretOf(at)) !== "",
  },
];

/** The kernel's own name for a file, in hex; empty if its file system has none. */
function handleOf(path: string): string {
  const code = `import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
handle, mount = ctypes.create_string_buffer(struct.pack("Ii", 128, 0), 136), ctypes.c_int()
number = 303 if os.uname().machine == "x86_64" else 264
if libc.syscall(number, -100, sys.argv[1].encode(), handle, ctypes.byref(mount), 0) == 0:
    print(handle.raw[: 8 + struct.unpack("I", handle.raw[:4])[0]].hex())`;
  return execFileSync("python3", ["-c", code, path], { encoding: "utf8" }).trim();
}
