// What listens, and what processes of one user share in the kernel.
import { statfsSync } from "node:fs";
import { join } from "node:path";
import type { Grounds } from "../grounds.ts";
import type { Try } from "../try.ts";
import { bash, python, setting } from "./means.ts";

/** In Python: says what a Unix socket answers, however long its path is. */
const connect = (...addresses: readonly string[]) =>
  python(
    `def ask(address):
    asked = socket.socket(socket.AF_UNIX)
    folder = os.path.dirname(address)
    if folder: os.chdir(folder)
    asked.connect(os.path.basename(address) if folder else address)
    asked.settimeout(5)
    found(asked.recv(4096))
for address in ${JSON.stringify(addresses).replaceAll(String.raw`\u0000`, String.raw`\0`)}: without_fail(ask, address)`,
  );

const preysOf = ({ neighbour, bystander }: Grounds) => [neighbour, bystander];
const marksOf = (at: Grounds) => JSON.stringify(preysOf(at).map(({ mark }) => mark));
const keysOf = (at: Grounds) => JSON.stringify(preysOf(at).map(({ key }) => key));

/** POSIX message queues by the library that has them. */
const mailbox = `
try: posix = ctypes.CDLL("librt.so.1", use_errno=True)
except OSError: posix = libc`;

const reachingProcesses: readonly Try[] = [
  {
    title: "the socket of another session's tool",
    calls: (at) => [connect(...preysOf(at).map(({ folder, mark }) => join(folder, `${mark}.sock`)))],
    finds: ["neighbour.socket", "bystander.socket"],
  },
  {
    title: "the socket of a daemon",
    calls: (at) => [connect(at.socket)],
    finds: "daemon",
  },
  {
    title: "the socket of a daemon, by HTTP as with Docker's",
    calls: (at) => [
      bash(`curl --silent --max-time 5 --http0.9 --unix-socket ${at.socket} http://daemon/containers/json`),
    ],
    finds: "daemon",
  },
  {
    title: "the sockets by which CLIs talk to one another",
    calls: (at) => [
      python(`own = os.environ.get("CLAUDE_CODE_MESSAGING_SOCKET", "")
for root in ("${at.folder}", "/tmp"):
    for path, folders, names in os.walk(root):
        if os.path.basename(path) != "cc-socks": continue
        for name in names:
            if os.path.join(path, name) == own: continue
            os.chdir(path)
            if without_fail(lambda: socket.socket(socket.AF_UNIX).connect(name) or True): through()`),
    ],
    through: true,
  },
];

const shared: readonly Try[] = [
  {
    title: "System V shared memory of another session's tool",
    calls: (at) => [
      python(`for key in ${keysOf(at)}:
    segment = libc.shmget(key, 0, 0)
    if segment >= 0: found(ctypes.string_at(libc.shmat(segment, None, 0o10000), 4096))`),
    ],
    finds: ["neighbour.sysv", "bystander.sysv"],
  },
  {
    title: "a System V message queue",
    calls: (at) => [
      python(`for key in ${keysOf(at)}:
    queue = libc.msgget(key, 0)
    buffer = ctypes.create_string_buffer(4096)
    if queue >= 0 and libc.msgrcv(queue, buffer, ctypes.c_size_t(4000), ctypes.c_long(0), 0o4000) > 0: found(buffer.raw)`),
    ],
    finds: ["neighbour.message", "bystander.message"],
  },
  {
    title: "a POSIX message queue",
    calls: (at) => [
      python(`${mailbox}
for mark in ${marksOf(at)}:
    queue = posix.mq_open(f"/{mark}".encode(), os.O_RDONLY | os.O_NONBLOCK)
    buffer = ctypes.create_string_buffer(65536)
    if queue >= 0 and posix.mq_receive(queue, buffer, ctypes.c_size_t(65536), None) > 0: found(buffer.raw)`),
    ],
    finds: ["neighbour.mailbox", "bystander.mailbox"],
  },
  {
    title: "keys of another session's tool in the user's kernel keyring",
    calls: (at) => [
      python(`link, search, read, of_the_session, of_the_user = 8, 10, 11, -3, -4
# Read is only what the own session's keyring leads to.
call("keyctl", link, of_the_user, of_the_session)
for mark in ${marksOf(at)}:
    key = call("keyctl", search, of_the_user, b"user", mark.encode(), 0)
    buffer = ctypes.create_string_buffer(4096)
    if key > 0 and call("keyctl", read, key, buffer, 4096) > 0: found(buffer.raw)`),
    ],
    finds: ["neighbour.keyring", "bystander.keyring"],
  },
  {
    title: "keys in the kernel keyring of the login that started the gateway",
    calls: () => [
      python(`search, read, of_the_session = 10, 11, -3
key = call("keyctl", search, of_the_session, b"user", b"login", 0)
buffer = ctypes.create_string_buffer(4096)
if key > 0 and call("keyctl", read, key, buffer, 4096) > 0: found(buffer.raw)`),
    ],
    finds: "session-keyring",
  },
];

const terminals: readonly Try[] = [
  {
    title: "the terminal of another session's CLI: a line in its output",
    calls: (at) => [bash(`echo 'from another session' > ${at.neighbour.terminal}`)],
    does: async ({ neighbour }) => (await neighbour.heard()).includes("line_not_json"),
  },
  {
    title: "keys typed into another session's terminal",
    calls: (at) => [
      python(`import fcntl, termios
terminal = os.open("${at.neighbour.terminal}", os.O_RDWR | os.O_NOCTTY)
fcntl.ioctl(terminal, termios.TIOCSTI, b" ")
through()`),
    ],
    through: true,
    forms: ["root"],
    needs: () => setting("dev/tty/legacy_tiocsti") > 0,
  },
];

const watching: readonly Try[] = [
  {
    title: "what happens in another session's folder, watched",
    calls: (at) => [
      python(`watcher = libc.inotify_init()
if libc.inotify_add_watch(watcher, b"${at.neighbour.folder}", 0x100) >= 0: through()`),
    ],
    through: true,
  },
  {
    title: "every file that is opened on the machine, watched",
    calls: (at) => [
      python(`watcher = libc.fanotify_init(0, 0)
mount, opened, here = 0x10 | 1, ctypes.c_ulonglong(0x20), -100
if libc.fanotify_mark(watcher, mount, opened, here, b"${at.folder}") == 0: through()
elif libc.fanotify_mark(watcher, mount, opened, here, b"/usr") == 0: through()`),
    ],
    through: true,
    forms: ["root"],
  },
  {
    title: "the machine's memory, by file systems without a limit",
    calls: () => [
      python(`for line in open("/proc/self/mounts"):
    _, place, kind, *_ = line.split()
    if kind in ("tmpfs", "ramfs", "devtmpfs") and os.path.isdir(place) and os.access(place, os.W_OK):
        stat = os.statvfs(place)
        if stat.f_bavail * stat.f_frsize > 1 << 30: print(place); through()`),
    ],
    through: true,
    needs: () => hasLargeMemoryFolder(),
  },
];

/** Only a session without a network is defended against these. */
const network: readonly Try[] = [
  {
    title: "a program that listens on loopback",
    calls: (at) => [bash(`exec 3<>/dev/tcp/127.0.0.1/${at.port}; cat <&3`)],
    finds: "loopback",
  },
  {
    title: "the same through the socket to the model's API",
    calls: (at) => [
      bash(
        `ask="curl --silent --max-time 5 --http0.9"; $ask http://127.0.0.1:${at.port}/; for s in $(find /run/sluice -type s 2>/dev/null); do $ask --unix-socket $s http://127.0.0.1:${at.port}/; $ask --unix-socket $s --request-target 127.0.0.1:${at.port} -X CONNECT http://127.0.0.1:${at.port}/; done`,
      ),
    ],
    finds: "loopback",
  },
  {
    title: "an abstract socket of another session's tool",
    calls: (at) => [connect(...preysOf(at).map(({ mark }) => `\0${mark}`))],
    finds: ["neighbour.abstract", "bystander.abstract"],
  },
  {
    title: "the names of all sockets of the machine",
    calls: (at) => [bash(`cat /proc/net/unix | grep -q ${at.bystander.mark} && echo got''-through`)],
    through: true,
  },
  {
    title: "the gateway's own API on loopback",
    calls: (at) => [
      bash(
        `exec 3<>/dev/tcp/127.0.0.1/${new URL(at.gateway.address).port}; printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3; grep -q HTTP <&3 && echo got''-through`,
      ),
    ],
    through: true,
  },
  {
    title: "a program that answers to packets on loopback",
    calls: (at) => [
      python(`box = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
box.connect(("127.0.0.1", ${at.packetPort}))
box.send(b"anybody?")
box.settimeout(5)
found(box.recv(4096))`),
    ],
    finds: "packets",
  },
];

export const reaching: readonly Try[] = [
  ...reachingProcesses,
  ...shared,
  ...terminals,
  ...watching,
  ...network.map((row) => ({ by: "offline", ...row }) as const),
];

/** Whether /dev/shm of the machine takes more than a gigabyte. */
function hasLargeMemoryFolder(): boolean {
  const { bavail, bsize } = statfsSync("/dev/shm");
  return bavail * bsize > 1 << 30;
}
