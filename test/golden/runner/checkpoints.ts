// Files of torch.save: every container of an entry must hold the same tensors, bit for bit.
import path from "node:path";
import { openWeights } from "../../../src/io/weights.ts";
import type { Entry, Handler, StateDict } from "./entry.ts";
import { readTensors, type Json, type Stored } from "./manifest.ts";

/** Names in the recorded file that are not `t.` and a name of the table `model`. */
const RENAMED: Readonly<Record<string, string>> = {
  "optimizer.exp_avg": "optimizer.state.0.exp_avg",
  "t.bf16_as_f32": "model.bf16",
};

const checkpointOf: Handler = async (entry) => {
  const files = (entry.fixture.extra_files ?? []).map(({ file }) => file);
  const weights = entry.fixture.weights_from ? await entry.stateDict(() => true, false) : null;
  const result = new Map<string, ArrayLike<number>>();
  for (const file of files) {
    const full = path.join(entry.folder.path, file);
    if (weights) {
      const found = await readTensors(full);
      expectWeights(file, found, weights, entry);
      for (const { name } of entry.fixture.outputs) {
        const half = found.get(name.replace(/^f16\./, ""));
        if (half?.dtype === "F16") keep(result, file, name, half.data);
      }
    } else {
      const found = await readTensors(full, { all: true });
      for (const { name } of entry.fixture.outputs) {
        const tensor =
          found.get(RENAMED[name] ?? name.replace(/^t\./, "model.")) ?? found.get(tagged[name] ?? "");
        if (!tensor) continue;
        if (!sameShape(tensor, entry.stored(name)))
          throw new Error(`${file}: ${name}: [${tensor.shape.join(", ")}]`);
        keep(result, file, name, tensor.data);
      }
      if (found.size > 2 && [...found.keys()].some((name) => name.startsWith("optimizer.")))
        await expectPlain(full, entry.config["plain"] ?? null);
    }
  }
  return result;
};

/** The files tagged with a GPU hold two of the tensors under short names. */
const tagged: Readonly<Record<string, string>> = { "t.contiguous": "a", "t.transposed": "b" };

/** Notes a result; one that another file gave before must be the same. */
function keep(
  result: Map<string, ArrayLike<number>>,
  file: string,
  name: string,
  data: ArrayLike<number>,
): void {
  const before = result.get(name);
  if (before && !sameNumbers(before, data)) throw new Error(`${file}: ${name} differs from another file's`);
  result.set(name, data);
}

/** The whole state dict: names in order, shapes, and values equal to the float32 weights or their nearest halves. */
function expectWeights(
  file: string,
  found: ReadonlyMap<string, Stored>,
  weights: StateDict,
  entry: Entry,
): void {
  const order = entry.config["key_order"] as readonly string[];
  const halves = new Set(entry.config["float16_tensors_in_mixed"] as readonly string[]);
  if ([...found.keys()].join() !== order.join()) throw new Error(`${file}: not the names of key_order`);
  for (const [name, t] of found) {
    const want = weights.get(name);
    if (!want || !sameShape(t, want)) throw new Error(`${file}: ${name}: [${t.shape.join(", ")}]`);
    const isHalf = file.includes("f16") || (file.includes("mixed") && halves.has(name));
    if (t.dtype !== (isHalf ? "F16" : "F32")) throw new Error(`${file}: ${name} is ${t.dtype}`);
    const off = t.data.findIndex(
      (v, i) => Math.abs(v - (want.data[i] as number)) > bound(want.data[i] as number, isHalf),
    );
    if (off >= 0)
      throw new Error(`${file}: ${name}: element ${off} is ${t.data[off]}; expected ${want.data[off]}`);
  }
}

/** Half a step of binary16, whose steps end at 2^-24. */
const bound = (value: number, isHalf: boolean): number =>
  isHalf ? Math.max(2 ** -25, 2 ** -11 * Math.abs(value)) : 0;

async function expectPlain(file: string, plain: Json): Promise<void> {
  const { metadata, close } = await openWeights(file, { all: true });
  await close();
  for (const [name, value] of Object.entries(plain as { readonly [key: string]: Json })) {
    const want = typeof value === "string" ? value : JSON.stringify(value);
    if (metadata.get(name) !== want)
      throw new Error(`${file}: ${name} is ${metadata.get(name)}; expected ${want}`);
  }
}

const sameShape = (a: Stored, b: Stored): boolean => a.shape.join() === b.shape.join();

const sameNumbers = (a: ArrayLike<number>, b: ArrayLike<number>): boolean =>
  a.length === b.length && Array.from(a).every((v, i) => Object.is(v, b[i]));

export const checkpointKinds: Record<string, Handler> = { checkpoint: checkpointOf };
