// Convolutions, products, norms, attention: the ops that networks are made of.
import {
  attention,
  concat,
  conv1d,
  conv2d,
  convTranspose2d,
  expand,
  groupNorm,
  linear,
  logSoftmax,
  matmul,
  mul,
  pad,
  reshape,
  slice,
  softmax,
  split,
  sum,
  type Tensor,
} from "../../../src/tensor/index.ts";
import { einsum } from "./einsum.ts";
import { leaf, list, num, text, Unsupported, type Handler } from "./entry.ts";
import { op, type OpInputs } from "./op-entry.ts";

type Convolution = (x: Tensor, w: Tensor, b: Tensor | null, stride: number) => Tensor;

/** Convolution with the paddings, strides and groups that a config names; what the op lacks is composed around it. */
function convolve({ input, optional, config }: OpInputs, run: Convolution): Tensor {
  const [x, w, b] = [input("x"), input("w"), optional("b")];
  const spatial = x.shape.length - 2;
  const perAxis = (key: string, fallback: number): number[] => {
    const given = list(config, key, [fallback]);
    return Array.from({ length: spatial }, (_, i) => given[i] ?? (given[0] as number));
  };
  const stride = perAxis("stride", 1);
  if (stride.some((s) => s !== stride[0])) throw new Unsupported(`strides ${stride.join(", ")} that differ`);
  if (perAxis("dilation", 1).some((d) => d !== 1)) throw new Unsupported("dilation");
  const around = perAxis("padding", 0).map((p) => [p, p] as const);
  const padded = around.every(([p]) => p === 0) ? x : pad(x, around);
  const groups = num(config, "groups", 1);
  if (groups === 1) return run(padded, w, b, stride[0] as number);
  const parts = <T extends Tensor>(t: T, axis: number): Tensor[] =>
    split(t, new Array<number>(groups).fill(t.dim(axis) / groups), axis);
  const [xs, ws, bs] = [parts(padded, 1), parts(w, 0), b && parts(b, 0)];
  return concat(
    xs.map((part, i) => run(part, ws[i] as Tensor, bs?.[i] ?? null, stride[0] as number)),
    1,
  );
}

/** The op's own padding where one number says it all, so that the entry tests the padding that networks use. */
function paddedConv2d(inputs: OpInputs): Tensor {
  const { config, input, optional } = inputs;
  const [stride, padding] = [list(config, "stride", [1]), list(config, "padding", [0])];
  const isSquare = (v: readonly number[]): boolean => v.every((s) => s === v[0]);
  if (!isSquare(padding) || !isSquare(stride) || num(config, "groups", 1) !== 1)
    return convolve(inputs, (x, w, b, s) => conv2d(x, w, b, { stride: s }));
  if (list(config, "dilation", [1]).some((d) => d !== 1)) throw new Unsupported("dilation");
  return conv2d(input("x"), input("w"), optional("b"), { stride: stride[0] ?? 1, padding: padding[0] ?? 0 });
}

function transposed({ input, optional, config }: OpInputs): Tensor {
  if (num(config, "groups", 1) !== 1) throw new Unsupported("transposed convolution in groups");
  if (list(config, "output_padding", [0]).some((p) => p !== 0)) throw new Unsupported("output padding");
  const [stride, padding] = [list(config, "stride", [1]), list(config, "padding", [0])];
  if ([stride, padding].some((v) => v.some((s) => s !== v[0])))
    throw new Unsupported("strides or paddings that differ by axis");
  const options = { stride: stride[0] ?? 1, padding: padding[0] ?? 0 };
  return convTranspose2d(input("x"), input("w"), optional("b"), options);
}

/** torch.matmul: vectors as one row or column, batch axes broadcast, by repeating where the op does not. */
function product(a: Tensor, b: Tensor): Tensor {
  if (a.shape.length === 1) {
    const y = product(reshape(a, [1, a.size]), b);
    return reshape(y, [...y.shape.slice(0, -2), y.dim(-1)]);
  }
  if (b.shape.length === 1) {
    const y = product(a, reshape(b, [b.size, 1]));
    return reshape(y, y.shape.slice(0, -1));
  }
  const [p, q] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  if (p.length === 0 || q.length === 0 || p.join() === q.join()) return matmul(a, b);
  const rank = Math.max(p.length, q.length);
  const at = (s: readonly number[], i: number): number => s[s.length - rank + i] ?? 1;
  const batch = Array.from({ length: rank }, (_, i) => Math.max(at(p, i), at(q, i)));
  const spread = (t: Tensor): Tensor => expand(t, [...batch, t.dim(-2), t.dim(-1)]);
  return matmul(spread(a), spread(b));
}

/** log p of one label a row; x [N, K] (dim −1). The gradient is of the sum over rows. */
const logSoftmaxSelect: Handler = (entry) =>
  entry.compute(() => {
    const x = leaf(entry.tensor("x"));
    const labels = entry.numbers("labels");
    const classes = x.dim(num(entry.config, "dim", -1));
    const oneHot = new Float32Array(labels.length * classes);
    labels.forEach((label, i) => (oneHot[i * classes + label] = 1));
    const chosen = mul(logSoftmax(x), entry.engine.tensor(oneHot, [labels.length, classes]));
    const selected = sum(chosen, { axes: [-1] });
    const ones = entry.tensors.has("r")
      ? entry.tensor("r")
      : entry.engine.tensor(new Float32Array(labels.length).fill(1));
    return { selected, ...entry.differentiate({ g_x: x }, selected, ones) };
  });

const attend = (order: "legacy" | "new"): Handler =>
  op(({ input, config }) => attention(input("qkv"), { heads: num(config, "num_heads", 1), order }));

const normed: Handler = op(({ input, config }) =>
  groupNorm(input("x"), input("w"), input("b"), null, {
    groups: num(config, "groups", 32),
    eps: num(config, "eps", 1e-5),
  }),
);

/** Two operands in the order that the file lists them, under whatever names. */
const contraction: Handler = op(({ input, config, entry }) => {
  const names = (entry.fixture.inputs ?? []).map((t) => t.name).filter((name) => name !== "r");
  return einsum(text(config, "eq"), names.map(input));
});

/** Conv1d as the networks use it, and as a conv2d of height 1 where padded or strided. */
const line: Handler = op((inputs) =>
  convolve(inputs, (x, w, b, s) => {
    if (s === 1) return conv1d(x, w, b);
    const flat = (t: Tensor): Tensor => reshape(t, [t.dim(0), t.dim(1), 1, t.dim(2)]);
    const y = conv2d(flat(x), flat(w), b);
    return slice(reshape(y, [y.dim(0), y.dim(1), y.dim(3)]), [0, 0, 0], [null, null, null], [1, 1, s]);
  }),
);

export const heavyOps: Record<string, Handler> = {
  conv2d: op(paddedConv2d),
  conv1d: line,
  conv_transpose2d: op(transposed),
  linear: op(({ input, optional }) => linear(input("x"), input("w"), optional("b"))),
  matmul: op(({ input }) => product(input("a"), input("b"))),
  einsum: contraction,
  group_norm: normed,
  softmax: op(({ input, config }) => softmax(input("x"), num(config, "dim", -1))),
  log_softmax_select: logSoftmaxSelect,
  attention_legacy: attend("legacy"),
  attention_new: attend("new"),
};
