import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { checkInputs } from "../../src/cli/check-inputs.ts";
import { predictedPeak } from "../../src/cli/memory.ts";
import { priorFile } from "../../src/cli/prior-file.ts";
import { evaluationOptions, setUpRun, withRunWeights } from "../../src/cli/train-setup.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import { inceptionScore } from "../../src/deft/metrics/classifier.ts";
import { frechetDistance, kernelDistance } from "../../src/deft/metrics/distances.ts";
import { Moments } from "../../src/deft/metrics/moments.ts";
import { restoreBatch, summarise, type Restored } from "../../src/deft/evaluate.ts";
import { phantoms } from "../../src/deft/phantoms.ts";
import { generatedMasks, makeTask } from "../../src/deft/task.ts";
import { openWeights } from "../../src/io/weights.ts";
import { concat, Engine, openDevice, reshape, slice, type Tensor } from "../../src/tensor/index.ts";
import { testEngine } from "../helpers/engine.ts";
import { testAdapter } from "../helpers/gpu.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { writeLpips } from "../helpers/write-lpips.ts";
import { op, storage, tensor, torchZip } from "../helpers/write-torch.ts";
import { lpips as reference } from "../reference/lpips.ts";

const SIDE = 32;
const folder = temporaryFolder();

/** A prior's weights as torch.save would write a checkpoint: a table `model` beside an epoch. */
async function asTorch(from: string, to: string): Promise<void> {
  const weights = await openWeights(from);
  const storages: Record<string, Float32Array> = {};
  const table = [];
  for (const [k, name] of weights.names.entries()) {
    const { shape } = weights.info(name);
    const data = (storages[k] = await weights.readF32(name));
    const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
    table.push([name, tensor(storage(String(k), data.length), shape, strides)] as [string, number[]]);
  }
  await weights.close();
  writeFileSync(to, torchZip(op.dict(["epoch", op.int(3)], ["model", op.dict(...table)]), storages));
}

test("a run takes its prior from a .pt file, and measures LPIPS where weights are given", async () => {
  const [prior, perceptual] = [path.join(folder, "prior.pt"), path.join(folder, "lpips.safetensors")];
  await asTorch(priorFile("phantoms", null) ?? "", prior);
  const weights = await writeLpips(perceptual);
  const train = phantoms({ side: SIDE, length: 8 });
  const device = await openDevice(await testAdapter());
  const run = async (...args: string[]): Promise<{ restored: Restored; foretold: number }> => {
    const { config } = resolveConfig([
      "model=phantoms",
      "dataset=phantoms",
      "algo.deg=sr4",
      "algo.finetune_args.batch_size=2",
      ...args,
    ]);
    checkInputs(config);
    const task = makeTask(config, SIDE, 1, generatedMasks(config, SIDE));
    return withRunWeights(config, async (weights) => {
      const parts = { config, task, train, ...weights };
      const foretold = await predictedPeak(device, parts, train);
      const run = await setUpRun(new Engine(device), parts);
      const options = evaluationOptions(run, 2, { samples: 1, evolutionSteps: 0 });
      return { restored: await restoreBatch(options, train, 0, 2), foretold };
    });
  };
  const plain = await run();
  for (const key of ["lpips", "fid", "kid", "inception_score"])
    expect(summarise([plain.restored]).get("prior")).not.toHaveProperty(key);
  const measured = await run(`model.ckpt_path=${prior}`, `metrics.lpips_path=${perceptual}`);
  expect(measured.foretold).toBeGreaterThan(plain.foretold);
  expect(measured.restored.methods).toEqual(plain.restored.methods);
  const scores = measured.restored.scores.get("pinv");
  const n = SIDE * SIDE;
  for (const k of [0, 1]) {
    const grey = (values: Float32Array) => {
      const own = Float64Array.from(values.subarray(k * n, (k + 1) * n), (v) => Math.min(1, Math.max(-1, v)));
      return { c: 3, h: SIDE, w: SIDE, data: Float64Array.from([...own, ...own, ...own]) };
    };
    const { methods, original } = measured.restored;
    const want = reference("squeeze", weights, grey(methods.get("pinv") as Float32Array), grey(original));
    expect(Math.abs((scores?.lpips?.[k] ?? NaN) - want)).toBeLessThan(2e-5 * want);
  }
  expect(summarise([measured.restored]).get("pinv")?.lpips).toBeGreaterThan(0);
  device.destroy();
});

test("FID, KID and Inception score of a run are those of all its batches", async () => {
  const train = phantoms({ side: SIDE, length: 8 });
  const { config } = resolveConfig(["model=phantoms", "dataset=phantoms", "algo.deg=sr4"]);
  const engine = await testEngine();
  const task = makeTask(config, SIDE, 1, generatedMasks(config, SIDE));
  const batches = await withRunWeights(config, async (weights) => {
    const run = await setUpRun(engine, { config, task, train, ...weights });
    // Instead of Inception: the picture's own pixels, twice.
    const inception = {
      forward: (x: Tensor) => {
        const pixels = reshape(x, [1, SIDE * SIDE]);
        return { features: concat([pixels, pixels], 1), logits: slice(pixels, [0, 0], [1, 1008]) };
      },
    };
    const options = { ...evaluationOptions(run, 2, { samples: 1, evolutionSteps: 0 }), inception };
    return [await restoreBatch(options, train, 0, 1), await restoreBatch(options, train, 1, 2)];
  });
  const set = (of: (b: Restored) => Float32Array) => {
    const pixels = batches.flatMap((b) =>
      Array.from({ length: b.count }, (_, k) => of(b).slice(k * SIDE ** 2, (k + 1) * SIDE ** 2)),
    );
    const clamped = pixels.map((p) => p.map((v) => Math.min(1, Math.max(-1, v))));
    return {
      features: { data: Float32Array.from(clamped.flatMap((p) => [...p, ...p])), dim: 2 * SIDE ** 2 },
      clamped,
    };
  };
  const [original, pinv] = [set((b) => b.original), set((b) => b.methods.get("pinv") as Float32Array)];
  const moments = [original, pinv].map(({ features }) => {
    const m = new Moments(features.dim);
    m.add(features);
    return m;
  }) as [Moments, Moments];
  const table = summarise(batches).get("pinv");
  const all = [
    [0, 1, 2],
    [0, 1, 2],
  ] as const;
  const logits = Float32Array.from(pinv.clamped.flatMap((p) => [...p.slice(0, 1008)]));
  expect(table?.fid).toBeCloseTo(frechetDistance(...moments), 8);
  expect(table?.kid).toBeCloseTo(1000 * kernelDistance(original.features, pinv.features, [all]), 8);
  expect(table?.inception_score).toBeCloseTo(inceptionScore({ data: logits, dim: 1008 })[0] as number, 12);
  // One picture has no covariance.
  expect(summarise(batches.slice(0, 1)).get("pinv")).not.toHaveProperty("fid");
});

test("weights of metrics that do not fit are refused before anything runs", async () => {
  const config = (...args: string[]) => resolveConfig(["model=phantoms", "dataset=phantoms", ...args]).config;
  expect(() => checkInputs(config("metrics.lpips_path=/no/heads.pth"))).toThrow(
    "metrics.lpips_path: no such file",
  );
  expect(() => checkInputs(config("metrics.lpips_trunk_path=/no/trunk.pth"))).toThrow(
    "metrics.lpips_path: none given beside metrics.lpips_trunk_path",
  );
  const pickle = path.join(folder, "evil.pt");
  writeFileSync(pickle, torchZip(op.call(op.global("os", "system"), op.text("id"))));
  for (const key of ["metrics.lpips_path", "model.ckpt_path", "htransform_model.ckpt_path"])
    await expect(withRunWeights(config(`${key}=${pickle}`), () => Promise.resolve())).rejects.toThrow(
      `${pickle}: torch: "os.system" is not allowed`,
    );
});
