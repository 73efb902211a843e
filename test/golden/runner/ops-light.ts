// Elementwise functions, broadcasting, reductions.
import * as tensor from "../../../src/tensor/index.ts";
import type { Tensor } from "../../../src/tensor/index.ts";
import { flag, leaf, list, text, Unsupported, type Config, type Handler } from "./entry.ts";
import { op } from "./op-entry.ts";

type Unary = (x: Tensor) => Tensor;

const plainUnary: Record<string, Unary> = {
  silu: tensor.silu,
  sigmoid: tensor.sigmoid,
  tanh: tensor.tanh,
  relu: tensor.relu,
  exp: tensor.exp,
  log: tensor.log,
  sqrt: tensor.sqrt,
  rsqrt: tensor.rsqrt,
  abs: tensor.abs,
  square: tensor.square,
  sin: tensor.sin,
  cos: tensor.cos,
  neg: tensor.neg,
  reciprocal: tensor.reciprocal,
};

/** "0p1" is 0.1, "m1" is −1: numbers as kinds spell them. */
const spelled = (s: string): number => Number(s.replace(/^m/, "-").replace("p", "."));

/** The function that a kind such as unary_leaky_relu_0p1 or unary_clamp_m1_p1 names; undefined for none known. */
export function unaryOf(name: string): Unary | undefined {
  const plain = plainUnary[name];
  if (plain) return plain;
  const slope = /^leaky_relu_([0-9p]+)$/.exec(name)?.[1];
  if (slope) return (x) => tensor.leakyRelu(x, spelled(slope));
  const bounds = /^clamp_(m?)p?([0-9][0-9p]*)_(m?)p?([0-9][0-9p]*)$/.exec(name);
  if (!bounds) return undefined;
  const [, s1 = "", lo = "", s2 = "", hi = ""] = bounds;
  return (x) => tensor.clamp(x, spelled(s1 + lo), spelled(s2 + hi));
}

export const unaryHandler = (f: Unary): Handler => op(({ input }) => f(input("x")));

const binaries: Record<string, (a: Tensor, b: Tensor) => Tensor> = {
  add: tensor.add,
  sub: tensor.sub,
  mul: tensor.mul,
  div: tensor.div,
  maximum: tensor.maximum,
};

export const binaryOf = (name: string): Handler | undefined => {
  const f = binaries[name];
  return f && op(({ input }) => f(input("a"), input("b")));
};

/** x under a map that the config spells "a + b x". */
function mapped(x: Tensor, config: Config): Tensor {
  const map = text(config, "input_map", "x").replace(/\s/g, "");
  if (map === "x") return x;
  const parts = /^(?:(-?[0-9.e-]+)([+-]))?(?:(-?[0-9.e-]+)\*?)?x$/.exec(map);
  if (!parts) throw new Unsupported(`input_map ${JSON.stringify(map)}`);
  const [, constant = "0", sign = "+", factor = "1"] = parts;
  return tensor.affine(x, (sign === "-" ? -1 : 1) * Number(factor), Number(constant));
}

type Reduction = (
  x: Tensor,
  options: { axes: number[] | null; keepdim: boolean; unbiased: boolean },
) => Tensor;

const reductions: Record<string, Reduction> = {
  sum: tensor.sum,
  mean: tensor.mean,
  max: tensor.max,
  std: tensor.std,
  var: tensor.variance,
  l2norm: tensor.l2norm,
  cumprod: (x, { axes }) => tensor.cumprod(x, axes?.[0] ?? -1),
};

/** A reduction with its gradient; entries that record y_sq too want the reduction of x². */
export const reductionOf = (name: string): Handler | undefined => {
  const known = reductions[name];
  if (!known) return undefined;
  return (entry) =>
    entry.compute(() => {
      const { config } = entry;
      const reduce = reductions[text(config, "op", name)];
      if (!reduce) throw new Unsupported(`reduction ${text(config, "op")}`);
      const axes = (config["axes"] ?? null) === null ? null : list(config, "axes");
      const options = { axes, keepdim: flag(config, "keepdim"), unbiased: flag(config, "unbiased", true) };
      const x = entry.tensor("x");
      const wantsGradient = entry.outputShape("g_x") !== undefined;
      if (wantsGradient) leaf(x);
      const y = reduce(mapped(x, config), options);
      const outputs: Record<string, Tensor> = { y };
      if (entry.outputShape("y_sq")) outputs["y_sq"] = reduce(tensor.square(x), options);
      return wantsGradient ? { ...outputs, ...entry.differentiate({ g_x: x }, y) } : outputs;
    });
};
