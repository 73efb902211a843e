// Conversions between float32 and the two 16-bit floats, on whole arrays.

/** IEEE 754 binary16 -> binary32, exact; subnormals, infinities and NaN included. */
export function f16ToF32(source: Uint16Array): Float32Array<ArrayBuffer> {
  const out = new Float32Array(source.length);
  const bits = new Uint32Array(out.buffer);
  for (let i = 0; i < source.length; i++) {
    const half = source[i]!;
    const sign = (half & 0x8000) << 16;
    const exponent = half & 0x7c00;
    const mantissa = half & 0x03ff;
    if (exponent === 0x7c00) bits[i] = sign | 0x7f800000 | (mantissa << 13);
    else if (exponent !== 0) bits[i] = sign | (((half & 0x7fff) << 13) + (112 << 23));
    else out[i] = (sign < 0 ? -1 : 1) * mantissa * 2 ** -24;
  }
  return out;
}

/** binary32 -> IEEE 754 binary16, to the nearest, ties to even; past 65,504 to infinity from 65,520 on. */
export function f32ToF16(source: Float32Array): Uint16Array<ArrayBuffer> {
  const out = new Uint16Array(source.length);
  const words = new Uint32Array(source.buffer, source.byteOffset, source.length);
  for (let i = 0; i < source.length; i++) {
    const word = words[i]!;
    const sign = (word >>> 16) & 0x8000;
    const magnitude = word & 0x7fffffff;
    out[i] = sign | halfOf(magnitude);
  }
  return out;
}

/** The 15 lower bits of the binary16 nearest to a binary32 without its sign. */
function halfOf(magnitude: number): number {
  if (magnitude > 0x7f800000) return 0x7e00 | ((magnitude >>> 13) & 0x3ff);
  if (magnitude >= 0x47800000) return 0x7c00;
  if (magnitude >= 0x38800000) return roundShift(magnitude - (112 << 23), 13);
  const exponent = magnitude >>> 23;
  // Below half the smallest subnormal, 2^-25, nothing is left; the shift would pass 31 bits.
  if (exponent < 102) return 0;
  return roundShift((magnitude & 0x7fffff) | 0x800000, 126 - exponent);
}

/** bfloat16, the upper half of a binary32 -> binary32, exact. */
export function bf16ToF32(source: Uint16Array): Float32Array<ArrayBuffer> {
  const bits = Uint32Array.from(source, (half) => half << 16);
  return new Float32Array(bits.buffer);
}

/** binary32 -> bfloat16, to the nearest, ties to even; NaN stays NaN. */
export function f32ToBf16(source: Float32Array): Uint16Array<ArrayBuffer> {
  const out = new Uint16Array(source.length);
  const words = new Uint32Array(source.buffer, source.byteOffset, source.length);
  for (let i = 0; i < source.length; i++) {
    const word = words[i]!;
    const magnitude = word & 0x7fffffff;
    const upper = magnitude > 0x7f800000 ? (magnitude >>> 16) | 0x40 : roundShift(magnitude, 16);
    out[i] = ((word >>> 16) & 0x8000) | upper;
  }
  return out;
}

/** value / 2^shift to the nearest integer, ties to even, in 1 <= shift <= 31 bits. */
function roundShift(value: number, shift: number): number {
  const quotient = value >>> shift;
  const rest = value & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return quotient + (rest > half || (rest === half && (quotient & 1) === 1) ? 1 : 0);
}
