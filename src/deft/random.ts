/** Numbers drawn on the CPU, where a picture's choices (background, mask, phantom) follow from its index. */
export interface RandomStream {
  /** Uniform in [0, 1), 32 bits. */
  uniform(): number;
  /** Uniform real in [low, high). */
  between(low: number, high: number): number;
  /** Uniform integer in low ... high, both included. */
  integer(low: number, high: number): number;
}

/** A stream that depends on the keys alone: the same keys give the same numbers on every machine. */
export function randomStream(...keys: readonly (number | string)[]): RandomStream {
  let state = hash32(keys.join("/"));
  const uniform = (): number => {
    state = (state + 0x9e3779b9) >>> 0;
    return mix32(state) / 0x1_0000_0000;
  };
  return {
    uniform,
    between: (low, high) => low + (high - low) * uniform(),
    integer: (low, high) => low + Math.floor((high - low + 1) * uniform()),
  };
}

/** 32-bit hash of a text's UTF-16 units: FNV-1a (Fowler, Noll, Vo), then mixed so that every bit counts. */
export function hash32(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return mix32(h >>> 0);
}

/** The 32-bit finaliser of MurmurHash3 (Appleby): a bijection that spreads every input bit. */
function mix32(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
