// The handle: shape, dtype, storage. Who frees it: the scope it was made in (scope rules: engine.ts).
import type { PoolBuffer } from "../gpu/pool.ts";
import type { Engine } from "./engine.ts";
import { DisposedError, DtypeError, ShapeError } from "./errors.ts";
import { sizeOf, type Shape } from "./shape.ts";
import type { Node } from "./tape.ts";

/** f16 is for storage alone: kernels compute in f32, gradients are not made (ops/cast.ts converts). */
export type Dtype = "f32" | "f16" | "u32" | "i32";
/** Host data; of f16 the bits. */
export type TypedData =
  Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>;

/** Bytes of an element. */
export const bytesOf = (dtype: Dtype): number => (dtype === "f16" ? 2 : 4);

/** GPU memory shared by the handles that view it; only Tensor counts the references. */
export class Storage {
  readonly #engine: Engine;
  readonly #memory: PoolBuffer;
  /** What kernels derived from the constants in it, by place and shape. */
  readonly #derived = new Map<string, Map<string, PoolBuffer>>();
  #references = 1;

  constructor(engine: Engine, bytes: number, label: string) {
    this.#engine = engine;
    this.#memory = engine.device.pool.acquire(bytes, label);
  }

  get buffer(): GPUBuffer {
    return this.#memory.buffer;
  }

  /** False once the last handle is gone. */
  get isAlive(): boolean {
    return this.#references > 0;
  }

  retain(): this {
    this.#references++;
    return this;
  }

  release(): void {
    if (--this.#references > 0) return;
    this.dropDerived();
    this.#engine.device.pool.release(this.#memory);
  }

  /** What kernels derived from the constant of this place and shape; undefined for all else, or made empty with `asConstant`. */
  derived(place: string, asConstant = false): Map<string, PoolBuffer> | undefined {
    if (asConstant && !this.#derived.has(place)) this.#derived.set(place, new Map());
    return this.#derived.get(place);
  }

  /** Frees what was derived: the values change, or the memory is wanted. */
  dropDerived(): void {
    for (const derived of this.#derived.values()) {
      for (const memory of derived.values()) this.#engine.device.pool.release(memory);
      derived.clear();
    }
  }
}

export class Tensor {
  readonly engine: Engine;
  readonly shape: Shape;
  readonly dtype: Dtype;
  /** Name of the op that made it, for messages. */
  readonly origin: string;
  readonly size: number;
  requiresGrad = false;
  /** The tape node that made it, while the tape lives. */
  node: Node | undefined;
  /** Byte range of the buffer that holds the values: views of a larger tensor start at a multiple of 256. */
  readonly offset: number;
  readonly bytes: number;
  readonly #storage: Storage;
  #disposed: string | undefined;

  constructor(engine: Engine, shape: Shape, dtype: Dtype, origin: string, storage: Storage, offset = 0) {
    this.engine = engine;
    this.shape = shape;
    this.dtype = dtype;
    this.origin = origin;
    this.size = sizeOf(shape);
    this.#storage = storage;
    this.offset = offset;
    // Kernels read whole vec4s: a range is rounded up to 16 bytes, which buffers and views leave room for.
    this.bytes = Math.max(16, Math.ceil((this.size * bytesOf(dtype)) / 16) * 16);
    engine.own(this);
  }

  /** For the kernels: stored as f16. */
  get half(): boolean {
    return this.dtype === "f16";
  }

  /** What kernels derived from a constant (markConstant), whichever handle they had; undefined on all other tensors. */
  get derived(): Map<string, PoolBuffer> | undefined {
    return this.#storage.derived(this.#place);
  }

  get #place(): string {
    return `${this.offset} ${this.shape.join()}`;
  }

  get disposed(): boolean {
    return this.#disposed !== undefined;
  }

  get buffer(): GPUBuffer {
    const { storage } = this;
    const { recorder } = this.engine.device;
    // A plan reads it again in each replay.
    if (recorder && !recorder.owns(storage.buffer)) recorder.reads.set(storage, () => storage.isAlive);
    return storage.buffer;
  }

  get storage(): Storage {
    if (this.#disposed !== undefined)
      throw new DisposedError(
        `${this.origin} [${this.shape.join(",")}]: used after ${this.#disposed}; return it from the scope or keep() it`,
      );
    return this.#storage;
  }

  get device(): Engine["device"] {
    return this.engine.device;
  }

  /** Size of one axis; negative counts from the end. */
  dim(axis: number): number {
    const v = this.shape.at(axis);
    if (v === undefined)
      throw new ShapeError(`${this.origin}: no axis ${axis} in shape [${this.shape.join(",")}]`);
    return v;
  }

  /** Another handle of the same memory with another shape of the same size; no data moves, no gradient is recorded. */
  alias(shape: Shape = this.shape): Tensor {
    if (sizeOf(shape) !== this.size)
      throw new ShapeError(
        `alias: [${this.shape.join(",")}] has ${this.size} elements, [${shape.join(",")}] has ${sizeOf(shape)}`,
      );
    return new Tensor(this.engine, shape, this.dtype, this.origin, this.storage.retain(), this.offset);
  }

  /** A handle of part of this tensor's memory, from element `start` (a multiple of 64, of 128 for f16) on; no data moves. */
  view(start: number, shape: Shape): Tensor {
    const bytes = bytesOf(this.dtype);
    if ((start * bytes) % 256 !== 0 || start + sizeOf(shape) > this.size)
      throw new ShapeError(
        `view: elements ${start} to ${start + sizeOf(shape)} of ${this.size}; a view starts at a multiple of ${256 / bytes}`,
      );
    return new Tensor(
      this.engine,
      shape,
      this.dtype,
      this.origin,
      this.storage.retain(),
      this.offset + bytes * start,
    );
  }

  /** Copies the values of a tensor of the same size into this one. */
  copyFrom(from: Tensor): void {
    if (from.size !== this.size || from.dtype !== this.dtype)
      throw new ShapeError(
        `copyFrom: ${from.size} values of ${from.dtype} into ${this.dtype} [${this.shape.join(",")}]`,
      );
    this.dropDerived();
    // Whole words: both have room for one.
    const bytes = Math.ceil((this.size * bytesOf(this.dtype)) / 4) * 4;
    this.device.queue.copy(from.buffer, from.offset, this.buffer, this.offset, bytes);
  }

  /** Takes the tensor out of every scope: it lives until dispose(). For parameters, optimiser state, constants. */
  keep(): this {
    this.engine.disown(this);
    return this;
  }

  /** Says that the values stay as they are: kernels may keep what they derive from them (of 3x3 weights four times the memory on software adapters, as much again on hardware). */
  markConstant(): this {
    this.storage.derived(this.#place, true);
    return this;
  }

  /** Frees what kernels derived from this constant; they make it again. */
  dropDerived(): void {
    this.storage.dropDerived();
  }

  dispose(why = "dispose()"): void {
    if (this.#disposed !== undefined) return;
    this.#disposed = why;
    this.#storage.release();
  }

  /** The values, copied to the host. The only asynchronous operation. */
  async read(): Promise<Float32Array<ArrayBuffer>> {
    return new Float32Array(await this.#bytes("f32"));
  }

  async readU32(): Promise<Uint32Array<ArrayBuffer>> {
    return new Uint32Array(await this.#bytes("u32"));
  }

  async readI32(): Promise<Int32Array<ArrayBuffer>> {
    return new Int32Array(await this.#bytes("i32"));
  }

  #bytes(dtype: Dtype): Promise<ArrayBuffer> {
    if (dtype !== this.dtype)
      throw new DtypeError(
        `read: ${this.origin} is ${this.dtype}, not ${dtype}${this.half ? '; cast(x, "f32") first' : ""}`,
      );
    return this.device.queue.read(this.buffer, this.offset, this.size * 4);
  }

  /** Overwrites the values in place; sizes must agree, and f16 takes bits (Uint16Array). */
  write(data: TypedData): void {
    if (this.half !== data instanceof Uint16Array)
      throw new DtypeError(`write: ${data.constructor.name} into ${this.dtype} [${this.shape.join(",")}]`);
    if (data.length !== this.size)
      throw new ShapeError(`write: ${data.length} values into [${this.shape.join(",")}]`);
    this.dropDerived();
    this.device.queue.upload(this.buffer, data, this.offset);
  }
}
