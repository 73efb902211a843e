import { PictureError } from "./images.ts";
import { centreSquare } from "./resample.ts";

/** Air and the range of a 12-bit CT scale, in Hounsfield units: what LoDoPaB-CT maps onto [0, 1]. */
const [HOUNSFIELD_LOW, HOUNSFIELD_RANGE] = [-1024, 4095];

/**
 * A slice of a CT volume as one channel in [-1, 1]: values within [-0.5, 1.5] are taken as [0, 1], others as Hounsfield units,
 * (HU + 1024)/4095; both clamped; then the centre square brought to `side`. Throws PictureError that names `what`.
 */
export function ctSlice(
  values: Float32Array,
  { width, height, side, what }: { width: number; height: number; side: number; what: string },
): Float32Array {
  let [low, high] = [Infinity, -Infinity];
  for (const v of values) {
    if (!Number.isFinite(v))
      throw new PictureError(`${what}: not a picture; got ${v}; expected finite numbers`);
    low = Math.min(low, v);
    high = Math.max(high, v);
  }
  const hounsfield = low < -0.5 || high > 1.5;
  const unit = values.map((v) =>
    Math.min(1, Math.max(0, hounsfield ? (v - HOUNSFIELD_LOW) / HOUNSFIELD_RANGE : v)),
  );
  const { data } = centreSquare({ width, height, channels: 1, data: unit }, side);
  return Float32Array.from(data, (v) => Math.min(1, Math.max(-1, 2 * v - 1)));
}
