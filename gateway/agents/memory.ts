// How much memory the processes of the pool take, looked at all the time, and which of them take too much.

export interface Measured {
  /** Undefined while it is not up. */
  readonly pid: number | undefined;
  /** With all that it started; undefined before the first look. */
  memoryBytes: number | undefined;
}

export interface MemoryWatchOptions<Member extends Measured> {
  readonly members: () => Iterable<Member>;
  /** Bytes by pid, all that descends from it included. */
  readonly measure: (pids: readonly number[]) => Promise<ReadonlyMap<number, number>>;
  readonly maxBytes: number;
  readonly onExcess: (member: Member) => void;
}

/** Short, since a process that runs away takes hundreds of megabytes a second. */
const lookMs = 2000;

/** Begins to look; returns what ends that. */
export function watchMemory<Member extends Measured>(options: MemoryWatchOptions<Member>): () => void {
  const { members, measure, maxBytes, onExcess } = options;
  let isLooking = false;

  async function look(): Promise<void> {
    const up = [...members()].filter(({ pid }) => pid !== undefined);
    if (up.length === 0) return;
    // A table that cannot be read this time (no descriptors are left) may be read the next.
    const bytes = await measure(up.map(({ pid }) => pid!)).catch(() => new Map<number, number>());
    for (const member of up) {
      member.memoryBytes = bytes.get(member.pid!) ?? member.memoryBytes;
      if ((member.memoryBytes ?? 0) > maxBytes) onExcess(member);
    }
  }

  const timer = setInterval(() => {
    if (isLooking) return;
    isLooking = true;
    void look().finally(() => (isLooking = false));
  }, lookMs).unref();
  return () => clearInterval(timer);
}
