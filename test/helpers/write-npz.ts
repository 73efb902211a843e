import { writeFileSync } from "node:fs";
import { zipSync } from "fflate";

/** The bytes of an `.npy` file. */
export function npy(shape: readonly number[], data: Uint8Array, descr = "|u1"): Uint8Array {
  const tuple = `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple}, }`.padEnd(117) + "\n";
  return Buffer.concat([
    Buffer.from("\x93NUMPY\x01\x00", "latin1"),
    Buffer.from([118, 0]),
    Buffer.from(header),
    data,
  ]);
}

/** Writes an `.npz` of arrays by their keys. */
export function writeNpz(file: string, arrays: Record<string, Uint8Array>): void {
  const entries = Object.entries(arrays).map(([key, array]) => [`${key}.npy`, array] as const);
  writeFileSync(file, zipSync(Object.fromEntries(entries)));
}

/** Bit by bit, most significant first, as numpy.packbits. */
export function packBits(bits: readonly number[]): Uint8Array {
  const out = new Uint8Array(bits.length / 8);
  bits.forEach((bit, i) => (out[i >> 3]! |= bit << (7 - (i & 7))));
  return out;
}
