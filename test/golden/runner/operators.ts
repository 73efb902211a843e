// Degradations from an entry's config: which operator, its masks, measurements in the operator's shape.
import { color } from "../../../src/deft/operators/color.ts";
import { denoising } from "../../../src/deft/operators/denoising.ts";
import { hdr } from "../../../src/deft/operators/hdr.ts";
import { inpainting, type Masks } from "../../../src/deft/operators/inpainting.ts";
import { superResolution } from "../../../src/deft/operators/super-resolution.ts";
import type { Convention, Operator } from "../../../src/deft/operator.ts";
import { reshape, type Tensor } from "../../../src/tensor/index.ts";
import type { MatrixSvd } from "../../../src/deft/svd.ts";
import { text, Unsupported, type Config, type Entry, type Values } from "./entry.ts";
import type { Stored } from "./manifest.ts";

export type ImageShape = readonly [c: number, h: number, w: number];

export const imageShape = (t: { readonly shape: readonly number[] }): ImageShape =>
  t.shape.slice(1) as unknown as ImageShape;

export function conventionOf(config: Config): Convention {
  const name = text(config, "convention", "exact");
  if (name !== "exact" && name !== "deft") throw new Unsupported(`convention ${name}`);
  return name;
}

/**
 * Kept pixels (1 = kept) of the masks `indices`, counted modulo the number stored, one an image: [N, 1, H, W]. Stored masks
 * of shape [n, H, W] have 1 = missing.
 */
export function masksOf(
  entry: Entry,
  indices: readonly number[],
): { kept: Float32Array<ArrayBuffer>; shape: Masks["shape"] } {
  const { data, shape } = entry.stored("dense_masks");
  const [count = 1, h = 1, w] = shape;
  if (w === undefined) throw new Unsupported("masks that differ by channel");
  const size = h * w;
  const kept = new Float32Array(indices.length * size);
  indices.forEach((index, image) => {
    const from = (((index % count) + count) % count) * size;
    for (let i = 0; i < size; i++) kept[image * size + i] = 1 - (data[from + i] as number);
  });
  return { kept, shape: [indices.length, 1, h, w] };
}

/** The operator that `deg` names, for images of `shape`; its masks are held by the entry. */
export function operatorOf(
  entry: Entry,
  deg: string,
  shape: ImageShape,
  maskIndices: readonly number[],
): Operator {
  const factor = /^sr(\d+)$/.exec(deg)?.[1];
  if (factor) return superResolution(Number(factor), shape, recordedSvd(entry));
  if (deg === "hdr") return hdr(shape);
  if (deg === "inp" && entry.tensors.has("dense_masks")) {
    const { kept, shape: maskShape } = masksOf(entry, maskIndices);
    return held(entry, inpainting(entry.engine, { values: kept, shape: maskShape }, shape));
  }
  if (deg === "deno") return denoising(shape);
  if (deg === "color") return color(shape, recordedSvd(entry));
  if (deg === "in2")
    return held(entry, inpainting(entry.engine, flatMasksOf(entry, maskIndices, shape), shape));
  throw new Unsupported(`degradation ${deg}`);
}

/** Masks stored as [n, C·H·W], 1 = kept, one an image by number. */
function flatMasksOf(entry: Entry, indices: readonly number[], shape: ImageShape): Masks {
  const { data, shape: stored } = entry.stored("dense_masks");
  const size = stored[1] ?? 1;
  const values = new Float32Array(indices.length * size);
  indices.forEach((index, image) => {
    for (let i = 0; i < size; i++) values[image * size + i] = data[index * size + i] as number;
  });
  return { values, shape: [indices.length, ...shape] };
}

/** The recorded decomposition of an operator's small matrix, in whose basis noise was drawn; undefined where there is none. */
function recordedSvd(entry: Entry): MatrixSvd | undefined {
  if (!entry.tensors.has("op.V_small")) return undefined;
  const [u, s, v] = ["U", "singulars", "V"].map((name) => entry.stored(`op.${name}_small`));
  if (!u || !s || !v) return undefined;
  const [rows = 1, columns = 1] = [u.shape[0], v.shape[0]];
  const f64 = ({ data }: Stored): Float64Array => Float64Array.from(data);
  return { rows, columns, u: f64(u), s: f64(s), v: f64(v) };
}

/** An operator whose tensors live as long as the entry. */
function held(entry: Entry, operator: Operator): Operator {
  for (const t of operator.held) entry.hold(t);
  return operator;
}

/** A measurement [N, …] in the operator's own shape; entries store it flattened or not. */
export const asMeasurement = (operator: Operator, y: Tensor): Tensor =>
  reshape(y, [y.dim(0), ...operator.outShape]);

/** The recorded random draws of an entry in the order of their use. */
export class Draws {
  readonly #entry: Entry;
  #next = 0;

  constructor(entry: Entry) {
    this.#entry = entry;
  }

  /** The next draw that is stored: those without numbers are not. */
  #take(): Values {
    const nameOf = (k: number): string => `noise.${String(k).padStart(3, "0")}`;
    const last = this.#entry.tensors.size + this.#next;
    let next = this.#next;
    while (next < last && !this.#entry.tensors.has(nameOf(next))) next++;
    this.#next = next + 1;
    return this.#entry.stored(nameOf(next)).data;
  }

  /** Leaves out one draw. */
  skip(): void {
    this.#next++;
  }

  integers(): number[] {
    return Array.from(this.#take());
  }

  /** Normal numbers of this shape: from one draw, or from several that follow each other (one an image). */
  normal(shape: readonly number[]): Tensor {
    const size = shape.reduce((a, b) => a * b, 1);
    const values = new Float32Array(size);
    for (let filled = 0; filled < size;) {
      const part = this.#take();
      if (filled + part.length > size)
        throw new Error(`noise of ${part.length} values where ${size - filled} are left`);
      values.set(part, filled);
      filled += part.length;
    }
    return this.#entry.engine.tensor(values, shape);
  }
}
