// What the kernel offers: mounts, devices, namespaces, programs with more rights, settings of the whole machine. Most need root without a box, so they
// are tries against a gateway that runs as root. None changes the machine if it succeeds: values are written back as they were.
import { existsSync, lstatSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Grounds } from "../grounds.ts";
import { groupsOf } from "../machine.ts";
import { folderWith } from "../prey.ts";
import type { Try } from "../try.ts";
import { devices } from "./devices.ts";
import { bash, python, sayThrough } from "./means.ts";

/** Writes a file's own content into it. */
const writeBack = (path: string) => bash(`value=$(cat ${path}) && printf '%s\\n' "$value" > ${path} && ${sayThrough}`);

const secretOf = ({ srv }: Grounds) => `${srv}/app/.env`;

const mounts: readonly Try[] = [
  {
    title: "a file system mounted over another service's folder",
    calls: (at) => [bash(`mount -t tmpfs ${at.id} ${at.srv}/mounted`)],
    does: (at) => readFileSync("/proc/self/mountinfo", "utf8").includes(` ${at.srv}/mounted `),
  },
  {
    title: "another service's folder, mounted into the own one",
    calls: (at) => [bash(`mkdir bound && mount --bind ${at.srv} bound && cat bound/app/.env; umount -l bound`)],
    finds: "srv",
  },
  {
    title: "the same by a mount without a place (`open_tree`)",
    calls: (at) => [
      python(`import fcntl
clone, here = 1, -100
tree = call("open_tree", here, b"${at.srv}", clone)
if tree >= 0: found(os.read(os.open("app/.env", os.O_RDONLY, dir_fd=tree), 4096))`),
    ],
    finds: "srv",
  },
  {
    title: "a read-only mount made writable",
    calls: (at) => [
      bash(`mount -o remount,bind,rw /usr; mount -o remount,bind,rw /usr/local; echo x > /usr/local/${at.id}-planted`),
    ],
    does: (at) => existsSync(`/usr/local/${at.id}-planted`),
  },
  {
    title: "all devices of the machine, by a `devtmpfs`",
    calls: () => [
      bash(
        `mkdir devices && mount -t devtmpfs none devices && ls devices | grep -qx kmsg && ${sayThrough}; umount -l devices`,
      ),
    ],
    through: true,
  },
  {
    title: "a new /proc, without what covers parts of the old one",
    calls: () => [bash(`mkdir processes && mount -t proc none processes && ${sayThrough}; umount -l processes`)],
    through: true,
  },
  {
    title: "a mount that covers a folder, removed",
    calls: (at) => [bash(`umount -l ${at.covered}; cat ${at.covered}/.env`)],
    finds: "covered",
    needs: (at) => at.isCovered,
  },
  {
    title: "`pivot_root`",
    calls: (at) => [
      bash(
        `unshare --mount bash -c 'mkdir -p turned/old; mount --bind turned turned; cd turned; pivot_root . old; read -r line < /old${secretOf(at)}; echo "$line"'`,
      ),
    ],
    finds: "srv",
  },
];

const namespaces: readonly Try[] = [
  {
    title: "a chroot, left by a second one",
    calls: (at) => [
      python(`os.mkdir("jail")
os.chroot("jail")
for _ in range(64): os.chdir("..")
os.chroot(".")
found(open("${secretOf(at)}", "rb").read())`),
    ],
    finds: "srv",
    forms: ["root"],
  },
  {
    title: "a chroot to the root folder of a process outside",
    calls: (at) => [bash(`chroot /proc/${at.bystander.pid}/root cat ${secretOf(at)}`)],
    finds: "srv",
    forms: ["root"],
  },
  {
    title: "the namespaces of a process outside, entered",
    calls: (at) => [bash(`nsenter --target ${at.bystander.pid} --mount --uts --ipc --pid cat ${secretOf(at)}`)],
    finds: "srv",
    forms: ["root"],
  },
  {
    title: "a new user namespace, and a mount in it",
    calls: (at) => [
      bash(`unshare --map-root-user --mount bash -c 'mkdir -p mine; mount --rbind ${at.srv} mine; cat mine/app/.env'`),
    ],
    finds: "srv",
    needs: (at) => at.hasUserNamespaces,
  },
  {
    title: "the machine's name",
    calls: () => [bash(`hostname "$(hostname)" && ${sayThrough}`)],
    through: true,
    forms: ["root"],
  },
];

const settings: readonly Try[] = [
  {
    title: "the program that the kernel runs as root when another one crashes",
    calls: () => [writeBack("/proc/sys/kernel/core_pattern")],
    through: true,
  },
  {
    title: "the kernel's emergency keys",
    calls: () => [bash(`echo h > /proc/sysrq-trigger && ${sayThrough}`)],
    through: true,
    needs: () => existsSync("/proc/sysrq-trigger"),
  },
  {
    title: "the program that the kernel runs as root when a control group is empty",
    calls: (at) => [writeBack(at.releaseAgent!)],
    through: true,
    needs: (at) => at.releaseAgent !== undefined,
  },
  {
    title: "a control group, to hold up other processes",
    calls: (at) => [bash(`for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir $d/${at.id} && break; done`)],
    does: (at) => groupsOf(at.id).length > 0,
    needs: () => existsSync("/sys/fs/cgroup"),
  },
];

const programs: readonly Try[] = [
  {
    title: "a setuid program of root's in the workspace",
    by: "guest",
    calls: () => [bash("./cat-of-root .locked")],
    finds: "locked",
    needs: (at) => at.hasRaisedPrograms,
  },
  {
    title: "a program with a capability in the workspace",
    by: "guest",
    calls: () => [bash("./capable-cat .locked")],
    finds: "locked",
    needs: (at) => at.hasRaisedPrograms,
  },
  {
    title: "`su`",
    calls: (at) => [bash(`su --shell /bin/sh --command 'cat ${at.home}/.ssh/id_ed25519' root < /dev/null`)],
    finds: "ssh",
    forms: ["root"],
  },
  {
    title: "a setuid program of root's, made for others on the machine",
    calls: (at) => [bash(`cp /bin/true ${at.id}-made && chmod u+s ${at.id}-made`)],
    does: (at) => isSetuidOfRoot(at, `${at.id}-made`),
    forms: ["root"],
  },
  {
    title: "a program with a capability, made",
    calls: (at) => [
      bash(`cp /bin/true ${at.id}-able`),
      python(
        `os.setxattr("${at.id}-able", "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 2, 0, 0, 0))\nthrough()`,
      ),
    ],
    through: true,
    forms: ["root"],
  },
  {
    title: "another session's file, given to another user",
    calls: (at) => [bash(`chown 12345 ${at.neighbour.folder}/prey.py`)],
    does: (at) => statSync(join(at.neighbour.folder, "prey.py")).uid === 12345,
    forms: ["root"],
  },
];

const asRoot = (rows: readonly Try[]) => rows.map((row) => ({ forms: ["root"], ...row }) as const);

export const kernel: readonly Try[] = [
  ...asRoot(mounts),
  ...namespaces,
  ...asRoot(devices),
  ...asRoot(settings),
  ...programs,
];

function isSetuidOfRoot({ data }: Grounds, name: string): boolean {
  const folder = folderWith(name, data);
  if (folder === undefined) return false;
  const { uid, mode } = lstatSync(join(folder, name));
  return uid === 0 && (mode & 0o4000) !== 0;
}
