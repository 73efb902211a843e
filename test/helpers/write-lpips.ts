import { writeWeights } from "../../src/io/weights.ts";
import { Declarations } from "../../src/nn/parameter.ts";
import { trunk, trunkChannels } from "../../src/nn/trunks.ts";
import type { Weights } from "../reference/lpips.ts";
import { randomArray } from "./check-op.ts";

/** LPIPS over a SqueezeNet of random weights, as one file. */
export async function writeLpips(file: string): Promise<Weights> {
  const d = new Declarations();
  trunk(d, "squeeze");
  const heads = trunkChannels("squeeze").map((c, k) => ({
    name: `lin${k}.model.1.weight`,
    shape: [1, c, 1, 1],
  }));
  const entries = [...d.list, ...heads].map(({ name, shape }, k) => {
    const [n, fan] = [shape.reduce((a, b) => a * b, 1), shape.slice(1).reduce((a, b) => a * b, 1)];
    const bound = name.startsWith("lin") ? 1 : Math.sqrt(6 / fan);
    const data = randomArray(n, k, name.startsWith("lin") ? 0 : -bound, bound);
    return { name, shape, dtype: "F32" as const, data };
  });
  await writeWeights(file, entries);
  return new Map(entries.map(({ name, shape, data }) => [name, { shape, data }]));
}
