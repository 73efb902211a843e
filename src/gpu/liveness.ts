// Which intermediates of a recording may share memory.

/** A buffer's bytes, and the first and last command that uses it. */
export interface Interval {
  readonly size: number;
  readonly first: number;
  readonly last: number;
}

/**
 * Gives buffers whose intervals do not overlap the same memory, largest first, each into the smallest memory that is free for its
 * interval ("greedy by size" for shared objects; Pisarchyk & Lee 2020, arXiv 2001.03288, section 4.2).
 * @returns sizes: bytes of each shared memory, largest first; shared: which one an interval has
 */
export function shareMemory(intervals: readonly Interval[]): { sizes: number[]; shared: number[] } {
  const order = intervals.map((_, i) => i).sort((a, b) => at(b).size - at(a).size || a - b);
  const sizes: number[] = [];
  const users: Interval[][] = [];
  const shared = new Array<number>(intervals.length).fill(-1);
  for (const i of order) {
    const own = at(i);
    let k = sizes.length - 1;
    while (k >= 0 && users[k]?.some((u) => u.first <= own.last && own.first <= u.last)) k--;
    if (k < 0) {
      k = sizes.push(own.size) - 1;
      users.push([]);
    }
    users[k]?.push(own);
    shared[i] = k;
  }
  return { sizes, shared };

  function at(i: number): Interval {
    return intervals[i] as Interval;
  }
}
