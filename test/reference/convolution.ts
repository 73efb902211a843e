// Convolutions in float64, by their definition.
export interface Conv {
  readonly n: number;
  readonly c: number;
  readonly h: number;
  readonly w: number;
  readonly o: number;
  readonly kh: number;
  readonly kw: number;
  readonly stride: number;
  readonly padding: number;
}

/** Each product of the convolution: indices into x[n,c,h,w], the weights [o,c,kh,kw] and the output [n,o,oh,ow]. */
function products(
  { n, c, h, w, o, kh, kw, stride, padding }: Conv,
  padY: number,
  visit: (x: number, weight: number, y: number) => void,
): void {
  const oh = Math.floor((h + 2 * padY - kh) / stride) + 1;
  const ow = Math.floor((w + 2 * padding - kw) / stride) + 1;
  for (let i = 0; i < n; i++)
    for (let oc = 0; oc < o; oc++)
      for (let y = 0; y < oh; y++)
        for (let x = 0; x < ow; x++)
          for (let ic = 0; ic < c; ic++)
            for (let ky = 0; ky < kh; ky++) {
              const iy = y * stride + ky - padY;
              if (iy < 0 || iy >= h) continue;
              for (let kx = 0; kx < kw; kx++) {
                const ix = x * stride + kx - padding;
                if (ix < 0 || ix >= w) continue;
                visit(
                  ((i * c + ic) * h + iy) * w + ix,
                  ((oc * c + ic) * kh + ky) * kw + kx,
                  ((i * o + oc) * oh + y) * ow + x,
                );
              }
            }
}

export function convolve(
  x: Float64Array,
  weights: Float64Array,
  bias: Float64Array | undefined,
  k: Conv,
  padY = k.padding,
): Float64Array {
  const oh = Math.floor((k.h + 2 * padY - k.kh) / k.stride) + 1;
  const ow = Math.floor((k.w + 2 * k.padding - k.kw) / k.stride) + 1;
  const out = new Float64Array(k.n * k.o * oh * ow);
  products(
    k,
    padY,
    (i, j, at) => (out[at] = (out[at] as number) + (x[i] as number) * (weights[j] as number)),
  );
  return bias ? out.map((v, i) => v + (bias[Math.floor(i / (oh * ow)) % k.o] as number)) : out;
}

/** The adjoint of convolve in x: y[n,o,oh,ow] to [n,c,h,w], plus a bias by channel c. */
export function convolveTransposed(
  y: Float64Array,
  weights: Float64Array,
  bias: Float64Array | undefined,
  k: Conv,
): Float64Array {
  const out = new Float64Array(k.n * k.c * k.h * k.w);
  products(
    k,
    k.padding,
    (i, j, at) => (out[i] = (out[i] as number) + (y[at] as number) * (weights[j] as number)),
  );
  return bias ? out.map((v, i) => v + (bias[Math.floor(i / (k.h * k.w)) % k.c] as number)) : out;
}

/** The gradient of sum(convolve(x, w)·dy) by the weights. */
export function weightGradient(x: Float64Array, dy: Float64Array, k: Conv): Float64Array {
  const out = new Float64Array(k.o * k.c * k.kh * k.kw);
  products(k, k.padding, (i, j, at) => (out[j] = (out[j] as number) + (x[i] as number) * (dy[at] as number)));
  return out;
}
