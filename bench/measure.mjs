// One case in a process of its own, so that its first run is a first run: prints one line of JSON.
//   node bench/measure.mjs --case unet_step [--seconds 2] [--adapter lavapipe]
import { parseArgs } from "node:util";
import { Engine, openDevice } from "deft-webgpu";
import { openNodeAdapter } from "deft-webgpu/node";
import { bytesOf, cases, dataOf, flopsOf } from "./cases.mjs";
import { measureCeiling } from "./ceiling.mjs";
import { median } from "./compare.mjs";
import { buildDeft } from "./deft.mjs";
import { buildWork } from "./works.mjs";

const { values: arg } = parseArgs({
  options: {
    case: { type: "string" },
    seconds: { type: "string", default: "2" },
    adapter: { type: "string" },
  },
});
const SAMPLES = { least: 5, most: 200 };
const LONG = 10_000; // ms: of passes that take longer one sample is enough
const BETWEEN_WAITS = 40; // ms: short passes are repeated between two waits, so that waiting does not count

const c = cases[arg.case];
const { adapter, name, kind, tuning, waiting, close } = await openNodeAdapter(arg.adapter);
const device = await openDevice(adapter, { kernels: process.env.DEFT_KERNEL ?? "", tuning, waiting });
const engine = new Engine(device);
const data = c.kind === "deft" ? null : dataOf(c);

const started = performance.now();
const work = data ? buildWork(engine, c, data) : await buildDeft(engine, c);
/** Milliseconds of `count` passes and one wait. */
async function time(count = 1) {
  const start = performance.now();
  const outs = [];
  for (let i = 0; i < count; i++) outs.push(await work.run());
  await device.queue.idle();
  const elapsed = performance.now() - start;
  for (const out of outs) work.free(out);
  return elapsed;
}
await time();
const firstRun = performance.now() - started;

const ceiling = await measureCeiling(device);
const { passes = 1 } = work;
const second = await time();
const shortest = second > LONG ? second : Math.min(second, await time());
const inner = Math.max(1, Math.min(16, Math.round(BETWEEN_WAITS / shortest)));
device.pool.resetPeak();
const before = { ...device.queue.counters };
const counted = await time();
const { dispatches, submits } = device.queue.counters;
const samples = shortest > LONG ? [counted / passes] : [];
const until = performance.now() + 1000 * Number(arg.seconds);
const least = shortest > LONG ? 1 : SAMPLES.least;
while (samples.length < least || (performance.now() < until && samples.length < SAMPLES.most))
  samples.push((await time(inner)) / inner / passes);
const ms = median(samples);
const rate = (amount) => (amount === null ? null : amount / ms / 1e6);
const [gflops, gbps] = [rate(flopsOf(c)), rate(bytesOf(c))];
console.log(
  JSON.stringify({
    case: arg.case,
    adapter: name,
    kind,
    ms,
    fastest: Math.min(...samples),
    samples: samples.length,
    gflops,
    gbps,
    share: gflops === null ? gbps / ceiling.gbps : gflops / ceiling.gflops,
    ceiling,
    peak_bytes: device.pool.stats.peak,
    dispatches: (dispatches - before.dispatches) / passes,
    submits: (submits - before.submits) / passes,
    first_run_ms: firstRun,
  }),
);
device.destroy();
close();
