// When an output counts as equal (the rules that the manifest's tolerances are made for).

export interface Tolerance {
  readonly max_abs: number;
  readonly rel_l2?: number;
  /** At most max(1, floor(outlier_fraction·n)) values may differ by more than outlier_abs. */
  readonly outlier_abs?: number;
  readonly outlier_fraction?: number;
}

export interface Compare {
  /** Absent: by tolerance; exact: bit for bit; zero: the true value is 0, |value| <= max_abs; skip: not compared. */
  readonly compare?: "exact" | "zero" | "skip";
  readonly tolerance?: Tolerance;
  /** Flat indices to leave out. */
  readonly ignore_indices?: readonly number[];
}

/** What is wrong with `got`, as text with error and tolerance; undefined when it is within. */
export function difference(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  { compare, tolerance, ignore_indices }: Compare,
): string | undefined {
  if (compare === "skip") return undefined;
  if (got.length !== want.length) return `${got.length} values; expected ${want.length}`;
  const ignored = new Set(ignore_indices);
  const kept = Array.from({ length: want.length }, (_, i) => i).filter((i) => !ignored.has(i));
  const value = (list: ArrayLike<number>, i: number): number => list[i] as number;
  if (compare === "exact") {
    const wrong = kept.filter((i) => !Object.is(value(got, i), value(want, i)));
    const [first] = wrong;
    if (first === undefined) return undefined;
    return `${wrong.length} of ${kept.length} values differ, the first at ${first}: ${value(got, first)}; expected exactly ${value(want, first)}`;
  }
  if (!tolerance) return "the manifest gives no tolerance";
  const expected = (i: number): number => (compare === "zero" ? 0 : value(want, i));
  let [maxAbs, errorSquare, wantSquare, outliers] = [0, 0, 0, 0];
  for (const i of kept) {
    const error = Math.abs(value(got, i) - expected(i));
    // Written so that NaN, which is above and below nothing, becomes the largest error.
    if (!(error <= maxAbs)) maxAbs = Number.isNaN(error) ? Infinity : error;
    errorSquare += error ** 2;
    wantSquare += expected(i) ** 2;
    if (tolerance.outlier_abs !== undefined && !(error <= tolerance.outlier_abs)) outliers++;
  }
  const problems: string[] = [];
  if (!(maxAbs <= tolerance.max_abs)) problems.push(`max abs ${show(maxAbs)} > ${show(tolerance.max_abs)}`);
  if (compare !== "zero" && tolerance.rel_l2 !== undefined) {
    const [error, size] = [Math.sqrt(errorSquare), Math.sqrt(wantSquare)];
    if (!(error <= tolerance.rel_l2 * size))
      problems.push(`relative l2 ${show(error / size)} > ${show(tolerance.rel_l2)}`);
  }
  const allowed = Math.max(1, Math.floor((tolerance.outlier_fraction ?? 0) * kept.length));
  if (outliers > allowed)
    problems.push(`${outliers} values off by more than ${show(tolerance.outlier_abs ?? 0)}, ${allowed} may`);
  return problems.length > 0 ? problems.join(", ") : undefined;
}

const show = (v: number): string => v.toPrecision(3);
