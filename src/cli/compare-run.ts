// The run of `deft compare`: prior, pictures, methods, and what it leaves in its folder.
import { epochOrder } from "../deft/batches.ts";
import type { ComparedBatch, Comparison } from "../deft/compare.ts";
import type { Config } from "../deft/config/schema.ts";
import { subset, type ImageDataset } from "../deft/dataset.ts";
import { summarise } from "../deft/evaluate.ts";
import { average } from "../deft/metrics.ts";
import { saveComparedPictures, writeComparison } from "./compare-results.ts";
import { classed } from "./classes.ts";
import { batchesOf, forecast, refuseNone, setUpComparison } from "./comparison-setup.ts";
import { openHeldOut } from "./data.ts";
import { formatBytes } from "./format.ts";
import { comparedMethods } from "./methods.ts";
import { openEngine } from "./open-engine.ts";
import { createProgress, type Progress } from "./progress.ts";
import { measureLines } from "./report/figures.ts";
import { openRunFolder } from "./run-folder.ts";
import { halfLine, withRunWeights } from "./train-setup.ts";
import { openTask } from "./task-files.ts";

/** The comparison of a resolved and checked configuration. Throws UserError. */
export async function runComparison(config: Config): Promise<void> {
  const validation = await openHeldOut(config);
  const order = comparedPictures(config, validation);
  const { deg, sigma_y: sigma } = config.algo;
  const task = await openTask(config, validation.side, validation.channels);
  const opened = await openEngine(config);
  try {
    const { engine } = opened;
    const { channels, side } = validation;
    const { comparison, leftOut, peak } = await withRunWeights(config, async (weights) => {
      const parts = { config, task, channels, side, weights, ...compared(config) };
      const { peak } = await forecast(
        engine.device,
        parts,
        order,
        batchesOf(config, order, config.compare.first),
      );
      return { ...(await setUpComparison(engine, parts)), peak };
    });
    const folder = await openRunFolder(config, `compare-${deg}`);
    console.log(`run: ${folder.path}`);
    console.log(
      `task: ${deg}, noise sigma_y ${sigma ?? 0} on [-1, 1]; ${validation.name}, side ${validation.side}; the same measurements and draws for all`,
    );
    const half = halfLine(config, engine.device);
    if (half !== null) console.log(half);
    console.log(`memory: ${formatBytes(peak)} of GPU memory at most`);
    const batches: ComparedBatch[] = [];
    for (const [first, count] of batchesOf(config, order, config.compare.first)) {
      const compared = await compareBatch(comparison, order, first, count);
      await saveComparedPictures(folder.path, order, compared);
      // Only the first batch is shown; the others keep their scores and mean deviations.
      const bare = {
        ...{ ...compared, pictures: new Map(), samples: new Map(), original: new Float32Array() },
        measurement: { ...compared.measurement, values: new Float32Array() },
        deviations: new Map([...compared.deviations].map(([name, v]) => [name, Float32Array.of(average(v))])),
      };
      batches.push(batches.length === 0 ? compared : bare);
      refuseNone(comparison, leftOut);
      if (batches.length % config.exp.logfreq === 0)
        console.log(measureLines(Object.fromEntries(summarise(batches))).join("\n"));
    }
    await writeComparison({
      folder,
      gpu: opened.gpu,
      task,
      data: order,
      batches,
      comparison,
      leftOut: new Map([...leftOut, ...comparison.leftOut]),
    });
  } finally {
    task.release();
    opened.close();
  }
}

/** The pictures that are compared, in their order. */
export function comparedPictures(config: Config, validation: ImageDataset): ImageDataset {
  const shuffled = epochOrder(validation.length, config.exp.seed, 0, config.loader.shuffle);
  return classed(config, subset(validation, [...shuffled]), true);
}

/** What `deft compare` compares. */
export const compared = ({ compare }: Config) =>
  ({ choose: comparedMethods, samples: compare.num_samples, warmUp: true }) as const;

async function compareBatch(
  comparison: Comparison,
  data: ImageDataset,
  first: number,
  count: number,
): Promise<ComparedBatch> {
  const progress = createProgress(`compare pictures ${first + 1} to ${first + count}`);
  let learning: Progress | undefined;
  try {
    return await comparison.batch(
      data,
      first,
      count,
      (step, total) => progress.update({ step, total }),
      (method, step, total) => {
        learning ??= createProgress(`learn ${method}`);
        learning.update({ step, total });
        if (step < total) return;
        learning.done();
        learning = undefined;
      },
    );
  } finally {
    learning?.done();
    progress.done();
  }
}
