// One forward pass of something with weights, and its gradients by inputs and parameters.
import type { Declarations } from "../../../src/nn/parameter.ts";
import type { Tensor } from "../../../src/tensor/index.ts";
import { leaf, zeros, type Entry, type StateDict } from "./entry.ts";
import { byParameter, load, readGradients } from "./networks.ts";

export interface Run {
  /** Inputs whose gradients are wanted, by name. */
  readonly leaves: Record<string, Tensor>;
  /** What is differentiated, and along what. */
  readonly y: Tensor;
  readonly seed: Tensor;
  /** Tensors to read, by output name. */
  readonly outputs: Record<string, Tensor>;
}

/** Loads weights, runs `forward` in a scope, reads its outputs and the gradients by leaves and parameters. */
export async function trained(
  entry: Entry,
  declarations: Declarations,
  state: StateDict,
  forward: () => Run,
): Promise<Map<string, ArrayLike<number>>> {
  const { engine } = entry;
  const wantsParameters = entry.fixture.outputs.some((o) => o.name.startsWith("gw."));
  const { set, values } = await load(engine, declarations, state, {
    trainable: wantsParameters,
  });
  try {
    const { outputs, gradients, leaves } = engine.scope(() => {
      const { leaves, y, seed, outputs } = forward();
      const names = Object.keys(leaves);
      const wanted = [...Object.values(leaves), ...(wantsParameters ? values : [])];
      const all = wanted.length > 0 ? engine.gradients(y, wanted, seed) : [];
      const byLeaf = names.map((name, i) => [
        `g_${name}`,
        all[i] ?? zeros(engine, leaves[name]?.shape ?? []),
      ]);
      return {
        outputs,
        leaves: Object.fromEntries(byLeaf) as Record<string, Tensor>,
        gradients: all.slice(names.length),
      };
    });
    const result = await entry.compute(() => ({ ...outputs, ...leaves }));
    const byName = wantsParameters ? await readGradients(set, gradients) : new Map<string, Float32Array>();
    for (const [name, v] of byParameter(entry, "gw.", byName)) result.set(name, v);
    return result;
  } finally {
    set.dispose();
  }
}

/** Inputs of an entry as tensors, those with a recorded gradient marked. */
export function leavesOf(
  entry: Entry,
  names: readonly string[],
): { inputs: Record<string, Tensor>; leaves: Record<string, Tensor> } {
  const inputs = Object.fromEntries(names.map((name) => [name, entry.tensor(name)]));
  const leaves = Object.fromEntries(
    Object.entries(inputs).filter(([name, t]) => entry.outputShape(`g_${name}`) && leaf(t)),
  );
  return { inputs, leaves };
}
