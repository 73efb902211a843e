// What a classifier says about pictures: Inception score and top-1 accuracy, from logits [n, classes].
import { UserError } from "../errors.ts";
import { rowsOf, type Features } from "./moments.ts";

/**
 * Inception score exp(mean KL(p(y|x) ‖ p(y))) of each of `splits` equal runs of pictures, 1 … classes. Probabilities are the
 * softmax of the logits, in float64. Salimans et al. 2016, section 4. Throws UserError with fewer pictures than splits.
 */
export function inceptionScore(logits: Features, splits = 1): Float64Array {
  const n = rowsOf("inception score", logits);
  if (n < splits || splits < 1)
    throw new UserError(
      `inception score: ${n} pictures in ${splits} splits; expected a picture or more in each`,
    );
  const rows = Array.from({ length: n }, (_, i) => softmaxRow(logits, i));
  return Float64Array.from({ length: splits }, (_, s) => {
    const part = rows.slice(Math.floor((s * n) / splits), Math.floor(((s + 1) * n) / splits));
    const marginal = new Float64Array(logits.dim);
    for (const p of part) p.forEach((v, k) => (marginal[k] = marginal[k]! + v / part.length));
    const divergence = (p: Float64Array): number =>
      p.reduce((sum, v, k) => (v > 0 ? sum + v * Math.log(v / marginal[k]!) : sum), 0);
    return Math.exp(part.reduce((sum, p) => sum + divergence(p), 0) / part.length);
  });
}

function softmaxRow({ data, dim }: Features, row: number): Float64Array {
  const values = Float64Array.from(data.subarray(row * dim, (row + 1) * dim));
  const most = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const exps = values.map((v) => Math.exp(v - most));
  const sum = exps.reduce((a, b) => a + b, 0);
  return exps.map((v) => v / sum);
}

/** Share of the pictures whose largest logit is that of their label, 0 … 1. Throws UserError for unequal numbers. */
export function topOne(logits: Features, labels: ArrayLike<number>): number {
  const n = rowsOf("top-1", logits);
  const { data, dim } = logits;
  if (labels.length !== n || n === 0)
    throw new UserError(`top-1: ${labels.length} labels for ${n} pictures; expected one for each`);
  let hits = 0;
  for (let i = 0; i < n; i++) {
    let best = 0;
    for (let k = 1; k < dim; k++) if (data[i * dim + k]! > data[i * dim + best]!) best = k;
    if (best === labels[i]) hits++;
  }
  return hits / n;
}
