// [A9] The system calls that a box does not have, as a program of the kernel's packet filter that bubblewrap loads (seccomp(2), linux/seccomp.h,
// linux/filter.h). Kernel keyrings know users and no namespaces: by them a session would reach keys of whoever has its uid, and of the login
// that the gateway was started from. Pure.

/** How the kernel names a processor in `struct seccomp_data` (linux/audit.h), and its numbers of the calls. */
interface Processor {
  readonly architecture: number;
  /** add_key, request_key, keyctl. */
  readonly keyrings: readonly number[];
  /** Numbers from here on are the same calls once more, in another form. */
  readonly otherForm?: number;
}

/** What Claude Code is made for, and the 32-bit programs that an x86-64 kernel runs too. */
const processors: readonly Processor[] = [
  // Its other form is x32.
  { architecture: 0xc000_003e, keyrings: [248, 249, 250], otherForm: 0x4000_0000 },
  // ARM64.
  { architecture: 0xc000_00b7, keyrings: [217, 218, 219] },
  // i386.
  { architecture: 0x4000_0003, keyrings: [286, 287, 288] },
];

/** The same for programs of 64 bits, in Node's words. */
export const filteredProcessors = ["x64", "arm64"];

/** Offsets in `struct seccomp_data`. */
const [numberOfCall, architectureOfCall] = [0, 4];

/** Codes of `struct sock_filter`: load a word; jump if it equals `k`, or is not below it; return `k`. */
const [load, jumpIfEqual, jumpIfNotBelow, leave] = [0x20, 0x15, 0x35, 0x06];

/** What the filter returns: SECCOMP_RET_ALLOW, and SECCOMP_RET_ERRNO with ENOSYS, which programs know from kernels without keyrings. */
const [allow, refuse] = [0x7fff_0000, 0x0005_0000 | 38];

interface Instruction {
  readonly code: number;
  /** How many instructions are passed over if the comparison does not hold. */
  readonly otherwise?: number;
  readonly k: number;
}

/** Everything is let through but those calls; of a processor that is not listed, nothing. */
export function keyringFilter(): Buffer {
  const program = [
    { code: load, k: architectureOfCall },
    ...processors.flatMap(instructionsFor),
    { code: leave, k: refuse },
  ];
  return Buffer.concat(program.map(encoded));
}

function instructionsFor({ architecture, keyrings, otherForm }: Processor): Instruction[] {
  const body = [
    { code: load, k: numberOfCall },
    ...(otherForm === undefined ? [] : refuseIf(jumpIfNotBelow, otherForm)),
    ...keyrings.flatMap((number) => refuseIf(jumpIfEqual, number)),
    { code: leave, k: allow },
  ];
  return [{ code: jumpIfEqual, otherwise: body.length, k: architecture }, ...body];
}

function refuseIf(code: number, k: number): Instruction[] {
  return [
    { code, otherwise: 1, k },
    { code: leave, k: refuse },
  ];
}

/** `struct sock_filter`, in the byte order that all of these processors have. */
function encoded({ code, otherwise = 0, k }: Instruction): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(code, 0);
  // Between them, what is passed over if it holds: nothing.
  bytes.writeUInt8(otherwise, 3);
  bytes.writeUInt32LE(k, 4);
  return bytes;
}
