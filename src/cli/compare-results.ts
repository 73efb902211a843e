// What a comparison leaves: pictures, grid, table (Markdown, JSON, HTML).
import path from "node:path";
import { meanRow, type ComparedBatch, type Comparison } from "../deft/compare.ts";
import type { ImageDataset } from "../deft/dataset.ts";
import { summarise } from "../deft/evaluate.ts";
import { average } from "../deft/metrics.ts";
import type { Task } from "../deft/task.ts";
import { encodePng, tile, writePng, type Picture } from "../io/images.ts";
import { markdown, plainText, TABLE_NOTE, tableOf, type ComparedMethod } from "./compare-table.ts";
import type { OpenedGpu } from "./dawn.ts";
import { renderComparison, type ComparisonPage } from "./report/comparison.ts";
import { measuresLeftOut, unmeasured, type GridRow } from "./report/types.ts";
import { atomicWrite, configToYaml, type RunFolder } from "./run-folder.ts";
import { measurementPicture, pictureAt, SHOWN, zoomOf } from "./run-results.ts";

export interface ComparisonResults {
  readonly folder: RunFolder;
  readonly gpu: Pick<OpenedGpu, "kind" | "name" | "line">;
  readonly task: Task;
  readonly data: ImageDataset;
  readonly batches: readonly ComparedBatch[];
  readonly comparison: Comparison;
  /** Methods that are not in the table, with the reason. */
  readonly leftOut: ReadonlyMap<string, string>;
}

/** The standard deviation of each pixel as grey, the mean over channels: black 0, white `most`. */
export function deviationPicture(values: Float32Array, data: ImageDataset, k: number, most: number): Picture {
  const plane = data.side ** 2;
  const first = k * data.channels * plane;
  const grey = Float32Array.from({ length: plane }, (_, p) => {
    let sum = 0;
    for (let c = 0; c < data.channels; c++) sum += values[first + c * plane + p] as number;
    return (2 * sum) / (data.channels * (most || 1)) - 1;
  });
  return { data: grey, channels: 1, height: data.side, width: data.side };
}

/** Deviations from this on are white in a batch: none lies above it but those of samples that diverged. */
export const mostOf = ({ deviations }: Pick<ComparedBatch, "deviations">): number =>
  [...deviations.values()].reduce(
    (most, map) => map.reduce((a, b) => (Number.isFinite(b) ? Math.max(a, b) : a), most),
    0,
  );

/** Every picture as PNG: original, measurement and, for each method, first sample, mean and deviations. Names count from the batch's first. */
export async function saveComparedPictures(
  folder: string,
  data: ImageDataset,
  batch: ComparedBatch,
): Promise<void> {
  const most = mostOf(batch);
  for (let k = 0; k < batch.count; k++) {
    const write = (suffix: string, picture: Picture) =>
      writePng(
        path.join(folder, "pictures", `${String(batch.first + k).padStart(5, "0")}_${suffix}.png`),
        picture,
      );
    await write("ori", pictureAt(batch.original, batch.count, data.channels, k));
    await write("deg", measurementPicture(batch, k));
    for (const [row, values] of batch.pictures)
      await write(row, pictureAt(values, batch.count, data.channels, k));
    for (const [name, values] of batch.deviations)
      await write(`${name}_std`, deviationPicture(values, data, k, most));
  }
}

/** What is in comparison.json of each method. */
function comparedMethods({ comparison, batches }: ComparisonResults): ComparedMethod[] {
  const scores = summarise(batches);
  return comparison.methods.map((method) => {
    const { name } = method.algorithm;
    const [cost, sample, mean] = [comparison.costs.get(name), scores.get(name), scores.get(meanRow(name))];
    if (!cost || !sample) throw new Error(`${name}: no result`);
    const deviations = batches.flatMap(({ deviations, count }) =>
      Array<number>(count).fill(average(deviations.get(name) ?? [])),
    );
    return {
      name,
      options: method.options,
      steps: method.ts.length,
      samples: comparison.samplesOf(method),
      cost,
      sample,
      ...(mean ? { mean, deviation: average(deviations) } : {}),
    };
  });
}

/** grid.png, comparison.html, comparison.md and, last, comparison.json; prints the table. */
export async function writeComparison(r: ComparisonResults): Promise<void> {
  const { folder, gpu, task, data, batches } = r;
  const [first] = batches;
  if (!first) throw new Error("compare: nothing was compared");
  const methods = comparedMethods(r);
  const table = tableOf(methods);
  const pictures = batches.reduce((n, b) => n + b.count, 0);
  const sigma = task.condition.sigmaY;
  const names = methods.map(({ name }) => name);
  const title = `Comparison on ${task.name}`;
  const lead = `${pictures} held-out pictures of ${data.name}, side ${data.side}, each measured once as y = A x + ${sigma} n on [-1, 1]: every method got the same y and the same random numbers (seed ${folder.config.exp.seed}).`;
  const measured = Object.fromEntries(methods.map(({ name, sample }) => [name, sample]));
  const missing = unmeasured(measured);
  const leftOut = [...r.leftOut].map(([name, reason]) => `Left out: ${name} (${reason}).`);
  const notes = [...leftOut, ...(missing === null ? [] : [missing]), TABLE_NOTE];
  const command = `node dist/deft.js compare ${process.argv.slice(3).join(" ")}`.trim();

  await writePng(path.join(folder.path, "grid.png"), gridPicture(first, data, names));
  const page: ComparisonPage = {
    ...{ title, lead, table, notes, command },
    adapter: gpu.name,
    grids: await pageGrids(first, data, methods),
    config: configToYaml(folder.config),
  };
  const file = (name: string) => path.join(folder.path, name);
  await atomicWrite(file("comparison.html"), renderComparison(page));
  const columns = `Columns: original, measurement, ${names.join(", ")}.`;
  const parts = [`# ${title}`, lead, `Computed on ${gpu.name}.`, markdown(table), ...notes];
  const repeat = ["To repeat it:", `\`\`\`bash\n${command}\n\`\`\``];
  await atomicWrite(
    file("comparison.md"),
    `${[...parts, columns, "![pictures side by side](grid.png)", ...repeat].join("\n\n")}\n`,
  );
  const json = {
    task: task.name,
    sigma_y: sigma,
    pictures,
    seed: folder.config.exp.seed,
    adapter: { kind: gpu.kind, name: gpu.name, line: gpu.line },
    methods: methods.map(({ cost, ...method }) => ({
      ...method,
      network_calls: cost.calls,
      seconds_per_image: cost.secondsPerImage,
      ...(cost.learning && {
        learning: {
          network_calls: cost.learning.calls,
          seconds_per_image: cost.learning.secondsPerImage,
        },
      }),
      gpu_peak_bytes: cost.peakBytes,
    })),
    left_out: Object.fromEntries(r.leftOut),
    measures_left_out: measuresLeftOut(measured),
  };
  await atomicWrite(file("comparison.json"), `${JSON.stringify(json, null, 2)}\n`);
  console.log([plainText(table), ...leftOut, ...(missing === null ? [] : [missing])].join("\n"));
  console.log(`report: ${file("comparison.html")}`);
}

const shownOf = ({ count }: ComparedBatch): number[] =>
  Array.from({ length: Math.min(SHOWN, count) }, (_, k) => k);

/** Original, measurement and one sample of every method, a row a picture. */
function gridPicture(batch: ComparedBatch, data: ImageDataset, names: readonly string[]): Picture {
  const at = (values: Float32Array, k: number) => pictureAt(values, batch.count, data.channels, k);
  const rows = shownOf(batch).map((k) => [
    at(batch.original, k),
    measurementPicture(batch, k),
    ...names.map((name) => at(batch.pictures.get(name) as Float32Array, k)),
  ]);
  return tile(rows.flat(), { columns: names.length + 2, zoom: zoomOf(data.side) });
}

async function pageGrids(
  batch: ComparedBatch,
  data: ImageDataset,
  methods: readonly ComparedMethod[],
): Promise<ComparisonPage["grids"]> {
  const png = async (picture: Picture) => (await encodePng(picture)).toString("base64");
  const names = methods.map(({ name }) => name);
  const repeated = methods.filter(({ samples }) => samples > 1);
  const heads = (own: readonly string[]) => ({
    original: "Original",
    measurement: "Measurement y",
    ...Object.fromEntries(own.map((name) => [name, name])),
  });
  const rows = async (
    own: readonly string[],
    picture: (name: string, k: number) => Picture,
    psnr: (name: string, k: number) => number | undefined = () => undefined,
  ) => {
    const made: GridRow<string>[] = [];
    for (const k of shownOf(batch)) {
      const pictures: Record<string, string> = {
        original: await png(pictureAt(batch.original, batch.count, data.channels, k)),
        measurement: await png(measurementPicture(batch, k)),
      };
      for (const name of own) pictures[name] = await png(picture(name, k));
      const figures = own.flatMap((name) => {
        const value = psnr(name, k);
        return value === undefined ? [] : [[name, value] as const];
      });
      made.push({ label: `picture ${k + 1}`, pictures, psnr: Object.fromEntries(figures) });
    }
    return made;
  };
  const restored = (own: readonly string[], row: (name: string) => string) =>
    rows(
      own,
      (name, k) => pictureAt(batch.pictures.get(row(name)) as Float32Array, batch.count, data.channels, k),
      (name, k) => batch.scores.get(row(name))?.psnr[k],
    );
  const sampled = {
    title: "One sample of each",
    note: "The figure under a picture is its PSNR.",
    heads: heads(names),
    rows: await restored(names, (name) => name),
  };
  if (repeated.length === 0) return [sampled];
  const own = repeated.map(({ name }) => name);
  const most = mostOf(batch);
  return [
    sampled,
    {
      title: `Means of ${repeated[0]?.samples} samples`,
      note: "The mean of samples that fit y is the safest guess: it mostly scores higher than a sample and looks softer.",
      heads: heads(own),
      rows: await restored(own, meanRow),
    },
    {
      title: "Where the answer is a guess",
      note: `Standard deviation of the samples in each pixel, one scale for all: black 0, white ${most.toFixed(2)} on [-1, 1].`,
      heads: heads(own),
      rows: await rows(own, (name, k) =>
        deviationPicture(batch.deviations.get(name) as Float32Array, data, k, most),
      ),
    },
  ];
}
