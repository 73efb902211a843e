// Who owns what until when. Users never count references: ops run synchronously (they only record), so ownership follows
// lexical scopes. What a scope makes dies with it, unless returned (moves to the parent) or kept.
import type { Device } from "../gpu/device.ts";
import { DisposedError, DtypeError, GradientError, ShapeError } from "./errors.ts";
import { showShape, sizeOf, type Shape } from "./shape.ts";
import { backward, releaseNode, type Node } from "./tape.ts";
import { bytesOf, Storage, Tensor, type Dtype, type TypedData } from "./tensor.ts";

export class Engine {
  readonly device: Device;
  readonly #scopes: Set<Tensor>[] = [];
  #nodes: Node[] = [];
  #recording = true;
  constructor(device: Device) {
    this.device = device;
  }

  /** Whether ops are being recorded for gradients. */
  get recording(): boolean {
    return this.#recording;
  }

  /**
   * Runs `fn` and frees every tensor made inside, except those it returns (alone, in an array or in a plain object, nested)
   * or keep()s. Throws when `fn` returns a promise: ownership is lexical. What
   * an outermost scope recorded is dropped when it closes.
   */
  scope<T>(fn: () => T): T {
    const mine = new Set<Tensor>();
    const mark = this.#nodes.length;
    this.#scopes.push(mine);
    let result: T | undefined;
    try {
      result = fn();
      if (result instanceof Promise)
        throw new DisposedError("scope: the function returned a promise; read results outside the scope");
      return result;
    } finally {
      this.#scopes.pop();
      const parent = this.#scopes.at(-1);
      const escaping = new Set<Tensor>();
      collect(result, escaping);
      for (const t of mine) {
        if (escaping.has(t)) parent?.add(t);
        else t.dispose("its scope closed");
      }
      if (!parent) for (const node of this.#nodes.splice(mark)) releaseNode(node);
    }
  }

  /** Runs `fn` without recording. */
  noGrad<T>(fn: () => T): T {
    const before = this.#recording;
    this.#recording = false;
    try {
      return fn();
    } finally {
      this.#recording = before;
    }
  }

  own(t: Tensor): void {
    this.#scopes.at(-1)?.add(t);
  }

  disown(t: Tensor): void {
    for (const s of this.#scopes) s.delete(t);
  }

  record(node: Node): void {
    this.#nodes.push(node);
  }

  takeNodes(): Node[] {
    const nodes = this.#nodes;
    this.#nodes = [];
    return nodes;
  }

  dropTape(): void {
    for (const node of this.takeNodes()) releaseNode(node);
  }

  /** Uninitialised tensor: recycled memory holds old data, so whoever asks for it writes every element. */
  empty(shape: Shape, dtype: Dtype = "f32", origin = "empty"): Tensor {
    if (shape.some((v) => !Number.isInteger(v) || v < 0))
      throw new ShapeError(`${origin}: shape ${showShape(shape)}; expected whole numbers`);
    if (dtype === "f16" && !this.device.half)
      throw new DtypeError(`${origin}: ${this.device.adapterName} has no shader-f16; use f32`);
    const bytes = Math.max(4, sizeOf(shape) * bytesOf(dtype));
    return new Tensor(this, [...shape], dtype, origin, new Storage(this, bytes, origin));
  }

  /** Tensor of host data; Float32Array gives f32, Uint32Array u32, Int32Array i32, Uint16Array the bits of f16; a list of numbers f32. */
  tensor(data: TypedData | readonly number[], shape: Shape = [data.length], origin = "tensor"): Tensor {
    const typed = ArrayBuffer.isView(data) ? data : Float32Array.from(data);
    const dtype = dtypeOf(typed);
    if (typed.length !== sizeOf(shape))
      throw new ShapeError(`${origin}: ${typed.length} values for shape ${showShape(shape)}`);
    const t = this.empty(shape, dtype, origin);
    t.write(typed);
    return t;
  }

  /** d(output·seed)/d(wanted); output must be a scalar unless a seed is given. Null where there is no dependence. */
  gradients(output: Tensor, wanted: readonly Tensor[], seed?: Tensor): (Tensor | null)[] {
    if (!seed && output.size !== 1)
      throw new GradientError(
        `gradient of [${output.shape.join(",")}]: give a seed of its shape, or reduce it to one number`,
      );
    return this.scope(() => {
      const dy = seed ?? this.tensor([1], output.shape, "seed");
      return this.noGrad(() => backward(this, output, dy, wanted));
    });
  }

  /**
   * Runs `fn` with a tape of its own: recorded (unless told otherwise) and used inside, dropped at the end, the outer tape untouched.
   * For recomputation inside a backward rule, and for plans.
   */
  withTape<T>(fn: () => T, isRecording = true): T {
    const [outer, recording] = [this.takeNodes(), this.#recording];
    this.#recording = isRecording;
    try {
      return fn();
    } finally {
      this.dropTape();
      this.#nodes = outer;
      this.#recording = recording;
    }
  }
}

function dtypeOf(data: TypedData): Dtype {
  if (data instanceof Float32Array) return "f32";
  if (data instanceof Uint16Array) return "f16";
  return data instanceof Uint32Array ? "u32" : "i32";
}

function collect(value: unknown, into: Set<Tensor>, depth = 0): void {
  if (value instanceof Tensor) into.add(value);
  else if (depth < 6 && Array.isArray(value)) for (const v of value) collect(v, into, depth + 1);
  else if (depth < 6 && value instanceof Map) for (const v of value.values()) collect(v, into, depth + 1);
  else if (
    depth < 6 &&
    value !== null &&
    typeof value === "object" &&
    Object.getPrototypeOf(value) === Object.prototype
  )
    for (const v of Object.values(value)) collect(v, into, depth + 1);
}
