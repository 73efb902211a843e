// defineOp: check, forward, save, backward of one operation, and the registry that the coverage test reads.
import { DtypeError, GradientError, ShapeError } from "./errors.ts";
import type { Engine } from "./engine.ts";
import { sameShape, showShape } from "./shape.ts";
import type { Dtype, Tensor } from "./tensor.ts";

/** Tensor inputs of an op; optional ones may be null. */
type Inputs = readonly (Tensor | null)[];

export interface OpSpec<I extends Inputs, A extends readonly unknown[], R extends { out: Tensor }> {
  /** How many of the arguments are tensors; the rest are options. Below 0: all but so many at the end (a list of tensors). */
  readonly inputs: number;
  /** Takes tensors of f16 (whose numbers it computes with in f32); their gradients are not made. */
  readonly half?: boolean;
  /** Shapes and dtypes; throws ShapeError or DtypeError with both sides. */
  readonly check?: (...args: [...I, ...A]) => void;
  /** Records the kernels; `out` and whatever the gradient needs beside it. */
  readonly forward: (...args: [...I, ...A]) => R;
  /** Picks from inputs and results what the gradient needs; pinned until backward has run. */
  readonly save?: (result: R, ...args: [...I, ...A]) => readonly (Tensor | null)[];
  /** Gradients of the inputs, only where `needs` is true; absent: asking for a gradient throws at forward time. */
  readonly backward?: (
    dy: Tensor,
    saved: readonly Tensor[],
    needs: readonly boolean[],
    ...args: [...Shapes<I>, ...A]
  ) => readonly (Tensor | null)[];
}

/** In backward an input is only known by its shape; its data must have been saved. */
type Shapes<I extends Inputs> = {
  [K in keyof I]: I[K] extends Tensor ? readonly number[] : readonly number[] | null;
};

export type Op<I extends Inputs, A extends readonly unknown[]> = ((...args: [...I, ...A]) => Tensor) & {
  readonly opName: string;
};

/** Names of all ops, for the coverage test. */
export const registry = new Set<string>();

export function defineOp<
  I extends Inputs,
  A extends readonly unknown[] = [],
  R extends { out: Tensor } = { out: Tensor },
>(name: string, spec: OpSpec<I, A, R>): Op<I, A> {
  registry.add(name);
  const run = (...args: [...I, ...A]): Tensor => {
    const inputs = args.slice(0, spec.inputs) as unknown as (Tensor | null)[];
    const engine = engineOf(name, inputs);
    const needed = engine.recording && inputs.some((t) => t?.requiresGrad ?? false);
    const half = inputs.some((t) => t?.half);
    if (half && !spec.half) throw new DtypeError(`${name}: takes no f16; cast(x, "f32") first`);
    spec.check?.(...args);
    if (half && needed) throw new GradientError(`${name}: has no gradient in f16; use f32 or noGrad`);
    if (needed && !spec.backward)
      throw new GradientError(`${name}: has no gradient; detach its inputs or use noGrad`);
    if (!needed || !spec.backward) return engine.scope(() => spec.forward(...args).out);
    const { out, saved } = engine.scope(() => {
      const result = engine.noGrad(() => spec.forward(...args));
      return {
        out: result.out,
        saved: (spec.save?.(result, ...args) ?? []).map((t) => t && t.alias().keep()),
      };
    });
    out.requiresGrad = true;
    const backward = spec.backward;
    const shapes = inputs.map((t) => t && t.shape);
    const later = [...shapes, ...args.slice(spec.inputs)] as unknown as [...Shapes<I>, ...A];
    out.node = {
      op: name,
      inputs,
      output: out,
      saved,
      backward: (dy, pinned, needs) => backward(dy, pinned as Tensor[], needs, ...later),
    };
    engine.record(out.node);
    return out;
  };
  return Object.assign(run, { opName: name });
}

function engineOf(name: string, inputs: readonly (Tensor | null)[]): Engine {
  const first = inputs.find((t) => t !== null);
  if (!first) throw new ShapeError(`${name}: no tensor given`);
  for (const t of inputs)
    if (t && t.engine !== first.engine) throw new ShapeError(`${name}: tensors of two engines`);
  return first.engine;
}

/** Throws unless t has this dtype. */
export function expectDtype(op: string, t: Tensor, dtype: Dtype, what = "x"): void {
  if (t.dtype !== dtype) throw new DtypeError(`${op}: ${what} is ${t.dtype}; expected ${dtype}`);
}

/** Throws unless t has the dtype of its partner, f32 or f16. */
export function expectFloat(op: string, t: Tensor, partner: Tensor, what = "x"): void {
  if (partner.dtype !== "f16") return expectDtype(op, t, "f32", what);
  if (t.dtype !== "f16") throw new DtypeError(`${op}: ${what} is ${t.dtype} beside f16; cast one of them`);
}

/** Throws unless t has this rank. */
export function expectRank(op: string, t: Tensor, rank: number, what = "x"): void {
  if (t.shape.length !== rank)
    throw new ShapeError(`${op}: ${what} has shape ${showShape(t.shape)}; expected rank ${rank}`);
}

/** Throws unless t has this shape. */
export function expectShape(op: string, t: Tensor, shape: readonly number[], what = "x"): void {
  if (!sameShape(t.shape, shape))
    throw new ShapeError(`${op}: ${what} has shape ${showShape(t.shape)}; expected ${showShape(shape)}`);
}
