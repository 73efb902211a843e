// Keys of `compare`: which algorithms, how they sample, and options of one of them in place of its own defaults.
import { deftOptions } from "../algorithms/ddim.ts";
import { socOptions } from "../algorithms/deft-soc.ts";
import { algorithmNames, algorithms, type AlgorithmName } from "../algorithms/index.ts";
import { settable, type OptionFields } from "../algorithms/options.ts";
import { int, optional, text, type Field, type Value } from "./fields.ts";

/** The algorithms of `compare.algorithms`. */
export const comparedIn = (list: string): AlgorithmName[] =>
  list.split(",").map((name) => name.trim() as AlgorithmName);

function checkAlgorithms(list: string): string | null {
  const names = comparedIn(list);
  const isFine = names.every((name) => algorithmNames.includes(name)) && new Set(names).size === names.length;
  return isFine ? null : `names joined by commas, each once, of ${algorithmNames.join(", ")}`;
}

type OwnFields = { readonly num_steps: Field<number | null> } & {
  readonly [key: string]: Field<Value>;
};

/** The options of one algorithm. */
function own(options: OptionFields): OwnFields {
  const fields = settable(options).map(([, key, field]) => [key, optional(field)] as const);
  return {
    num_steps: optional(int(1, "sampling steps of this algorithm; null: compare.num_steps", { min: 1 })),
    ...Object.fromEntries(fields),
  };
}

const optionsOf = (name: AlgorithmName): OptionFields =>
  name === "deft" ? deftOptions : name === "deft_soc" ? socOptions : algorithms[name].fields;

export const compareFields = {
  algorithms: text(
    "deft,dps,pgdm,reddiff,ddrm,ddim,identity",
    `algorithms of the table, joined by commas: ${algorithmNames.join(", ")}`,
    checkAlgorithms,
  ),
  num_steps: optional(int(1, "sampling steps of every algorithm; null: exp.num_steps", { min: 1 })),
  first: int(0, "first held-out picture to compare on; those before it are left for tuning", { min: 0 }),
  num_samples: int(4, "posterior samples of each picture, behind the mean and the map of deviations", {
    min: 1,
    max: 64,
  }),
  ...(Object.fromEntries(algorithmNames.map((name) => [name, own(optionsOf(name))])) as Record<
    AlgorithmName,
    OwnFields
  >),
};
