// The common form of an op's entry: y = f(inputs), and g_<name> = gradient of sum(y·r) by the inputs.
import type { Tensor } from "../../../src/tensor/index.ts";
import { leaf, type Config, type Entry, type Handler } from "./entry.ts";

export interface OpInputs {
  readonly config: Config;
  readonly entry: Entry;
  /** An input by name; its gradient is computed where the entry records it. */
  input(name: string): Tensor;
  /** As input, null where the entry has none of that name. */
  optional(name: string): Tensor | null;
}

/** Handler of entries with one output y; `f` runs in a scope. */
export function op(f: (inputs: OpInputs) => Tensor): Handler {
  return (entry) =>
    entry.compute(() => {
      const leaves: Record<string, Tensor> = {};
      const input = (name: string): Tensor => {
        const t = entry.tensor(name);
        if (entry.outputShape(`g_${name}`)) leaves[`g_${name}`] = leaf(t);
        return t;
      };
      const optional = (name: string): Tensor | null => (entry.tensors.has(name) ? input(name) : null);
      const y = f({ config: entry.config, entry, input, optional });
      return Object.keys(leaves).length > 0 ? { y, ...entry.differentiate(leaves, y) } : { y };
    });
}
