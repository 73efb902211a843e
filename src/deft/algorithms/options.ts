// Options of algorithms as fields: default, range and help in one place. What several algorithms have in common stands here, with
// the default as argument; an option of one algorithm alone stands in its file.
import { number, type Field, type Value } from "../config/fields.ts";

/** Options by name; the configuration has the same names in snake case. */
export type OptionFields = { readonly [name: string]: Field<Value> };

/** The values of options. */
export type OptionsOf<F> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never };

export const eta = (fallback: number) => number(fallback, "noise of the sampler", { min: 0, max: 1 });

export const gradTermWeight = (fallback: number) =>
  number(fallback, "weight of the gradient, or of the prior's term", { min: 0 });

/** Learning rate of Adam, in the units of the picture. */
export const lr = (fallback: number) => number(fallback, "learning rate of the estimate", { above: 0 });

/** v of the measurement's term. */
export const obsWeight = (fallback: number) =>
  number(fallback, "weight of the measurement's term", { min: 0 });

/** Dispersion of q = N(μ, σ_x0² I). */
export const sigmaX0 = (fallback: number) => number(fallback, "dispersion of the estimate", { min: 0 });

/** The measurement's noise comes from the task, never from an option. */
const OF_THE_TASK = "sigmaY";

/** The options that a user may set, each with its name in the configuration. */
export const settable = (fields: OptionFields): (readonly [name: string, key: string, Field<Value>])[] =>
  Object.entries(fields)
    .filter(([name]) => name !== OF_THE_TASK)
    .map(([name, field]) => [name, snakeCase(name), field]);

const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
