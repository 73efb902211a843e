// Resampling, movement of elements, lookup, embedding, FFT, Adam.
import {
  adamStep,
  add,
  affine,
  avgPool2d,
  concat,
  cos,
  embedding,
  fft2,
  gridSample,
  indexSelect,
  mul,
  permute,
  pixelShuffle,
  reflectionPad2d,
  reshape,
  sin,
  slice,
  split,
  sqrt,
  square,
  sub,
  sum,
  timestepEmbedding,
  upsampleNearest,
  type Tensor,
} from "../../../src/tensor/index.ts";
import { flag, i32, list, num, text, Unsupported, zeros, type Entry, type Handler } from "./entry.ts";
import { op } from "./op-entry.ts";
import { scheduleOf } from "./schedules.ts";

/** How many times larger the recorded y is than x along the last axis. */
function factorOf(entry: Entry): number {
  const [x, y] = [entry.stored("x").shape, entry.outputShape("y") ?? []];
  return (y.at(-1) ?? 1) / (x.at(-1) ?? 1);
}

const cat: Handler = op(({ input, config, entry }) => {
  const names = (entry.fixture.inputs ?? []).map((t) => t.name).filter((name) => name !== "r");
  return concat(names.map(input), num(config, "dim", 1));
});

/** FiLM: e in two halves along channels, h·(1 + scale) + shift. */
const chunked: Handler = op(({ input }) => {
  const [h, e] = [input("h"), input("e")];
  const half = e.dim(1) / 2;
  const [scale, shift] = split(e, [half, half], 1) as [Tensor, Tensor];
  return add(mul(h, affine(scale, 1, 1)), shift);
});

/** y[:, i] = (i + offset)·(sum over axis 1 of part i). */
const splitSizes: Handler = op(({ input, config }) => {
  const offset = /\(i \+ ([0-9.]+)\)/.exec(text(config, "formula", "(i + 1.5)"))?.[1];
  if (!offset) throw new Unsupported(`formula ${text(config, "formula")}`);
  const parts = split(input("x"), list(config, "sizes"), 1);
  return concat(
    parts.map((part, i) => affine(sum(part, { axes: [1], keepdim: true }), i + Number(offset), 0)),
    1,
  );
});

const strided: Handler = op(({ input, config }) => {
  const ranges = config["slices"] as readonly (readonly (number | null)[])[];
  return slice(
    input("x"),
    ranges.map(([start]) => start ?? 0),
    ranges.map(([, end]) => end ?? null),
    ranges.map(([, , step]) => step ?? 1),
  );
});

const looked: Handler = op(({ input, entry }) =>
  embedding(input("w"), entry.engine.tensor(i32(entry.numbers("idx")), entry.stored("idx").shape)),
);

/** The schedule's ᾱ and β at t, through the lookup op. */
const selected: Handler = (entry) =>
  entry.compute(() => {
    const schedule = scheduleOf(entry.config);
    const at = entry.engine.tensor(i32(entry.numbers("t").map((t) => t + 1)));
    const table = (values: Float32Array): Tensor => entry.engine.tensor(Float32Array.from(values));
    return {
      alpha: indexSelect(table(schedule.alphaBars), 0, at),
      beta: indexSelect(table(schedule.betas), 0, at),
    };
  });

const timeEmbedding: Handler = (entry) =>
  entry.compute(() => {
    const [dim, maxPeriod] = [num(entry.config, "dim"), num(entry.config, "max_period", 10000)];
    return { y: timestepEmbedding(entry.engine, entry.numbers("t"), dim, maxPeriod) };
  });

/** The centred transform of x, and the inverse of it turned by the phases theta. */
const centredFft: Handler = (entry) =>
  entry.compute(() => {
    const options = { centered: true, ortho: text(entry.config, "norm", "ortho") === "ortho" };
    const { re, im } = fft2(entry.tensor("x"), null, options);
    const theta = entry.tensor("theta");
    const [c, s] = [cos(theta), sin(theta)];
    const turned = { re: sub(mul(re, c), mul(im, s)), im: add(mul(re, s), mul(im, c)) };
    const back = fft2(turned.re, turned.im, { ...options, inverse: true });
    const size = sqrt(add(square(re), square(im)));
    return { fft_re: re, fft_im: im, fft_abs: size, ifft_rot_re: back.re, ifft_rot_im: back.im };
  });

/** Adam on given gradients, one learning rate a step. */
const adam: Handler = async (entry) => {
  const { config, engine } = entry;
  const [beta1 = 0.9, beta2 = 0.999] = list(config, "betas", [0.9, 0.999]);
  const rates = list(config, "lr_per_step", new Array<number>(num(config, "steps")).fill(num(config, "lr")));
  const { tensors, after } = engine.scope(() => {
    const params = entry.tensor("p0");
    const [m, v] = [zeros(engine, params.shape), zeros(engine, params.shape)];
    const grads = entry.tensor("grads", [rates.length, params.size]);
    const after = rates.map((lr, k) => {
      const g = slice(grads, [k, 0], [k + 1, params.size]);
      const step = { step: k + 1, lr, beta1, beta2, eps: num(config, "eps", 1e-8) };
      adamStep(engine, { params, grads: g, m, v }, { ...step, weightDecay: num(config, "weight_decay", 0) });
      return affine(params, 1, 0);
    });
    return { tensors: { exp_avg: m, exp_avg_sq: v }, after: concat(after, 0) };
  });
  return entry.compute(() => ({ p_after: after, ...tensors }));
};

export const movementOps: Record<string, Handler> = {
  upsample_nearest2x: op(({ input, entry }) => upsampleNearest(input("x"), factorOf(entry))),
  avg_pool2: op(({ input }) => avgPool2d(input("x"), 2)),
  pixel_shuffle: op(({ input, entry }) => pixelShuffle(input("x"), factorOf(entry))),
  reflection_pad: op(({ input, config }) => {
    const [left = 0, right = 0, top = 0, bottom = 0] = list(config, "pad");
    return reflectionPad2d(input("x"), [left, right, top, bottom]);
  }),
  grid_sample_bilinear: op(({ input, config }) =>
    gridSample(input("x"), input("grid"), { alignCorners: flag(config, "align_corners", true) }),
  ),
  timestep_embedding: timeEmbedding,
  cat,
  split_chunk: chunked,
  split_sizes: splitSizes,
  slice_strided: strided,
  permute_reshape: op(({ input, config }) =>
    reshape(permute(input("x"), list(config, "permute")), list(config, "reshape")),
  ),
  embedding: looked,
  index_select: selected,
  fft2_centered: centredFft,
  adam,
};
