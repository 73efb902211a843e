/**
 * Edit distance between two words: insertions, deletions, substitutions and swaps of neighbours count 1 each
 * (optimal string alignment).
 */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let d = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        d = Math.min(d, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(d);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? a.length;
}

/** The candidate closest to `word` by edit distance (the first of equals), or undefined when there is none. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  return closest(candidates, (c) => editDistance(word.toLowerCase(), c.toLowerCase()));
}

/**
 * The dotted key closest to `key`. A key whose leading groups were left out (`seed` for `exp.seed`) counts as
 * close too: each group that is missing costs half an edit.
 */
export function nearestKey(key: string, candidates: Iterable<string>): string | undefined {
  return closest(candidates, (candidate) => {
    const parts = candidate.split(".");
    return Math.min(...parts.map((_, i) => editDistance(key, parts.slice(i).join(".")) + i / 2));
  });
}

function closest(candidates: Iterable<string>, distance: (candidate: string) => number): string | undefined {
  let best: string | undefined;
  let least = Infinity;
  for (const candidate of candidates) {
    const d = distance(candidate);
    if (d < least) [best, least] = [candidate, d];
  }
  return best;
}
