// Recomputation: a part of a network whose tape is made again in the backward pass instead of kept until then.
import type { Engine } from "./engine.ts";
import { GradientError } from "./errors.ts";
import { showShape } from "./shape.ts";
import type { Node } from "./tape.ts";
import type { Tensor } from "./tensor.ts";

/**
 * y = fn(...inputs), recorded as one node that keeps the inputs alone; its backward pass runs fn once more with a tape of its own
 * (Chen et al. 2016). So a chain of n checkpoints holds n inputs and the tape of one part, for one more forward pass. fn gives the
 * same for the same inputs; what it reads besides them and wants a gradient of is passed as `parameters`, else the backward pass
 * throws GradientError.
 */
export function checkpoint(
  fn: (...inputs: Tensor[]) => Tensor,
  inputs: readonly [Tensor, ...Tensor[]],
  parameters: readonly Tensor[] = [],
): Tensor {
  const { engine } = inputs[0];
  const sources = [...inputs, ...parameters];
  if (!engine.recording || !sources.some((t) => t.requiresGrad)) return engine.scope(() => fn(...inputs));
  const { output, saved } = engine.scope(() => ({
    // A handle of its own, since fn may return an input.
    output: engine.noGrad(() => fn(...inputs)).alias(),
    saved: inputs.map((t) => t.alias().keep()),
  }));
  output.requiresGrad = true;
  output.node = {
    op: "checkpoint",
    inputs: sources,
    output,
    saved,
    backward: (dy, pinned, needs) => again(engine, fn, dy, pinned as Tensor[], parameters, needs),
  };
  engine.record(output.node);
  return output;
}

/** Gradients of the inputs and parameters that are needed, from a second run. */
function again(
  engine: Engine,
  fn: (...inputs: Tensor[]) => Tensor,
  dy: Tensor,
  inputs: readonly Tensor[],
  parameters: readonly Tensor[],
  needs: readonly boolean[],
): (Tensor | null)[] {
  return engine.withTape(() =>
    engine.scope(() => {
      const leaves = inputs.map((t, k) => {
        const leaf = t.alias();
        leaf.requiresGrad = needs[k] ?? false;
        return leaf;
      });
      const output = fn(...leaves);
      const sources = [...leaves, ...parameters];
      const wanted = sources.filter((_, k) => needs[k]);
      refuseOthers(engine, wanted);
      if (!output.node && !wanted.includes(output)) return sources.map(() => null);
      const found = engine.gradients(output, wanted, dy);
      return sources.map((t) => found[wanted.indexOf(t)] ?? null);
    }),
  );
}

/** Throws when the tape reads something that wants a gradient and is neither made on it nor wanted. */
function refuseOthers(engine: Engine, wanted: readonly Tensor[]): void {
  const nodes: Node[] = engine.takeNodes();
  const known = new Set([...wanted, ...nodes.map((node) => node.output)]);
  for (const node of nodes) engine.record(node);
  for (const { op, inputs } of nodes)
    for (const t of inputs)
      if (t?.requiresGrad && !known.has(t))
        throw new GradientError(
          `checkpoint: ${op} reads ${t.origin} ${showShape(t.shape)}, which wants a gradient; pass it as an input or in parameters`,
        );
}
