// Products of two tensors by an equation such as "bct,bcs->bts", from permute, reshape and matmul.
import { matmul, permute, reshape, sum, type Tensor } from "../../../src/tensor/index.ts";
import { Unsupported } from "./entry.ts";

/** Einstein's summation of two operands; each letter at most once an operand. */
export function einsum(equation: string, operands: readonly Tensor[]): Tensor {
  const [left = "", right = ""] = equation.replace(/\s/g, "").split("->");
  const [first, second, ...more] = left.split(",");
  const [x, y] = operands;
  if (!first || !second || !x || !y || more.length > 0 || /[^a-zA-Z,]/.test(left))
    throw new Unsupported(`einsum ${equation}: other than two operands of plain letters`);
  const [a, b] = [reduced(x, [...first], second + right), reduced(y, [...second], first + right)];
  const sizes = new Map([
    ...a.letters.map((l, i) => [l, a.t.dim(i)] as const),
    ...b.letters.map((l, i) => [l, b.t.dim(i)] as const),
  ]);
  const batch = [...right].filter((l) => a.letters.includes(l) && b.letters.includes(l));
  const inner = a.letters.filter((l) => b.letters.includes(l) && !right.includes(l));
  const rows = a.letters.filter((l) => !b.letters.includes(l));
  const columns = b.letters.filter((l) => !a.letters.includes(l));
  const size = (letters: readonly string[]): number => letters.reduce((n, l) => n * (sizes.get(l) ?? 1), 1);
  const arranged = ({ t, letters }: Named, order: readonly string[], shape: readonly number[]): Tensor =>
    reshape(
      permute(
        t,
        order.map((l) => letters.indexOf(l)),
      ),
      shape,
    );
  const product = matmul(
    arranged(a, [...batch, ...rows, ...inner], [size(batch), size(rows), size(inner)]),
    arranged(b, [...batch, ...inner, ...columns], [size(batch), size(inner), size(columns)]),
  );
  const letters = [...batch, ...rows, ...columns];
  const full = reshape(
    product,
    letters.map((l) => sizes.get(l) ?? 1),
  );
  return permute(
    full,
    [...right].map((l) => letters.indexOf(l)),
  );
}

interface Named {
  readonly t: Tensor;
  readonly letters: readonly string[];
}

/** Sums over the letters that occur nowhere else. */
function reduced(t: Tensor, letters: readonly string[], elsewhere: string): Named {
  const alone = letters.flatMap((l, i) => (elsewhere.includes(l) ? [] : [i]));
  if (alone.length === 0) return { t, letters };
  return { t: sum(t, { axes: alone }), letters: letters.filter((l) => elsewhere.includes(l)) };
}
