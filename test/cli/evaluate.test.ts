// `deft evaluate`: measures by hand and by a reference, runs and folders, what cannot be measured.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test, vi } from "vitest";
import { evaluate } from "../../src/cli/commands/evaluate.ts";
import { planEvaluation } from "../../src/cli/evaluate-inputs.ts";
import { evaluateOn } from "../../src/cli/evaluate-run.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import { writePng } from "../../src/io/images.ts";
import { randomArray } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { writeLpips } from "../helpers/write-lpips.ts";
import { lpips as reference } from "../reference/lpips.ts";

const SIDE = 32;
const folder = temporaryFolder();
const at = (...names: string[]): string => path.join(folder, ...names);
let printed: string[] = [];

/** Bytes of a picture as values that PNG keeps. */
const values = (seed: number, n = 3 * SIDE * SIDE): Float32Array =>
  randomArray(n, seed, 0, 255.99).map((v) => Math.floor(v) / 127.5 - 1);

async function write(file: string, data: Float32Array, side = SIDE): Promise<void> {
  mkdirSync(path.dirname(file), { recursive: true });
  await writePng(file, { data, channels: data.length === side * side ? 1 : 3, height: side, width: side });
}

const metricsIn = (name: string) =>
  JSON.parse(readFileSync(at(name, "metrics.json"), "utf8")) as {
    metrics: Record<string, Record<string, number>>;
  };

const psnrOf = (a: Float32Array, b: Float32Array): number =>
  -10 * Math.log10(a.reduce((s, v, i) => s + ((v - b[i]!) / 2) ** 2, 0) / a.length + 1e-10);

beforeAll(() => {
  vi.spyOn(console, "log").mockImplementation((line: string) => void printed.push(line));
  vi.spyOn(process.stdout, "write").mockImplementation(() => true);
});

test("two folders: PSNR by hand, LPIPS as the reference; what is not measured is named", async () => {
  printed = [];
  const [a, b] = [values(1), values(2)];
  // The second original is grey, the picture made of it is not.
  const grey = values(3, SIDE * SIDE);
  const tinted = Float32Array.from([...grey, ...grey, ...grey], (v, i) => (i === 0 ? -v : v));
  for (const [name, data] of [
    ["one", b],
    ["two", tinted],
  ] as const)
    await write(at("made", `${name}.png`), data);
  for (const [name, data] of [
    ["one", a],
    ["two", grey],
  ] as const)
    await write(at("true", "sub", `${name}.png`), data);
  const weights = await writeLpips(at("lpips.safetensors"));
  const request = { samples: at("made"), against: at("true", "sub"), classes: null };
  const config = resolveConfig([`metrics.lpips_path=${at("lpips.safetensors")}`]).config;
  const engine = await testEngine();
  const before = engine.device.pool.stats.live;
  await evaluateOn(engine, { config, inputs: await planEvaluation(request), ...request });
  expect(engine.device.pool.stats.live - before).toBeGreaterThan(0); // the network's weights, until the device closes
  const { samples } = metricsIn("made").metrics;
  const three = Float32Array.from([...grey, ...grey, ...grey]);
  expect(samples?.["psnr"]).toBeCloseTo((psnrOf(b, a) + psnrOf(tinted, three)) / 2, 4);
  const image = (data: Float32Array) => ({ c: 3, h: SIDE, w: SIDE, data: Float64Array.from(data) });
  const want =
    (reference("squeeze", weights, image(b), image(a)) +
      reference("squeeze", weights, image(tinted), image(three))) /
    2;
  expect(Math.abs((samples?.["lpips"] ?? NaN) - want)).toBeLessThan(2e-5 * want);
  expect(samples).not.toHaveProperty("consistency");
  expect(samples).not.toHaveProperty("fid");
  expect(printed.join("\n")).toContain(
    "Not measured, with what they need: FID (metrics.inception_path and two pictures)",
  );
  expect(printed.join("\n")).not.toMatch(/LPIPS \(metrics/);
});

test("a run's folder: a row for samples, means and each algorithm; companions are none", async () => {
  const [original, sample, mean] = [values(4), values(5), values(6)];
  writeFileSync(
    path.join(mkdirSync(at("run", "pictures"), { recursive: true }) ? at("run") : at("run"), "config.yaml"),
    "",
  );
  const file = (suffix: string) => at("run", "pictures", `00000${suffix}.png`);
  for (const [suffix, data] of [
    ["", sample],
    ["_mean", mean],
    ["_ori", original],
    ["_dps", mean],
  ] as const)
    await write(file(suffix), data);
  for (const suffix of ["_std", "_dps_std", "_deg", "_evol", "_sample2"])
    await write(file(suffix), values(7, 64), 8);
  await evaluate([at("run")]);
  const { metrics } = metricsIn("run");
  expect(Object.keys(metrics).sort()).toEqual(["dps", "mean", "sample"]);
  expect(metrics["sample"]?.["psnr"]).toBeCloseTo(psnrOf(sample, original), 4);
  expect(metrics["dps"]).toEqual(metrics["mean"]);
  // Nothing is replaced unasked.
  await expect(evaluate([at("run")])).rejects.toThrow("metrics.json is there; pass exp.overwrite=true");
  await evaluate([`exp.root=${folder}`, "exp.samples_root=.", "exp.name=run", "exp.overwrite=true"]);
});

test("what restore num_samples= leaves: a row for samples, one for means, no maps", async () => {
  const [original, sample, mean] = [values(13), values(14), values(15)];
  await write(at("restored", "x.png"), sample);
  await write(at("restored", "x_mean.png"), mean);
  await write(at("restored", "x_std.png"), values(16, SIDE * SIDE));
  // A picture of its own: nothing lies there under the name without _mean.
  await write(at("restored", "y_mean.png"), sample);
  for (const name of ["x", "y_mean"]) await write(at("first", `${name}.png`), original);
  await evaluate([at("restored"), "--against", at("first")]);
  const { metrics } = metricsIn("restored");
  expect(Object.keys(metrics)).toEqual(["samples", "means"]);
  expect(metrics["samples"]?.["psnr"]).toBeCloseTo(psnrOf(sample, original), 4);
  expect(metrics["means"]?.["psnr"]).toBeCloseTo(psnrOf(mean, original), 4);
  // An original of just that name makes it a sample.
  for (const name of ["x_mean", "x_std"]) await write(at("first", `${name}.png`), mean);
  const { rows } = await planEvaluation({ samples: at("restored"), against: at("first"), classes: null });
  expect([...rows].map(([row, { length }]) => [row, length])).toEqual([["samples", 4]]);
});

test("what cannot be measured is said in a line, and nothing is written", async () => {
  const none = at("alone");
  await write(path.join(none, "x.png"), values(8));
  const against = (name: string) => evaluate([none, "--against", at(name)]);
  await expect(evaluate([])).rejects.toThrow("evaluate: no folder given");
  await expect(evaluate([at("nowhere")])).rejects.toThrow(
    `evaluate: no such folder; got ${at("nowhere")}; pass deft evaluate FOLDER with png`,
  );
  await expect(evaluate([none])).rejects.toThrow("is no run's folder; pass --against ORIGINALS");
  await expect(evaluate([none, "--against"])).rejects.toThrow("--against: no value");
  await expect(evaluate([none, none])).rejects.toThrow("evaluate: one folder at a time");
  await expect(against("nowhere")).rejects.toThrow("--against: no such folder");
  await expect(evaluate([none, "metrics.lpips=x"])).rejects.toThrow(
    "metrics.lpips: no such key; nearest is metrics.lpips_path; all: deft evaluate --help",
  );
  await expect(evaluate([none, "--agianst=x"])).rejects.toThrow(
    "expected KEY=VALUE, --against, --adapter, --dry-run, --help; nearest is --against; all: deft evaluate",
  );
  await expect(evaluate([none, "algo=dps"])).rejects.toThrow("algo.name: evaluate samples nothing");
  await expect(evaluate([none, "metrics.lpips_path=/no/file"])).rejects.toThrow(
    "metrics.lpips_path: no such",
  );
  mkdirSync(at("done", "metrics.json"), { recursive: true });
  await write(at("done", "x.png"), values(8));
  await expect(evaluate([at("done"), "--against", none, "exp.overwrite=true"])).rejects.toThrow(
    `evaluate: ${at("done", "metrics.json")} is a folder; pass a copy of the folder`,
  );
  await write(at("others", "y.png"), values(9));
  await expect(against("others")).rejects.toThrow(
    "only whole sets can be compared; pass metrics.inception_path",
  );
  await write(at("small", "x.png"), values(10, 3 * 64), 8);
  await expect(against("small")).rejects.toThrow("x.png: 32x32, its original");
  await write(path.join(none, "y.png"), values(11));
  await expect(against("small")).rejects.toThrow("holds no picture named y, as others of");
  expect(existsSync(path.join(none, "metrics.json"))).toBe(false);
  mkdirSync(at("bare", "pictures"), { recursive: true });
  writeFileSync(at("bare", "config.yaml"), "");
  await write(at("bare", "pictures", "00000.png"), values(12));
  await expect(evaluate([at("bare")])).rejects.toThrow(
    "holds no original of 00000; draw with exp.save_ori=true",
  );
});
