import { expect, test } from "vitest";
import { keyringFilter } from "../../../../gateway/claude/box/call-filter.ts";

const [intel, arm, intel32] = [0xc000_003e, 0xc000_00b7, 0x4000_0003];
/** ARM of 32 bits, RISC-V, PowerPC in the other byte order. */
const others = [0x4000_0028, 0xc000_00f3, 0x8000_0015];

const program = keyringFilter();
const allowed = "allowed";
const noSuchCall = "ENOSYS";

/** What the kernel does with a call, as it reads the program (linux/filter.h, linux/bpf_common.h). */
function verdictOn(number: number, architecture: number): string {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number >>> 0, 0);
  data.writeUInt32LE(architecture, 4);
  let accumulator = 0;
  for (let at = 0; at < program.length;) {
    const [code, jt, jf, k] = [
      program.readUInt16LE(at),
      program.readUInt8(at + 2),
      program.readUInt8(at + 3),
      program.readUInt32LE(at + 4),
    ];
    at += 8;
    // BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_JMP|BPF_JGE|BPF_K, BPF_RET|BPF_K.
    if (code === 0x20) accumulator = data.readUInt32LE(k);
    else if (code === 0x15) at += 8 * (accumulator === k ? jt : jf);
    else if (code === 0x35) at += 8 * (accumulator >= k ? jt : jf);
    else if (code === 0x06) return k === 0x7fff_0000 ? allowed : k === 0x0005_0026 ? noSuchCall : `returns ${k}`;
    else throw new Error(`an instruction of code ${code}`);
  }
  throw new Error("the program has no end");
}

/** The numbers that it refuses, of all that a table of calls has room for. */
function refusedOf(architecture: number): number[] {
  const numbers = Array.from({ length: 1024 }, (_, number) => number);
  return numbers.filter((number) => verdictOn(number, architecture) !== allowed);
}

test("[A9] add_key, request_key and keyctl are no calls of a box, and nothing else is taken from it", () => {
  expect(refusedOf(intel)).toEqual([248, 249, 250]);
  expect(refusedOf(arm)).toEqual([217, 218, 219]);
  expect(refusedOf(intel32)).toEqual([286, 287, 288]);
  expect(verdictOn(250, intel)).toBe(noSuchCall);
});

test("[A9] on x86-64 the same calls under their x32 numbers are none either", () => {
  for (const number of [0x4000_0000, 0x4000_0000 + 250, 0x4000_0000 + 600, 0x7fff_ffff, -1])
    expect(verdictOn(number, intel)).toBe(noSuchCall);
  expect(verdictOn(0x3fff_ffff, intel)).toBe(allowed);
});

test("[A9] of a processor that it does not know it lets nothing through", () => {
  for (const architecture of others)
    for (const number of [0, 1, 217, 250, 288, 0x4000_0000]) expect(verdictOn(number, architecture)).toBe(noSuchCall);
});

test("it is a program that the kernel takes: 31 whole instructions, and each jump ends in it", () => {
  expect(program.length).toBe(31 * 8);
  for (let at = 0; at < program.length; at += 8)
    for (const jump of [program.readUInt8(at + 2), program.readUInt8(at + 3)])
      expect(at + 8 * (1 + jump)).toBeLessThanOrEqual(program.length - (jump > 0 ? 8 : 0));
});
