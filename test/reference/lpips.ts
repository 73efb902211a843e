// LPIPS in float64 by its definition, over layers listed as in torchvision's `features`.
import { convolve } from "./convolution.ts";

export interface Picture {
  readonly c: number;
  readonly h: number;
  readonly w: number;
  readonly data: Float64Array;
}

export type Weights = ReadonlyMap<
  string,
  { readonly shape: readonly number[]; readonly data: ArrayLike<number> }
>;

/** c<kernel>,<stride>,<padding> with its ReLU (two places), p<kernel>, P<kernel> (rounded up), f: a fire module; * marks a stage's end. */
const LAYERS = {
  alex: "c11,4,2 * p3 c5,1,2 * p3 c3,1,1 * c3,1,1 * c3,1,1 *",
  vgg: "c3,1,1 c3,1,1 * p2 c3,1,1 c3,1,1 * p2 c3,1,1 c3,1,1 c3,1,1 * p2 c3,1,1 c3,1,1 c3,1,1 * p2 c3,1,1 c3,1,1 c3,1,1 *",
  squeeze: "c3,2,0 * P3 f f * P3 f f * P3 f * f * f * f *",
} as const;

const relu = (x: Picture): Picture => ({ ...x, data: x.data.map((v) => Math.max(0, v)) });

function conv(x: Picture, weights: Weights, name: string, stride: number, padding: number): Picture {
  const { shape, data } = weights.get(`${name}.weight`)!;
  const [o, , kh, kw] = shape as [number, number, number, number];
  const k = { n: 1, c: x.c, h: x.h, w: x.w, o, kh, kw, stride, padding };
  const bias = Float64Array.from(weights.get(`${name}.bias`)!.data);
  const size = (v: number) => Math.floor((v + 2 * padding - kh) / stride) + 1;
  return relu({ c: o, h: size(x.h), w: size(x.w), data: convolve(x.data, Float64Array.from(data), bias, k) });
}

function pool(x: Picture, kernel: number, round: (v: number) => number): Picture {
  const [h, w] = [round((x.h - kernel) / 2) + 1, round((x.w - kernel) / 2) + 1];
  const data = Float64Array.from({ length: x.c * h * w }, (_, i) => {
    const [c, row, column] = [Math.floor(i / (h * w)), Math.floor(i / w) % h, i % w];
    let most = -Infinity;
    for (let y = 2 * row; y < Math.min(x.h, 2 * row + kernel); y++)
      for (let z = 2 * column; z < Math.min(x.w, 2 * column + kernel); z++)
        most = Math.max(most, x.data[(c * x.h + y) * x.w + z]!);
    return most;
  });
  return { c: x.c, h, w, data };
}

function fire(x: Picture, weights: Weights, name: string): Picture {
  const s = conv(x, weights, `${name}.squeeze`, 1, 0);
  const [a, b] = [conv(s, weights, `${name}.expand1x1`, 1, 0), conv(s, weights, `${name}.expand3x3`, 1, 1)];
  return { ...a, c: a.c + b.c, data: Float64Array.from([...a.data, ...b.data]) };
}

function stages(trunk: keyof typeof LAYERS, weights: Weights, picture: Picture): Picture[] {
  const found: Picture[] = [];
  const size = picture.h * picture.w;
  const [shift, scale] = [
    [-0.03, -0.088, -0.188],
    [0.458, 0.448, 0.45],
  ];
  const scaled = picture.data.map(
    (v, i) => (v - shift[Math.floor(i / size)]!) / scale[Math.floor(i / size)]!,
  );
  let [x, at]: [Picture, number] = [{ ...picture, data: scaled }, 0];
  for (const layer of LAYERS[trunk].split(" ")) {
    const [kernel = 0, stride = 0, padding = 0] = layer.slice(1).split(",").map(Number);
    if (layer === "*") found.push(x);
    else if (layer.startsWith("c")) {
      x = conv(x, weights, `features.${at}`, stride, padding);
      at += 2;
    } else {
      if (layer === "f") x = fire(x, weights, `features.${at}`);
      else x = pool(x, kernel, layer.startsWith("P") ? Math.ceil : Math.floor);
      at++;
    }
  }
  return found;
}

/** The distance of two pictures [3, h, w] in [-1, 1]. */
export function lpips(trunk: keyof typeof LAYERS, weights: Weights, a: Picture, b: Picture): number {
  const [p, q] = [stages(trunk, weights, a), stages(trunk, weights, b)];
  return p.reduce((total, x, k) => {
    const [y, size] = [q[k]!, x.h * x.w];
    const lin = weights.get(`lin${k}.model.1.weight`)!.data;
    let sum = 0;
    for (let i = 0; i < size; i++) {
      const norm = (f: Picture) => {
        let square = 0;
        for (let c = 0; c < f.c; c++) square += f.data[c * size + i]! ** 2;
        return Math.sqrt(square) + 1e-10;
      };
      const [n, m] = [norm(x), norm(y)];
      for (let c = 0; c < x.c; c++)
        sum += lin[c]! * (x.data[c * size + i]! / n - y.data[c * size + i]! / m) ** 2;
    }
    return total + sum / size;
  }, 0);
}
