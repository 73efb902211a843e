// What a dispatch is made of, and bind groups for its buffers.

/** A buffer, or a byte range of it. */
export interface Binding {
  readonly buffer: GPUBuffer;
  readonly offset?: number;
  readonly bytes?: number;
}

/** A compiled entry point. */
export interface Program {
  /** Names the variant: programs of one device with the same key are the same. */
  readonly key: string;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** Binding numbers of the buffers, in the order of Launch.buffers. */
  readonly bindings: readonly number[];
  /** Binding number of the Params uniform, -1 without one. */
  readonly uniform: number;
  readonly uniformBytes: number;
}

export interface Launch {
  readonly program: Program;
  /** null: an optional input that is absent. */
  readonly buffers: readonly (Binding | null)[];
  /** Bytes of the Params struct, 256 at most; only valid during the call. */
  readonly params: Uint8Array | undefined;
  readonly grid: readonly number[];
}

/** Distance of two dispatches' parameters in their buffer: minUniformBufferOffsetAlignment of WebGPU's default limits. */
export const SLOT = 256;

/** Numbers of live objects, so that bind groups can be cached by the identity of their buffers. */
const ids = new WeakMap<object, number>();
let nextId = 1;
export function idOf(object: object): number {
  let id = ids.get(object);
  if (id === undefined) ids.set(object, (id = nextId++));
  return id;
}

/** Bind groups by program and buffers; dropped whole when many have gathered (buffers come from a pool, so the set is small). */
const MOST = 16384;

export class BindGroups {
  readonly #gpu: GPUDevice;
  readonly #params: GPUBuffer;
  /** Bound where an optional input is absent. */
  readonly #placeholder: GPUBuffer;
  readonly #known = new Map<string, GPUBindGroup>();

  constructor(gpu: GPUDevice, params: GPUBuffer, placeholder: GPUBuffer) {
    this.#gpu = gpu;
    this.#params = params;
    this.#placeholder = placeholder;
  }

  of({ key, layout, bindings, uniform, uniformBytes }: Program, buffers: Launch["buffers"]): GPUBindGroup {
    let name = key;
    for (const b of buffers) {
      name += b ? `,${idOf(b.buffer)}` : ",";
      if (b?.bytes !== undefined) name += `+${b.offset ?? 0}:${b.bytes}`;
    }
    const known = this.#known.get(name);
    if (known) return known;
    if (this.#known.size > MOST) this.#known.clear();
    const entries: GPUBindGroupEntry[] = buffers.map((b, i) => {
      const { buffer, offset = 0, bytes } = b ?? { buffer: this.#placeholder };
      const resource = bytes === undefined ? { buffer } : { buffer, offset, size: bytes };
      return { binding: bindings[i] as number, resource };
    });
    if (uniform >= 0)
      entries.push({ binding: uniform, resource: { buffer: this.#params, size: uniformBytes } });
    const group = this.#gpu.createBindGroup({ label: key, layout, entries });
    this.#known.set(name, group);
    return group;
  }
}
