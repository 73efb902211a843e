// Degradations from an entry's config: which operator, its masks, measurements in the operator's shape.
import { bicubic, bicubicMatrices } from "../../../src/deft/operators/bicubic.ts";
import { color } from "../../../src/deft/operators/color.ts";
import { compose, imageSizeOf } from "../../../src/deft/operators/compose.ts";
import { ct } from "../../../src/deft/operators/ct.ts";
import { deblur } from "../../../src/deft/operators/deblur.ts";
import { denoising } from "../../../src/deft/operators/denoising.ts";
import { hdr } from "../../../src/deft/operators/hdr.ts";
import { inpainting, type Masks } from "../../../src/deft/operators/inpainting.ts";
import { jpeg } from "../../../src/deft/operators/jpeg.ts";
import { phaseRetrieval } from "../../../src/deft/operators/phase-retrieval.ts";
import { quantisation } from "../../../src/deft/operators/quantisation.ts";
import { superResolution } from "../../../src/deft/operators/super-resolution.ts";
import type { Convention, Operator } from "../../../src/deft/operator.ts";
import type { MatrixSvd } from "../../../src/deft/svd.ts";
import { reshape, type Tensor } from "../../../src/tensor/index.ts";
import { text, Unsupported, type Config, type Entry, type Values } from "./entry.ts";

export type ImageShape = readonly [c: number, h: number, w: number];

export const imageShape = (t: { readonly shape: readonly number[] }): ImageShape =>
  t.shape.slice(1) as unknown as ImageShape;

export function conventionOf(config: Config): Convention {
  const name = text(config, "convention", "exact");
  if (name !== "exact" && name !== "deft") throw new Unsupported(`convention ${name}`);
  return name;
}

/**
 * Kept pixels (1 = kept) of the masks `indices`, counted modulo the number stored, one an image. Stored masks of shape [n, H, W]
 * have 1 = missing; flattened ones [n, C·H·W] have 1 = kept.
 */
export function masksOf(
  entry: Entry,
  indices: readonly number[],
  [c, h, w]: ImageShape,
): { kept: Float32Array<ArrayBuffer>; shape: Masks["shape"] } {
  const { data, shape } = entry.stored("dense_masks");
  const [count = 1] = shape;
  const isFlat = shape.length === 2;
  const size = isFlat ? c * h * w : h * w;
  const kept = new Float32Array(indices.length * size);
  indices.forEach((index, image) => {
    const from = (((index % count) + count) % count) * size;
    for (let i = 0; i < size; i++) {
      const v = data[from + i] as number;
      kept[image * size + i] = isFlat ? v : 1 - v;
    }
  });
  return { kept, shape: [indices.length, isFlat ? c : 1, h, w] };
}

/** The decomposition that an entry stores: null spaces have no natural basis. Undefined where it stores none. */
export function storedSvd(entry: Entry, columns: number): MatrixSvd | undefined {
  const [u, s, v] = ["U_small", "singulars_small", "V_small"].map((name) => entry.tensors.get(`op.${name}`));
  if (!u || !s || !v || v.shape[0] !== columns) return undefined;
  const f64 = (t: { data: ArrayLike<number> }) => Float64Array.from(t.data);
  return { rows: s.data.length, columns, u: f64(u), s: f64(s), v: f64(v) };
}

/** The operator that `deg` names, for images of `shape`; what it holds is held by the entry. */
export function operatorOf(
  entry: Entry,
  deg: string,
  shape: ImageShape,
  maskIndices: readonly number[],
): Operator {
  const parts: Operator[] = [];
  for (const part of deg.split("-")) {
    const last = parts.at(-1);
    parts.push(partOf(entry, part, last ? imageSizeOf(last) : shape, maskIndices));
  }
  const [only] = parts;
  return held(entry, only && parts.length === 1 ? only : compose(deg, parts));
}

function partOf(entry: Entry, deg: string, shape: ImageShape, maskIndices: readonly number[]): Operator {
  const { engine } = entry;
  const [, name = deg, digits = ""] = /^(sr|bicubic|jpeg|quant)(\d+)$/.exec(deg) ?? [];
  const n = Number(digits);
  switch (name) {
    case "deno":
      return denoising(shape);
    case "sr": {
      const stored = storedSvd(entry, n * n);
      return superResolution(n, shape, stored && (() => stored));
    }
    case "bicubic": {
      const stored = storedSvd(entry, shape[1]);
      return bicubic(
        engine,
        n,
        shape,
        stored ? { rows: stored, columns: stored } : bicubicMatrices(n, shape),
      );
    }
    case "deblur_uni":
    case "deblur_gauss":
      return deblur(engine, name, shape);
    case "color":
      return color(shape, storedSvd(entry, 3));
    case "hdr":
      return hdr(shape);
    case "quant":
      return quantisation(n, shape);
    case "jpeg":
      return jpeg(n, shape);
    case "phase_retrieval":
      return phaseRetrieval(shape);
    case "ct":
      return ct(engine, shape, { numAngles: entry.stored("y").shape.at(-1) ?? 0 });
    case "inp":
    case "in2": {
      const { kept, shape: maskShape } = masksOf(entry, maskIndices, shape);
      return inpainting(engine, { values: kept, shape: maskShape }, shape);
    }
    default:
      throw new Unsupported(`degradation ${deg}`);
  }
}

/** An operator whose tensors live as long as the entry. */
export function held(entry: Entry, operator: Operator): Operator {
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
