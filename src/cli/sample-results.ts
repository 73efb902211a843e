// What `deft sample` leaves in its folder: pictures and their companions, scores batch by batch, and the summary of all.
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { meanRow, type ComparedBatch, type Cost } from "../deft/compare.ts";
import type { Config } from "../deft/config/schema.ts";
import type { ImageDataset } from "../deft/dataset.ts";
import { summarise, type Measures, type ScoredBatch, type Scores } from "../deft/evaluate.ts";
import { inceptionScore } from "../deft/metrics/classifier.ts";
import { INCEPTION_CLASSES } from "../nn/inception.ts";
import type { InceptionOutputs, SetMeasures } from "../deft/metrics/sets.ts";
import { tile, writePng, type Picture } from "../io/images.ts";
import { UserError } from "../deft/errors.ts";
import { deviationPicture, mostOf } from "./compare-results.ts";
import { atomicWrite } from "./run-folder.ts";
import { measurementPicture, pictureAt, SHOWN, zoomOf, evolutionStrip } from "./run-results.ts";

const SCORES = "scores.jsonl";

/** The measures of a row: those of an unconditional drawing leave out what compares with an original. */
export type RowMeasures = Partial<Measures & SetMeasures>;

/** The content of summary.json. */
export interface Summary {
  /** Null: drawn from the prior alone. */
  readonly task: string | null;
  readonly sigma_y: number | null;
  readonly algorithm: string;
  readonly options: object;
  readonly steps: number;
  readonly samples: number;
  readonly pictures: number;
  readonly seed: number;
  readonly adapter: { readonly kind: string; readonly name: string; readonly line: string };
  /** Of one sample of a batch. */
  readonly network_calls: Cost["calls"];
  /** Of one picture, for all its samples. */
  readonly learning?: { readonly network_calls: Cost["calls"]; readonly seconds_per_image: number };
  readonly seconds_per_image: number;
  readonly gpu_peak_bytes: number;
  /** Class of each picture; absent: they have none. */
  readonly classes?: readonly number[];
  /** By row: the algorithm's first sample, and the mean of its samples. */
  readonly metrics: { readonly [row: string]: RowMeasures };
  /** What each measure that was not made needs. */
  readonly measures_left_out: { readonly [measure: string]: string };
}

/** A batch that is done, as scores.jsonl holds it. */
export interface DoneBatch extends ScoredBatch<string> {
  readonly first: number;
  readonly count: number;
  readonly labels: readonly number[] | null;
  readonly cost: Cost;
}

interface Line {
  readonly first: number;
  readonly count: number;
  readonly labels: readonly number[] | null;
  readonly cost: Cost;
  readonly scores: { readonly [row: string]: Scores };
  /** Float32 numbers in base64. */
  readonly inception: { readonly [row: string]: { readonly features: string; readonly logits: string } };
}

const encode = (values: Float32Array): string =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("base64");

function decode(text: string): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(text, "base64")).buffer);
}

/** Notes a batch as done, in one write: a killed run tears at most the last line. */
export function appendBatch(folder: string, batch: DoneBatch): void {
  const { first, count, labels, cost } = batch;
  const rows = [...batch.scores].map(([row, scores]): [string, Scores] => [
    row,
    Object.fromEntries(
      Object.entries(scores).map(([name, v]) => [name, Array.from(v as ArrayLike<number>)]),
    ) as unknown as Scores,
  ]);
  const inception = [...batch.inception].map(([row, { features, logits }]) => [
    row,
    { features: encode(features), logits: encode(logits) },
  ]);
  const line = {
    ...{ first, count, labels, cost },
    scores: Object.fromEntries(rows),
    inception: Object.fromEntries(inception) as Line["inception"],
  } satisfies Line;
  appendFileSync(path.join(folder, SCORES), `${JSON.stringify(line)}\n`);
}

/** The batches of a folder that are done; a torn last line is cut off. Throws UserError for a line that is none of ours. */
export async function readBatches(folder: string): Promise<DoneBatch[]> {
  const file = path.join(folder, SCORES);
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n");
  if (lines.pop() !== "") await atomicWrite(file, lines.map((line) => `${line}\n`).join(""));
  return lines.map((text, i) => parseLine(text, `${file}: line ${i + 1}`));
}

/** JSON writes the scores of a picture that diverged, NaN, as null. */
const withoutNull = (scores: Scores): Scores =>
  Object.fromEntries(
    Object.entries(scores).map(([name, values]) => [
      name,
      Array.from(values as ArrayLike<number | null>, (v) => v ?? NaN),
    ]),
  ) as unknown as Scores;

function parseLine(text: string, where: string): DoneBatch {
  let parsed: Line;
  try {
    parsed = JSON.parse(text) as Line;
  } catch (error) {
    throw new UserError(`${where} is no batch of scores; pass exp.overwrite=true to start anew`, {
      cause: error,
    });
  }
  const { scores, inception, ...line } = parsed;
  return {
    ...line,
    scores: new Map(Object.entries(scores).map(([row, own]) => [row, withoutNull(own)])),
    inception: new Map(
      Object.entries(inception).map(([row, { features, logits }]): [string, InceptionOutputs] => [
        row,
        { features: decode(features), logits: decode(logits) },
      ]),
    ),
  };
}

/** Means over all batches. Of unconditional drawings only what needs no original: top-1, and the Inception score. */
export function metricsOf(
  batches: readonly DoneBatch[],
  unconditional: boolean,
): { readonly [row: string]: RowMeasures } {
  const rows = Object.fromEntries(summarise(batches));
  if (!unconditional) return rows;
  return Object.fromEntries(
    Object.entries(rows).map(([row, { top1 }]) => {
      const logits = batches.flatMap(({ inception }) => Array.from(inception.get(row)?.logits ?? []));
      const score =
        logits.length > 0 && inceptionScore({ data: Float32Array.from(logits), dim: INCEPTION_CLASSES });
      return [
        row,
        { ...(top1 !== undefined && { top1 }), ...(score && { inception_score: score[0] as number }) },
      ];
    }),
  );
}

/** A batch with the x̂0 of each step of its first sample. */
export interface SampledBatch extends ComparedBatch {
  readonly evolution: readonly Float32Array[];
}

/** The samples of a batch as PNG, the first under the picture's number, with mean, deviation and companions as asked. */
export async function saveSamples(
  folder: string,
  data: ImageDataset,
  batch: SampledBatch,
  { exp, algo, sample }: Config,
): Promise<void> {
  const samples = batch.samples.get(algo.name) ?? [];
  const mean = batch.pictures.get(meanRow(algo.name));
  const deviation = batch.deviations.get(algo.name);
  const most = mostOf(batch);
  const at = (values: Float32Array, k: number) => pictureAt(values, batch.count, data.channels, k);
  for (let k = 0; k < batch.count; k++) {
    const number = String(batch.first + k).padStart(5, "0");
    const write = (suffix: string, picture: Picture) =>
      writePng(path.join(folder, "pictures", `${number}${suffix}.png`), picture);
    for (const [s, values] of samples.entries()) await write(s === 0 ? "" : `_sample${s + 1}`, at(values, k));
    if (mean) await write("_mean", at(mean, k));
    if (deviation) await write("_std", deviationPicture(deviation, data, k, most));
    if (exp.save_evolution && batch.evolution.length > 0)
      await write("_evol", evolutionStrip(data, batch, k));
    if (sample.unconditional) continue;
    if (exp.save_ori) await write("_ori", at(batch.original, k));
    if (exp.save_deg) await write("_deg", measurementPicture(batch, k));
  }
}

/** grid.png: a row a picture, with original and measurement, the first sample and the mean; of drawings from the prior alone the samples. */
export async function saveSampleGrid(
  folder: string,
  data: ImageDataset,
  batch: SampledBatch,
  unconditional: boolean,
): Promise<void> {
  const at = (values: Float32Array, k: number) => pictureAt(values, batch.count, data.channels, k);
  const restored = [...batch.pictures.values()];
  const shown = Array.from({ length: Math.min(SHOWN, batch.count) }, (_, k) => k);
  const rows = shown.map((k) => [
    ...(unconditional ? [] : [at(batch.original, k), measurementPicture(batch, k)]),
    ...restored.map((values) => at(values, k)),
  ]);
  const columns = unconditional ? Math.min(4, rows.length) : (rows[0] as Picture[]).length;
  await writePng(path.join(folder, "grid.png"), tile(rows.flat(), { columns, zoom: zoomOf(data.side) }));
}
