// Nodes of the tape and the backward walk.
import { binaryForward } from "../kernels/binary.ts";
import { GradientError } from "./errors.ts";
import type { Engine } from "./engine.ts";
import { sameShape, showShape } from "./shape.ts";
import type { Tensor } from "./tensor.ts";

export interface Node {
  readonly op: string;
  readonly inputs: readonly (Tensor | null)[];
  readonly output: Tensor;
  /** What `save` named, pinned until this node's rule has run or the outermost scope closes. */
  readonly saved: readonly (Tensor | null)[];
  /** Gradients by input from the gradient of the output; only those that `needs` asks for. */
  readonly backward: (
    dy: Tensor,
    saved: readonly (Tensor | null)[],
    needs: readonly boolean[],
  ) => readonly (Tensor | null)[];
}

function sum(engine: Engine, a: Tensor, b: Tensor): Tensor {
  const out = engine.empty(a.shape, "f32", "sum of gradients");
  binaryForward(engine.device, "add", { sizes: [a.size], strides: [[1], [1]] }, { a, b, out });
  return out;
}

export function releaseNode(node: Node): void {
  for (const t of node.saved) t?.dispose("its node was released");
  node.output.node = undefined;
}

/**
 * Gradients of `output` along `seed` (shape of output) with respect to `wanted`, in their order; null where `output` does
 * not depend on one. Each node's pins are released as soon as its rule has run. The tape is empty afterwards.
 */
export function backward(
  engine: Engine,
  output: Tensor,
  seed: Tensor,
  wanted: readonly Tensor[],
): (Tensor | null)[] {
  if (!output.node && !wanted.includes(output))
    throw new GradientError(
      `gradient of ${output.origin} ${showShape(output.shape)}: nothing was recorded; set requiresGrad on a leaf and leave noGrad`,
    );
  const keep = new Set(wanted);
  const grads = new Map<Tensor, Tensor>([[output, seed.alias()]]);
  const nodes = engine.takeNodes();
  try {
    for (let i = nodes.length - 1; i >= 0; i--) {
      const node = nodes[i] as Node;
      const dy = grads.get(node.output);
      if (!dy) {
        releaseNode(node);
        continue;
      }
      const needs = node.inputs.map((t) => t?.requiresGrad ?? false);
      const found = engine.scope(() => [...node.backward(dy, node.saved, needs)]);
      const seen = new Set<Tensor>([dy]);
      node.inputs.forEach((input, k) => {
        const g = found[k];
        if (!input || !g || !needs[k]) return;
        if (!sameShape(g.shape, input.shape))
          throw new GradientError(
            `${node.op}: gradient of input ${k} has shape ${showShape(g.shape)}, the input ${showShape(input.shape)}`,
          );
        const own = seen.has(g) ? g.alias() : g;
        seen.add(own);
        const before = grads.get(input);
        if (!before) grads.set(input, own);
        else {
          grads.set(input, sum(engine, before, own));
          before.dispose("it was added to another gradient");
          own.dispose("it was added to another gradient");
        }
      });
      for (const g of found)
        if (g && g !== dy && ![...grads.values()].includes(g)) g.dispose("unused gradient");
      if (!keep.has(node.output)) {
        grads.delete(node.output);
        dy.dispose("its node's rule has run");
      }
      releaseNode(node);
    }
  } finally {
    // All are released by now unless a rule threw.
    for (const node of nodes) releaseNode(node);
  }
  return wanted.map((t) => grads.get(t) ?? null);
}
