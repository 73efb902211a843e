import {
  concat,
  indexSelect,
  pad,
  reshape,
  type Engine,
  type Shape,
  type Tensor,
} from "../../tensor/index.ts";
import type { Spectral } from "../operator.ts";

/** What a spectral coordinate becomes: factors of x̂0, ε, ȳ and the noise, and which of the step's draws the noise is from. */
export interface Rule {
  readonly x0: number;
  readonly eps: number;
  readonly y: number;
  readonly z: number;
  readonly draw: "all" | "weak" | "strong";
}

/**
 * The coordinates of A = U Σ Vᵀ for one measurement. Those of one singular value have one rule, so a step computes as many rules
 * on the host as there are different values; which coordinate has which lies on the GPU from the start.
 */
export class Coordinates {
  /** Uᵀ y with zeros for what is not measured, [N, D]. */
  readonly y: Tensor;
  readonly #engine: Engine;
  /** Coordinates of an image and of a measurement. */
  readonly #d: number;
  readonly #m: number;
  /** Images whose singular values differ; 1 when all have the same. */
  readonly #rows: number;
  /** The different singular values; null stands for what is not measured. */
  readonly #values: (number | null)[] = [null];
  /** Which of them each coordinate has, image after image. */
  readonly #kinds: Uint32Array<ArrayBuffer>;
  readonly #kindsOnGpu: Tensor;
  #places: { readonly draws: string; readonly weak: number; readonly at: Tensor } | undefined;

  constructor(svd: Spectral, measurement: Tensor, d: number) {
    const engine = (this.#engine = measurement.engine);
    this.#d = d;
    const { y, m } = engine.scope(() => {
      const seen = svd.ut(measurement);
      return { y: pad(seen, [[0, d - seen.dim(1)]]).keep(), m: seen.dim(1) };
    });
    this.y = y;
    this.#m = m;
    const { singularValues } = svd;
    this.#rows = singularValues.length / m;
    const numbers = new Map<number, number>();
    this.#kinds = Uint32Array.from({ length: this.#rows * d }, (_, i) => {
      const k = i % d;
      if (k >= m) return 0;
      const singular = singularValues[((i - k) / d) * m + k] as number;
      if (singular === 0 && svd.isUnseenAtZero) return 0;
      const known = numbers.get(singular) ?? this.#values.push(singular) - 1;
      numbers.set(singular, known);
      return known;
    });
    this.#kindsOnGpu = engine.tensor(this.#kinds).keep();
  }

  /** The rule of each different singular value. */
  rules(rule: (singular: number | null) => Rule): readonly Rule[] {
    return this.#values.map(rule);
  }

  /** One factor for each coordinate, [1 or N, D]. */
  factors(rules: readonly Rule[], name: "x0" | "eps" | "y" | "z"): Tensor {
    const table = this.#engine.tensor(rules.map((r) => r[name]));
    return reshape(indexSelect(table, 0, this.#kindsOnGpu), [this.#rows, this.#d]);
  }

  /**
   * The noise of a step, [N, D], from its draws in this order: D numbers an image; as many as have weak coordinates (where there
   * are any); one for each coordinate of a measurement.
   */
  noise(rules: readonly Rule[], normal: (shape: Shape) => Tensor): Tensor {
    const [n, d, m] = [this.y.dim(0), this.#d, this.#m];
    const { weak, at } = this.#placesOf(rules);
    const draws = [normal([n, d]), ...(weak > 0 ? [normal([n, weak])] : []), normal([n, m])];
    const side = concat(draws, 1);
    if (this.#rows === 1) return indexSelect(side, 1, at);
    return reshape(indexSelect(reshape(side, [side.size]), 0, at), [n, d]);
  }

  /** Where each coordinate's number stands in the draws side by side; the same from step to step while the rules take the same draws. */
  #placesOf(rules: readonly Rule[]): { readonly weak: number; readonly at: Tensor } {
    const draws = rules.map((r) => r.draw).join();
    if (this.#places?.draws === draws) return this.#places;
    const [d, m, rows] = [this.#d, this.#m, this.#rows];
    const isWeak = (i: number): boolean => rules[this.#kinds[i] as number]?.draw === "weak";
    const before = new Uint32Array(this.#kinds.length);
    let weak = 0;
    for (let row = 0; row < rows; row++) {
      let count = 0;
      for (let i = row * d; i < (row + 1) * d; i++) before[i] = isWeak(i) ? count++ : count;
      weak = Math.max(weak, count);
    }
    const places = this.#kinds.map((kind, i) => {
      const [k, draw] = [i % d, rules[kind]?.draw];
      const place = draw === "all" ? k : draw === "weak" ? d + (before[i] as number) : d + weak + k;
      return rows === 1 ? place : ((i - k) / d) * (d + weak + m) + place;
    });
    this.#places?.at.dispose();
    this.#places = { draws, weak, at: this.#engine.tensor(places).keep() };
    return this.#places;
  }

  dispose(): void {
    for (const t of [this.y, this.#kindsOnGpu, this.#places?.at]) t?.dispose();
  }
}
