// Inception-v3 of FID in float64: one line a layer, batch norm not folded. A picture is [c, h, w].
import { convolve } from "./convolution.ts";
import type { Picture, Weights } from "./lpips.ts";

type Net = (
  name: string,
  x: Picture,
  kernel: readonly [number, number],
  stride?: number,
  padding?: readonly [number, number],
) => Picture;

/** Zeros around a picture. */
function padded(x: Picture, [ph, pw]: readonly [number, number]): Picture {
  const [h, w] = [x.h + 2 * ph, x.w + 2 * pw];
  const data = new Float64Array(x.c * h * w);
  for (let c = 0; c < x.c; c++)
    for (let y = 0; y < x.h; y++)
      for (let z = 0; z < x.w; z++) data[(c * h + y + ph) * w + z + pw] = x.data[(c * x.h + y) * x.w + z]!;
  return { c: x.c, h, w, data };
}

const netOf =
  (weights: Weights): Net =>
  (name, input, [kh, kw], stride = 1, padding = [0, 0]) => {
    const get = (part: string) => weights.get(`${name}.${part}`)!;
    const { shape, data } = get("conv.weight");
    const x = padded(input, padding);
    const o = shape[0]!;
    const [h, w] = [Math.floor((x.h - kh) / stride) + 1, Math.floor((x.w - kw) / stride) + 1];
    const k = { n: 1, c: x.c, h: x.h, w: x.w, o, kh, kw, stride, padding: 0 };
    const out = convolve(x.data, Float64Array.from(data), undefined, k).map((v, i) => {
      const c = Math.floor(i / (h * w));
      const of = (part: string) => get(`bn.${part}`).data[c]!;
      return Math.max(
        0,
        ((v - of("running_mean")) / Math.sqrt(of("running_var") + 1e-3)) * of("weight") + of("bias"),
      );
    });
    return { c: o, h, w, data: out };
  };

/** `fold` over the 3×3 neighbours that are inside, for every `stride`-th element; without padding from the second on. */
function pool(x: Picture, stride: number, padding: number, fold: (values: number[]) => number): Picture {
  const size = (v: number) => Math.floor((v + 2 * padding - 3) / stride) + 1;
  const [h, w] = [size(x.h), size(x.w)];
  const data = Float64Array.from({ length: x.c * h * w }, (_, i) => {
    const [c, row, column] = [Math.floor(i / (h * w)), Math.floor(i / w) % h, i % w];
    const values: number[] = [];
    for (let a = 0; a < 3; a++)
      for (let b = 0; b < 3; b++) {
        const [y, z] = [row * stride + a - padding, column * stride + b - padding];
        if (y >= 0 && z >= 0 && y < x.h && z < x.w) values.push(x.data[(c * x.h + y) * x.w + z]!);
      }
    return fold(values);
  });
  return { c: x.c, h, w, data };
}

const largest = (values: number[]): number => Math.max(...values);
const middle = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const halved = (x: Picture): Picture => pool(x, 2, 0, largest);
const means = (x: Picture): Picture => pool(x, 1, 1, middle);
const cat = (...parts: Picture[]): Picture => ({
  ...parts[0]!,
  c: parts.reduce((sum, p) => sum + p.c, 0),
  data: Float64Array.from(parts.flatMap((p) => [...p.data])),
});

/** The 2048 features and 1008 logits of a picture that has its size already. */
export function inception(
  weights: Weights,
  picture: Picture,
): { features: Float64Array; logits: Float64Array } {
  const net = netOf(weights);
  const a = (m: string, x: Picture): Picture => {
    const d2 = net(`${m}.branch3x3dbl_2`, net(`${m}.branch3x3dbl_1`, x, [1, 1]), [3, 3], 1, [1, 1]);
    return cat(
      net(`${m}.branch1x1`, x, [1, 1]),
      net(`${m}.branch5x5_2`, net(`${m}.branch5x5_1`, x, [1, 1]), [5, 5], 1, [2, 2]),
      net(`${m}.branch3x3dbl_3`, d2, [3, 3], 1, [1, 1]),
      net(`${m}.branch_pool`, means(x), [1, 1]),
    );
  };
  const c = (m: string, x: Picture): Picture => {
    const [wide, tall] = [
      [0, 3],
      [3, 0],
    ] as const;
    const s2 = net(`${m}.branch7x7_2`, net(`${m}.branch7x7_1`, x, [1, 1]), [1, 7], 1, wide);
    const d2 = net(`${m}.branch7x7dbl_2`, net(`${m}.branch7x7dbl_1`, x, [1, 1]), [7, 1], 1, tall);
    const d4 = net(`${m}.branch7x7dbl_4`, net(`${m}.branch7x7dbl_3`, d2, [1, 7], 1, wide), [7, 1], 1, tall);
    return cat(
      net(`${m}.branch1x1`, x, [1, 1]),
      net(`${m}.branch7x7_3`, s2, [7, 1], 1, tall),
      net(`${m}.branch7x7dbl_5`, d4, [1, 7], 1, wide),
      net(`${m}.branch_pool`, means(x), [1, 1]),
    );
  };
  const e = (m: string, x: Picture, pooled: Picture): Picture => {
    const fork = (name: string, y: Picture) =>
      cat(net(`${m}.${name}a`, y, [1, 3], 1, [0, 1]), net(`${m}.${name}b`, y, [3, 1], 1, [1, 0]));
    const d2 = net(`${m}.branch3x3dbl_2`, net(`${m}.branch3x3dbl_1`, x, [1, 1]), [3, 3], 1, [1, 1]);
    return cat(
      net(`${m}.branch1x1`, x, [1, 1]),
      fork("branch3x3_2", net(`${m}.branch3x3_1`, x, [1, 1])),
      fork("branch3x3dbl_3", d2),
      net(`${m}.branch_pool`, pooled, [1, 1]),
    );
  };
  let x = net("Conv2d_1a_3x3", picture, [3, 3], 2);
  x = net("Conv2d_2b_3x3", net("Conv2d_2a_3x3", x, [3, 3]), [3, 3], 1, [1, 1]);
  x = halved(net("Conv2d_4a_3x3", net("Conv2d_3b_1x1", halved(x), [1, 1]), [3, 3]));
  for (const m of ["Mixed_5b", "Mixed_5c", "Mixed_5d"]) x = a(m, x);
  const d2 = net("Mixed_6a.branch3x3dbl_2", net("Mixed_6a.branch3x3dbl_1", x, [1, 1]), [3, 3], 1, [1, 1]);
  x = cat(net("Mixed_6a.branch3x3", x, [3, 3], 2), net("Mixed_6a.branch3x3dbl_3", d2, [3, 3], 2), halved(x));
  for (const m of ["Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"]) x = c(m, x);
  const s3 = net("Mixed_7a.branch7x7x3_2", net("Mixed_7a.branch7x7x3_1", x, [1, 1]), [1, 7], 1, [0, 3]);
  x = cat(
    net("Mixed_7a.branch3x3_2", net("Mixed_7a.branch3x3_1", x, [1, 1]), [3, 3], 2),
    net("Mixed_7a.branch7x7x3_4", net("Mixed_7a.branch7x7x3_3", s3, [7, 1], 1, [3, 0]), [3, 3], 2),
    halved(x),
  );
  x = e("Mixed_7b", x, means(x));
  x = e("Mixed_7c", x, pool(x, 1, 1, largest));
  const size = x.h * x.w;
  const features = Float64Array.from({ length: x.c }, (_, k) =>
    middle([...x.data.subarray(k * size, (k + 1) * size)]),
  );
  const [w, b] = [weights.get("fc.weight")!.data, weights.get("fc.bias")!.data];
  const logits = Float64Array.from({ length: b.length }, (_, k) =>
    features.reduce((sum, v, i) => sum + v * w[k * x.c + i]!, b[k]!),
  );
  return { features, logits };
}
