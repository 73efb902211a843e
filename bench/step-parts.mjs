// What the h-transform adds to a sampling step: its parts timed in turns in one process, one picture, random weights. Beside the
// time on the clock stands that of the processor, which on a software adapter does the work: others on the machine do not count.
//   node bench/step-parts.mjs [--rounds 2] [--adapter NAME] [OPTIONS]     OPTIONS as of train; default model=imagenet256_uncond
import { parseArgs } from "node:util";
import { Engine, lincomb, openDevice, randomNormal } from "deft-webgpu";
import { openNodeAdapter } from "deft-webgpu/node";
import { condition, HTransform, makeTask, predictX0, Prior, scheduleOf } from "deft-webgpu/deft";
import { initialise, ParameterSet } from "deft-webgpu/nn";
import { median } from "./compare.mjs";
import { networkCost, randomWeights, setting } from "./deft.mjs";
import { number, table } from "./table.mjs";

const { values: arg, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: "string", default: "2" }, adapter: { type: "string" } },
});
const T = 500;

const named = positionals.some((word) => word.startsWith("model="));
const options = named ? positionals : ["model=imagenet256_uncond", ...positionals];
const { config, prior: priorNetwork, hTransform: network } = setting({ options });
const { imageSize: side, inChannels: channels } = priorNetwork;
const { adapter, name, waiting, close } = await openNodeAdapter(arg.adapter);
const device = await openDevice(adapter, { waiting });
const engine = new Engine(device);
const schedule = scheduleOf(config.diffusion);
const prediction = config.model.prediction_type ?? "epsilon";
const half = config.model.use_fp16;
if (half && !device.half) throw new Error(`${name} has no shader-f16`);
const prior = await Prior.load(
  engine,
  { network: priorNetwork, prediction, schedule, half },
  randomWeights(priorNetwork),
  "random weights",
);
const hTransform = new HTransform(network);
initialise(new ParameterSet(engine, hTransform.declarations.list, { trainable: false }), 1);
const task = makeTask(config, side, channels, null);
const operator = task.operator(engine, [0]);
const ts = [T];
const random = (stream) => randomNormal(engine, [1, channels, side, side], { seed: 1, stream });
const xt = random(0);
const y = engine.noGrad(() => operator.apply(xt));

/** What a step does: the prior and DDIM's update, which are there without h too; the conditioning; h and its sum with ε. */
const parts = {
  prior: () => {
    const eps = prior.denoise(xt, ts);
    const x0 = predictX0(schedule, xt, eps, ts);
    return { eps, x0, next: lincomb(0.5, x0, 0.5, eps) };
  },
  conditioning: ({ x0 }) => ({ inputs: condition(operator, xt, x0, y, task.condition, ts) }),
  "h-transform": ({ eps, inputs }) => {
    const sum = lincomb(1, eps, 1, hTransform.forward(inputs, ts));
    return { sum, x0: predictX0(schedule, xt, sum, ts) };
  },
};
const samples = Object.fromEntries(Object.keys(parts).map((part) => [part, []]));
for (let round = -1; round < Number(arg.rounds); round++) {
  let made = {};
  for (const [part, run] of Object.entries(parts)) {
    const [start, before] = [performance.now(), process.cpuUsage()];
    const out = engine.noGrad(() => engine.scope(() => run(made)));
    await device.queue.idle();
    const ms = performance.now() - start;
    const { user, system } = process.cpuUsage(before);
    const cpu = (user + system) / 1000;
    // The first round compiles and transforms weights.
    if (round >= 0) samples[part].push({ ms, cpu });
    console.error(
      `${part}: ${number(ms)} ms, processor ${number(cpu)} ms${round < 0 ? " with compiling" : ""}`,
    );
    for (const [key, t] of Object.entries(out)) {
      if (key in made) made[key].dispose();
      made = { ...made, [key]: t };
    }
  }
  for (const t of Object.values(made)) t.dispose();
}

const of = (part, key) => median(samples[part].map((sample) => sample[key]));
const gflop = {
  prior: networkCost(priorNetwork) / 1e9,
  conditioning: null,
  "h-transform": networkCost(network) / 1e9,
};
console.log(`${name}; ${options.join(" ")}; one picture of ${channels}x${side}x${side}`);
const share = (v, base) => (v === null ? "" : `${((100 * v) / base).toFixed(1)} %`);
const rows = Object.keys(parts).map((part) => [
  part,
  ...["ms", "cpu"].flatMap((key) => [number(of(part, key)), share(of(part, key), of("prior", key))]),
  number(gflop[part]),
  share(gflop[part], gflop.prior),
]);
const head = ["part", "ms", "of the prior", "processor, ms", "of the prior", "GFLOP", "of the prior"];
console.log(table(head, rows).join("\n"));
console.log(`peak: ${number(device.pool.stats.peak / 2 ** 20)} MiB`);
device.destroy();
close();
