// deft_soc as `deft sample` makes it: the options that the configuration has for learning, and a loss that is no number.
import { expect, test } from "vitest";
import { learningOf, sampledMethod, socCondition } from "../../src/cli/methods.ts";
import { transformNetwork } from "../../src/cli/train-setup.ts";
import type { Problem } from "../../src/deft/algorithms/algorithm.ts";
import { deftSoc, type SocParts } from "../../src/deft/algorithms/deft-soc.ts";
import { seededDraws } from "../../src/deft/algorithms/draws.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import { UserError } from "../../src/deft/errors.ts";
import { scheduleOf } from "../../src/deft/networks.ts";
import type { Prior } from "../../src/deft/prior.ts";
import { makeTask } from "../../src/deft/task.ts";
import { testEngine } from "../helpers/engine.ts";
import { expectNothingLeft } from "../helpers/live-bytes.ts";
import { gaussianDenoiser } from "../deft/algorithms/gaussian.ts";
import { freePrior, measurementOf } from "../deft/algorithms/setting.ts";

expectNothingLeft();

const WORDS = [
  ...["model=phantoms", "model.image_size=4", "model.channel_mult=1", "model.attention_resolutions=4"],
  ...["htransform_model.channel_mult=1", "algo=deft_soc", "algo.deg=sr2", "algo.sigma_y=0.3"],
  ...["algo.soc.iterations=2", "algo.soc.batch_size=2", "algo.soc.num_steps=2"],
  ...["algo.finetune_args.lr=0.05", "algo.ema.update_after_step=0", "algo.ema.update_every=1"],
];

/** A sample by the method of these words, or by deft_soc of the same words with `instead`. */
async function sample(words: readonly string[], instead?: Partial<SocParts>): Promise<number[]> {
  const engine = await testEngine();
  const { config } = resolveConfig([...WORDS, ...words]);
  const [schedule, task] = [scheduleOf(config.diffusion), makeTask(config, 4, 1, null)];
  const operator = task.operator(engine, [0]);
  const y = engine.tensor(measurementOf("sr2", freePrior), [1, ...operator.outShape]);
  const problem: Omit<Problem, "ts"> = {
    ...{ engine, schedule, operator, y },
    prior: gaussianDenoiser(engine, schedule, freePrior).denoise,
    draws: seededDraws(engine, { seed: 1 }),
  };
  try {
    const { algorithm, options, ts } = await sampledMethod({
      ...{ engine, config, schedule, task, channels: 1, transform: null },
      // The problem brings its own.
      prior: {} as Prior,
    });
    const { objective, batch_size: batchSize, iterations } = config.algo.soc;
    const own = {
      ...{ network: transformNetwork(config, 1), condition: socCondition(config, task) },
      ...{ numSteps: 2, ...learningOf(config), useAverage: false, seed: 0 },
    };
    const drawn = instead
      ? await deftSoc({ ...own, ...instead }).algorithm.sample(
          { ...problem, ts },
          { objective, batchSize, iterations },
        )
      : await algorithm.sample({ ...problem, ts }, options);
    const values = Array.from(await drawn.read());
    drawn.dispose();
    expect(values.every(Number.isFinite)).toBe(true);
    return values;
  } finally {
    y.dispose();
    task.release();
  }
}

test("the averaged weights where algo.val_args.use_ema, else the last", async () => {
  const [last, average] = ["algo.val_args.use_ema=false", "algo.val_args.use_ema=true"];
  const raw = await sample([last, "algo.ema.beta=0.5"]);
  expect(raw, "the last follow no average").toEqual(await sample([last, "algo.ema.beta=0"]));
  expect(raw, "an average of the last weights alone").toEqual(await sample([average, "algo.ema.beta=0"]));
  expect(await sample([average, "algo.ema.beta=0.5"])).not.toEqual(raw);
});

test("learns from exp.seed, and by algo.finetune_args", async () => {
  const given = await sample(["exp.seed=3"]);
  expect(given).toEqual(await sample([], { seed: 3, useAverage: true }));
  expect(given).not.toEqual(await sample([], { seed: 0, useAverage: true }));
  const constant = await sample(["exp.seed=3", "algo.finetune_args.lr_annealing=false"]);
  expect(constant).not.toEqual(given);
});

test("a loss that is not finite is an error that says what to lower", async () => {
  const failing = sample(["algo.finetune_args.lr=1e30"]);
  await expect(failing).rejects.toThrow(UserError);
  await expect(failing).rejects.toThrow(
    /^deft_soc: the loss is (NaN|Infinity) at iteration 2; lower algo.finetune_args.lr/,
  );
});
