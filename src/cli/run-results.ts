// What a finished run leaves: pictures, grid, weights, report and summary.
import { createHash } from "node:crypto";
import path from "node:path";
import type { Config } from "../deft/config/schema.ts";
import type { ImageDataset } from "../deft/dataset.ts";
import { spread, summarise, type Restored } from "../deft/evaluate.ts";
import type { FineTuning } from "../deft/finetune.ts";
import type { Prior } from "../deft/prior.ts";
import type { Task } from "../deft/task.ts";
import { encodePng, square, tile, writePng, type Picture } from "../io/images.ts";
import { writeWeights } from "../io/weights.ts";
import { readState } from "../nn/state.ts";
import type { OpenedGpu } from "./dawn.ts";
import { renderReport } from "./report/report.ts";
import {
  METHODS,
  measuresLeftOut,
  shortfall,
  unmeasured,
  WEIGHTED_MEASURES,
  type GridColumn,
  type GridRow,
  type Summary,
} from "./report/types.ts";
import { atomicWrite, configToYaml, otherTransform, TRANSFORM, type RunFolder } from "./run-folder.ts";
import { readStats } from "./stats.ts";

/** Pictures in grid.png and the report. */
export const SHOWN = 8;
const EVOLUTIONS = 3;
export const EVOLUTION_STEPS = 10;

export interface Results {
  readonly folder: RunFolder;
  readonly gpu: OpenedGpu;
  readonly run: {
    readonly config: Config;
    readonly prior: Prior;
    readonly fineTuning: FineTuning;
    readonly task: Task;
    readonly data: ImageDataset;
    readonly batches: { readonly stepsPerEpoch: number };
  };
  readonly batches: readonly Restored[];
  readonly seconds: Summary["seconds"];
  readonly imagesPerSecond: number;
  readonly networkCalls: number;
  readonly statsFile: string;
}

/** One picture of a batch. */
export function pictureAt(values: Float32Array, count: number, channels: 1 | 3, k: number): Picture {
  const size = values.length / count;
  return square(values.slice(k * size, (k + 1) * size), channels);
}

function columnsOf(data: ImageDataset, restored: Restored, k: number): [GridColumn, Picture][] {
  const at = (values: Float32Array) => pictureAt(values, restored.count, data.channels, k);
  const methods = METHODS.flatMap((m): [GridColumn, Picture][] => {
    const values = restored.methods.get(m);
    return values ? [[m, at(values)]] : [];
  });
  return [["original", at(restored.original)], ["measurement", measurementPicture(restored, k)], ...methods];
}

/**
 * The measurement of picture k. One that is no picture (a sinogram, magnitudes) is stretched from its least to its largest value by the
 * cube root, in which small values still show.
 */
export function measurementPicture(
  { measurement, count }: Pick<Restored, "measurement" | "count">,
  k: number,
): Picture {
  const { values, shape, isPicture } = measurement;
  const [, channels = 1, height = 1, width = 1] = shape;
  const size = values.length / count;
  const own = values.slice(k * size, (k + 1) * size);
  const [low, high] = own.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
  const data = isPicture ? own : own.map((v) => 2 * Math.cbrt((v - low) / (high - low || 1)) - 1);
  return { data, channels: channels === 3 ? 3 : 1, height, width };
}

/** Original, measurement and every method side by side, one row a picture. */
export async function saveGrid(
  file: string,
  data: ImageDataset,
  batches: readonly Restored[],
): Promise<void> {
  const [first] = batches;
  if (!first) return;
  const rows = Array.from({ length: Math.min(SHOWN, first.count) }, (_, k) =>
    columnsOf(data, first, k).map(([, p]) => p),
  );
  await writePng(file, tile(rows.flat(), { columns: rows[0]?.length ?? 1, zoom: zoomOf(data.side) }));
}

/** Factor that makes small pictures of a grid visible. */
export const zoomOf = (side: number): number => Math.max(1, Math.floor(96 / side));

/** x̂0 of a few steps of one picture, from noise to the end. */
export function evolutionStrip(
  data: ImageDataset,
  restored: Pick<Restored, "evolution" | "count">,
  k: number,
): Picture {
  const pictures = spread(restored.evolution.length, EVOLUTION_STEPS).map((i) =>
    pictureAt(restored.evolution[i] as Float32Array, restored.count, data.channels, k),
  );
  return tile(pictures, { zoom: zoomOf(data.side) });
}

/** Samples of a batch as PNG files, with their companions as asked: _ori, _deg, _evol; names count from `first`. */
export async function savePictures(
  folder: string,
  data: ImageDataset,
  restored: Restored,
  first: number,
  exp: Config["exp"],
): Promise<void> {
  const write = (k: number, suffix: string, picture: Picture) =>
    writePng(path.join(folder, "pictures", `${String(first + k).padStart(5, "0")}${suffix}.png`), picture);
  const at = (values: Float32Array, k: number) => pictureAt(values, restored.count, data.channels, k);
  for (let k = 0; k < restored.count; k++) {
    await write(k, "", at(restored.methods.get("deft") as Float32Array, k));
    await write(k, "_mean", at(restored.methods.get("deft_mean4") as Float32Array, k));
    if (exp.save_ori) await write(k, "_ori", at(restored.original, k));
    if (exp.save_deg) await write(k, "_deg", measurementPicture(restored, k));
    if (exp.save_evolution) await write(k, "_evol", evolutionStrip(data, restored, k));
  }
}

/** Writes the h-transform's weights (their average when `average`) under their own names. */
export async function exportTransform(
  file: string,
  { trainer }: Pick<FineTuning, "trainer">,
  average: boolean,
): Promise<void> {
  const { set, average: flat } = trainer;
  const weights = await readState(set, average ? flat : set.flat);
  await writeWeights(
    file,
    weights.map((t) => ({ ...t, dtype: "F32" as const })),
  );
}

/** SHA-256 over the tensors in order of name. */
async function hashOf({ trainer: { set } }: FineTuning): Promise<string> {
  const hash = createHash("sha256");
  const weights = (await readState(set)).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const { data } of weights) hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return hash.digest("hex");
}

/** grid.png, htransform.safetensors and its other weights, report.html and, last, summary.json; prints the table. */
export async function writeResults(r: Results): Promise<void> {
  const { folder, run, batches, gpu } = r;
  const { config, fineTuning, data, task, prior } = run;
  const { trainer } = fineTuning;
  const useAverage = config.algo.val_args.use_ema;
  const { label } = data;
  const restored = batches.reduce((n, { count }) => n + count, 0);
  await saveGrid(path.join(folder.path, "grid.png"), data, batches);
  await exportTransform(path.join(folder.path, TRANSFORM), fineTuning, useAverage);
  await exportTransform(path.join(folder.path, otherTransform(!useAverage)), fineTuning, !useAverage);
  const metrics = Object.fromEntries(summarise(batches));
  const summary: Summary = {
    task: task.name,
    adapter: { kind: gpu.kind, name: gpu.name, line: gpu.line },
    parameters: { prior: prior.parameters.count, htransform: trainer.set.count },
    metrics,
    measures_left_out: measuresLeftOut(metrics),
    seconds: r.seconds,
    steps: trainer.steps,
    network_calls: r.networkCalls,
    gpu_peak_bytes: trainer.set.engine.device.pool.stats.peak,
    htransform_sha256: await hashOf(fineTuning),
    ...(label && { classes: Array.from({ length: restored }, (_, i) => label(i)) }),
  };
  const first = batches[0] as Restored;
  const grid: GridRow[] = [];
  const evolution: { label: string; png: string }[] = [];
  const png = async (picture: Picture) => (await encodePng(picture)).toString("base64");
  for (let k = 0; k < Math.min(SHOWN, first.count); k++) {
    const pictures: Partial<Record<GridColumn, string>> = {};
    for (const [column, picture] of columnsOf(data, first, k)) pictures[column] = await png(picture);
    const psnr = Object.fromEntries([...first.scores].map(([name, s]) => [name, s.psnr[k] as number]));
    grid.push({ label: `picture ${k + 1}`, pictures, psnr });
    if (k < EVOLUTIONS)
      evolution.push({ label: `picture ${k + 1}`, png: await png(evolutionStrip(data, first, k)) });
  }
  const gateTimes = spread(config.diffusion.num_diffusion_timesteps, 101);
  const gate = await fineTuning.gate(gateTimes, useAverage);
  const html = renderReport({
    summary,
    title: `${task.title} (${task.name})`,
    degradation: degradationText(task),
    evaluatedPictures: batches.reduce((n, b) => n + b.count, 0),
    grid,
    loss: readStats(r.statsFile).map(({ step, loss }) => ({ step, loss })),
    gate: gateTimes.map((t, i) => ({ t, s: gate[i] as number })),
    evolution,
    batchSize: config.algo.finetune_args.batch_size,
    imagesPerSecond: r.imagesPerSecond,
    seed: config.exp.seed,
    command:
      `node dist/deft.js train ${process.argv.slice(process.argv[2] === "train" ? 3 : 2).join(" ")}`.trim(),
    config: configToYaml(config),
  });
  await atomicWrite(path.join(folder.path, "report.html"), html);
  await atomicWrite(path.join(folder.path, "summary.json"), `${JSON.stringify(summary, null, 2)}\n`);
  printTable(summary);
  console.log(`report: ${path.join(folder.path, "report.html")}`);
}

/** With the noise that is added to the measurement. */
function degradationText({ effect, condition: { sigmaY } }: Task): string {
  return sigmaY > 0 ? `${effect}, with noise of standard deviation ${sigmaY} added` : effect;
}

function printTable({ metrics }: Summary): void {
  const label = {
    pinv: "A†y",
    bicubic: "bicubic",
    prior: "prior, not trained",
    deft: "DEFT, one sample",
    deft_mean4: "DEFT, mean of four",
  };
  const extra = WEIGHTED_MEASURES.filter(({ key }) => METHODS.some((m) => metrics[m]?.[key] !== undefined));
  const cells = (text: (measure: (typeof extra)[number]) => string | undefined) =>
    extra.map((measure) => (text(measure) ?? "").padStart(10)).join("");
  console.log(
    `${"".padEnd(20)}${"PSNR".padStart(9)}${"SSIM".padStart(8)}${cells((e) => e.head)}${"consistency".padStart(14)}`,
  );
  for (const m of METHODS) {
    const s = metrics[m];
    if (s)
      console.log(
        `${label[m].padEnd(20)}${`${s.psnr.toFixed(2)} dB`.padStart(9)}${s.ssim.toFixed(3).padStart(8)}${cells((e) => s[e.key]?.toFixed(e.digits))}${`${s.consistency.toFixed(1)} dB`.padStart(14)}`,
      );
  }
  for (const note of [unmeasured(metrics), shortfall(metrics)]) if (note !== null) console.log(note);
}
