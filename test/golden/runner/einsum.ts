// Sums of products by an equation such as "bct,bcs->bts", from permute, reshape and matmul.
import { matmul, permute, reshape, sum, type Tensor } from "../../../src/tensor/index.ts";
import { Unsupported } from "./entry.ts";

interface Named {
  readonly t: Tensor;
  readonly letters: readonly string[];
}

/** Einstein's summation, from left to right in pairs; a letter stands at most once in an operand. */
export function einsum(equation: string, operands: readonly Tensor[]): Tensor {
  const [left = "", given] = equation.replace(/\s/g, "").split("->");
  const terms = left.split(",").map((term) => [...term]);
  const isPlain = terms.every(
    (term) => new Set(term).size === term.length && /^[a-zA-Z]*$/.test(term.join("")),
  );
  if (!isPlain || terms.length !== operands.length)
    throw new Unsupported(`einsum ${equation} of ${operands.length} operands`);
  const right = given === undefined ? once(terms.flat()) : [...given];
  const named = terms.map((letters, i) => ({ t: operands[i] as Tensor, letters }));
  const wanted = (after: number): Set<string> => new Set([...right, ...terms.slice(after).flat()]);
  let result = onlyThose(named[0] as Named, wanted(1));
  named.slice(1).forEach((next, i) => (result = product(result, next, wanted(i + 2))));
  return permute(
    result.t,
    right.map((l) => result.letters.indexOf(l)),
  );
}

/** Letters that stand once, in alphabetical order: the result of an equation without an arrow. */
const once = (letters: readonly string[]): string[] =>
  letters.filter((l) => letters.indexOf(l) === letters.lastIndexOf(l)).sort();

/** Sums over the letters that are wanted nowhere. */
function onlyThose({ t, letters }: Named, wanted: ReadonlySet<string>): Named {
  const gone = letters.flatMap((l, i) => (wanted.has(l) ? [] : [i]));
  if (gone.length === 0) return { t, letters };
  return { t: sum(t, { axes: gone }), letters: letters.filter((l) => wanted.has(l)) };
}

/** The product of two, summed over the letters that are not wanted: one batched matmul. */
function product(x: Named, y: Named, wanted: ReadonlySet<string>): Named {
  const a = onlyThose(x, new Set([...wanted, ...y.letters]));
  const b = onlyThose(y, new Set([...wanted, ...a.letters]));
  const shared = a.letters.filter((l) => b.letters.includes(l));
  const batch = shared.filter((l) => wanted.has(l));
  const inner = shared.filter((l) => !wanted.has(l));
  const rows = a.letters.filter((l) => !shared.includes(l));
  const columns = b.letters.filter((l) => !shared.includes(l));
  const sizes = new Map([a, b].flatMap(({ t, letters }) => letters.map((l, i) => [l, t.dim(i)] as const)));
  const sizesOf = (letters: readonly string[]): number[] => letters.map((l) => sizes.get(l) ?? 1);
  const arranged = ({ t, letters }: Named, order: readonly (readonly string[])[]): Tensor => {
    const axes = order.flat().map((l) => letters.indexOf(l));
    return reshape(
      permute(t, axes),
      order.map((part) => sizesOf(part).reduce((n, v) => n * v, 1)),
    );
  };
  const letters = [...batch, ...rows, ...columns];
  const t = matmul(arranged(a, [batch, rows, inner]), arranged(b, [batch, inner, columns]));
  return { t: reshape(t, sizesOf(letters)), letters };
}
