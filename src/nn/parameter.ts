// Named parameters. A network declares them while it is built; a ParameterSet then gives them memory: trainable ones lie in
// a few flat tensors, so that Adam and EMA are one dispatch each; frozen ones in tensors of their own.
import { ShapeError, sizeOf, type Dtype, type Engine, type Shape, type Tensor } from "../tensor/index.ts";
import { f32ToF16 } from "./dtype-bits.ts";

/** How a parameter starts: `bound` draws U(-bound, bound), `normal` N(0, std²), a number fills. */
export type Init = { readonly bound: number } | { readonly normal: number } | number;

/** PyTorch's default for convolutions and linear layers, weight and bias alike: U(-1/√fanIn, 1/√fanIn). */
export const fanIn = (n: number): Init => ({ bound: 1 / Math.sqrt(n) });

export class Parameter {
  readonly name: string;
  readonly shape: Shape;
  readonly init: Init;
  /** May be stored as f16 in a frozen network: the weights of convolutions, which are nearly all of them. */
  readonly halvable: boolean;
  #value: Tensor | undefined;

  constructor(name: string, shape: Shape, init: Init, halvable: boolean) {
    this.name = name;
    this.shape = shape;
    this.init = init;
    this.halvable = halvable;
  }

  /** The tensor in use now: the weights, or their average inside `ParameterSet.withAverage`. */
  get value(): Tensor {
    if (!this.#value)
      throw new ShapeError(`parameter ${this.name}: has no memory yet; make a ParameterSet of its network`);
    return this.#value;
  }

  set value(t: Tensor) {
    this.#value = t;
  }
}

/** Collects the parameters of a network under their full names while it is built. */
export class Declarations {
  readonly list: Parameter[];
  readonly #prefix: string;

  constructor(list: Parameter[] = [], prefix = "") {
    this.list = list;
    this.#prefix = prefix;
  }

  /** Declarations below `name`: in("out").add("0.weight", …) declares out.0.weight. */
  in(name: string | number): Declarations {
    return new Declarations(this.list, `${this.#prefix}${name}.`);
  }

  add(name: string, shape: Shape, init: Init, { halvable = false } = {}): Parameter {
    const p = new Parameter(this.#prefix + name, shape, init, halvable);
    this.list.push(p);
    return p;
  }
}

const ALIGN = 64; // elements: views of a flat tensor start at a multiple of 256 bytes
// Bytes that kernels may keep of what they derive from frozen weights: Winograd's form on software adapters, four times the weights;
// packed weights on hardware, once as much (more for layers of few channels).
const KEPT = { software: { factor: 4, most: 2 ** 28 }, hardware: { factor: 1, most: 2 ** 30 } };
const CHUNK = 2 ** 24; // elements of a flat tensor at most, unless one parameter is larger (64 MiB)

export interface Place {
  readonly parameter: Parameter;
  readonly chunk: number;
  readonly start: number;
}

export interface ParameterSetOptions {
  readonly trainable: boolean;
  /** Stores convolutions' weights as f16; frozen networks alone. */
  readonly half?: boolean;
}

/** Memory of a network's parameters. */
export class ParameterSet {
  readonly engine: Engine;
  readonly parameters: readonly Parameter[];
  readonly trainable: boolean;
  /** Number of scalars, padding left out. */
  readonly count: number;
  /** The flat tensors (trainable) or one tensor a parameter (frozen). */
  readonly flat: readonly Tensor[];
  readonly places: readonly Place[];
  readonly #values = new Map<Parameter, Tensor>();

  constructor(engine: Engine, parameters: readonly Parameter[], options: ParameterSetOptions) {
    this.engine = engine;
    this.parameters = parameters;
    this.trainable = options.trainable;
    this.count = parameters.reduce((s, p) => s + sizeOf(p.shape), 0);
    const places: Place[] = [];
    const sizes: number[] = [];
    for (const parameter of parameters) {
      const n = Math.ceil(sizeOf(parameter.shape) / ALIGN) * ALIGN;
      const open = sizes.length - 1;
      const fits = options.trainable && open >= 0 && (sizes[open] ?? 0) + n <= CHUNK;
      const chunk = fits ? open : sizes.push(0) - 1;
      places.push({ parameter, chunk, start: sizes[chunk] ?? 0 });
      sizes[chunk] = (sizes[chunk] ?? 0) + n;
    }
    this.places = places;
    const half = (options.half ?? false) && !options.trainable;
    this.flat = sizes.map((n, chunk) =>
      this.#zeros(n, "parameters", half && parameters[chunk]?.halvable ? "f16" : "f32"),
    );
    const { factor, most } = KEPT[engine.device.software ? "software" : "hardware"];
    for (const [p, t] of this.views(this.flat)) {
      t.requiresGrad = options.trainable;
      if (!options.trainable && 4 * factor * this.count <= most) t.markConstant();
      this.#values.set(p, t);
      p.value = t;
    }
  }

  /** Frees what kernels derived from frozen parameters; they make it again. */
  release(): void {
    for (const t of this.flat) t.dropDerived();
  }

  #zeros(n: number, label: string, dtype: Dtype = "f32"): Tensor {
    const t = this.engine.empty([n], dtype, label).keep();
    this.engine.device.queue.clear(t.buffer);
    return t;
  }

  /** Flat tensors of zeros in the layout of the parameters: optimiser state, averages, gradients. */
  zerosLike(label: string): Tensor[] {
    return this.flat.map((t) => this.#zeros(t.size, label));
  }

  /** Handles of the parameters inside flat tensors of the same layout. */
  views(flat: readonly Tensor[]): Map<Parameter, Tensor> {
    return new Map(
      this.places.map(({ parameter, chunk, start }) => {
        const t = flat[chunk];
        if (!t) throw new ShapeError("views: the flat tensors do not have this set's layout");
        return [parameter, t.view(start, parameter.shape).keep()];
      }),
    );
  }

  /** Copies gradients, one a parameter (null: zero), into flat tensors of this layout. */
  gather(gradients: readonly (Tensor | null)[], into: readonly Tensor[]): void {
    this.places.forEach(({ parameter, chunk, start }, i) => {
      const g = gradients[i];
      const t = into[chunk] as Tensor;
      const to = t.view(start, parameter.shape);
      if (g) to.copyFrom(g);
      else this.engine.device.queue.clear(to.buffer, to.offset, to.bytes);
      to.dispose();
    });
  }

  /** Runs `fn` with other weights in place (an average in the same layout); the parameters' own are back afterwards. */
  with<T>(flat: readonly Tensor[], fn: () => T): T {
    const views = this.views(flat);
    for (const [p, t] of views) p.value = t;
    try {
      return fn();
    } finally {
      for (const [p, t] of this.#values) p.value = t;
      for (const t of views.values()) t.dispose();
    }
  }

  /** Overwrites one parameter, rounding to f16 where it is stored so; the length must be the parameter's. */
  write(parameter: Parameter, data: Float32Array<ArrayBuffer>): void {
    const value = this.#values.get(parameter);
    value?.write(value.half ? f32ToF16(data) : data);
  }

  dispose(): void {
    for (const t of this.#values.values()) t.dispose();
    for (const t of this.flat) t.dispose();
  }
}
