// Runs WGSL: pipelines, bind groups, parameters, launch limits. Knows buffers and numbers, never tensors or gradients.
import type { Device } from "../gpu/device.ts";
import { KernelError } from "../gpu/errors.ts";
import type { Binding, Program } from "../gpu/launch.ts";
import type { PoolBuffer } from "../gpu/pool.ts";
import { expand, type Entries, type Entry, type Shader, type Values } from "./shader.ts";

/** Anything with a buffer: a tensor fits without this layer knowing what a tensor is. */
export interface HasBuffer extends Binding {
  /** Its numbers are f16; f32 if absent. */
  readonly half?: boolean;
  /** Of a constant: what kernels made from it and keep while it lives, by name (transformed weights). */
  readonly derived?: Map<string, PoolBuffer> | undefined;
}

type Buffers<E> = E extends { buffers: infer B extends string } ? { [K in B]: HasBuffer | null } : never;
type Params<E> = E extends { params: infer P } ? P : never;

export interface KernelOptions<P> {
  /** Workgroups to launch. */
  readonly grid: (params: P, values: Values) => readonly number[];
  /** Sets of constants that launches pass; of endless ones (sizes of a window) some. Tests compile so many that every two values meet. */
  readonly values?: readonly Values[];
  /** Its parameters differ from call to call (random numbers, the number of a step), so a plan cannot replay it. */
  readonly varies?: boolean;
}

export type Kernel<E> = (device: Device, buffers: Buffers<E>, params: Params<E>, values?: Values) => void;

/** Workgroups along a side of the grid. */
export const MAX_GROUPS = 65535;

/** The WGSL type of a buffer's numbers, or of four of them. */
export const storedAs = (b: HasBuffer): "f16" | "f32" => (b.half ? "f16" : "f32");
export const storedInFours = (b: HasBuffer): "vec4h" | "vec4f" => (b.half ? "vec4h" : "vec4f");

/** Workgroups for n invocations of `size` each, two-dimensional past 65535; kernels use id.y * wgs.x * size + id.x. */
export function grid1d(n: number, size: number): [number, number] {
  const groups = Math.max(1, Math.ceil(n / size));
  return groups <= MAX_GROUPS ? [groups, 1] : [MAX_GROUPS, Math.ceil(groups / MAX_GROUPS)];
}

/** Compiles one variant; errors reach the device. */
export function compile(
  device: Device,
  shader: Shader<Entries>,
  entry: Entry,
  values: Values,
  key = "",
): Program {
  const { code, lines } = expand(shader, values);
  const label = `${shader.name}/${entry.name} ${JSON.stringify(values)}`;
  const module = device.gpu.createShaderModule({ code, label });
  void module.getCompilationInfo().then((info) => {
    const bad = info.messages.find((m) => m.type === "error");
    if (bad)
      device.queue.failure = new KernelError(
        `${label}: ${bad.message} at shaders/${lines[bad.lineNum - 1] ?? "?"}: ${code.split("\n")[bad.lineNum - 1]?.trim() ?? ""}`,
      );
  });
  const layout = device.gpu.createBindGroupLayout({
    label,
    entries: [
      ...entry.buffers.map((b) => ({
        binding: b.binding,
        visibility: GPUShaderStage.COMPUTE,
        buffer: { type: b.access === "read" ? ("read-only-storage" as const) : ("storage" as const) },
      })),
      ...(entry.uniform < 0
        ? []
        : [
            {
              binding: entry.uniform,
              visibility: GPUShaderStage.COMPUTE,
              buffer: {
                type: "uniform" as const,
                hasDynamicOffset: true,
                minBindingSize: entry.params.length * 4,
              },
            },
          ]),
    ],
  });
  const pipeline = device.gpu.createComputePipeline({
    label,
    layout: device.gpu.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module, entryPoint: entry.name },
  });
  const uniformBytes = Math.max(16, Math.ceil((entry.params.length * 4) / 16) * 16);
  return {
    key,
    pipeline,
    layout,
    bindings: entry.buffers.map((b) => b.binding),
    uniform: entry.uniform,
    uniformBytes,
  };
}

/** Every kernel and the sets of constants that it is compiled with. */
export const defined: {
  shader: Shader<Entries>;
  entry: Entry;
  values: readonly Values[] | undefined;
}[] = [];

/**
 * Makes a launcher for one entry point. The launcher records a dispatch; nothing runs before the queue is flushed.
 * `values` are the variant's constants (lines marked //!param), of which each combination is compiled once per device.
 */
export function defineKernel<E extends Entries, K extends keyof E & string>(
  shader: Shader<E>,
  name: K,
  options: KernelOptions<Params<E[K]>>,
): Kernel<E[K]> {
  const entry = shader.entries.find((e) => e.name === name);
  if (!entry) throw new KernelError(`${shader.name}: no entry point ${name}`);
  defined.push({ shader, entry, values: options.values });
  const bytes = new ArrayBuffer(entry.params.length * 4);
  const raw = new Uint8Array(bytes);
  const views = { f32: new Float32Array(bytes), i32: new Int32Array(bytes), u32: new Uint32Array(bytes) };
  const fields = entry.params.map(({ field, type }) => ({
    field,
    view: type === "f32" ? views.f32 : type === "i32" ? views.i32 : views.u32,
  }));
  const prefix = `${shader.name}/${name}`;
  return (device, buffers, params, values = {}) => {
    let key = prefix;
    for (const constant in values) key += ` ${constant}=${values[constant]}`;
    let program = device.cache.get(key) as Program | undefined;
    if (!program) device.cache.set(key, (program = compile(device, shader, entry, values, key)));
    if (options.varies && device.recorder)
      throw new KernelError(
        `${prefix}: differs from call to call, a plan cannot replay it; run it outside of the plan`,
      );
    const given = buffers as Record<string, HasBuffer | null>;
    const bound = entry.buffers.map((b) => given[b.name] ?? null);
    entry.buffers.forEach((b, i) => {
      if (!bound[i] && b.access !== "read") throw new KernelError(`${key}: no buffer for ${b.name}`);
    });
    for (let i = 0; i < fields.length; i++) {
      const { field, view } = fields[i] as (typeof fields)[number];
      const v = (params as Record<string, number>)[field];
      if (v === undefined || Number.isNaN(v))
        throw new KernelError(`${key}: parameter ${field} is ${String(v)}`);
      view[i] = v;
    }
    const grid = options.grid(params, values);
    if (grid.some((g) => !(g >= 1 && g <= MAX_GROUPS)))
      throw new KernelError(
        `${key}: grid ${grid.join("x")} of ${JSON.stringify(params)}; each side 1 to ${MAX_GROUPS}`,
      );
    device.queue.dispatch({ program, buffers: bound, params: entry.uniform < 0 ? undefined : raw, grid });
  };
}
