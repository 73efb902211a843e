#!/usr/bin/env node
// One peer, one case (or several), one JSON line each:
//   node bench.mjs --peer jax-js --case conv3_64x32
//   node bench.mjs --peer tfjs --case matmul_512,matmul_1024 --seconds 3
//   node bench.mjs --list
//   node bench.mjs --peer ../peer.mjs --cases my-cases.json --case unet_step
// Run each case in its own process if rss_mb is to mean anything.
//
// A peer is a file peers/<name>.mjs, or any file named by its path, whose default export has
//   init(): Promise<info>            load the library and its device
//   unsupported(c): string | null    why a case cannot be done, or null
//   build(c, data): Promise<work>    data: see lib/data.mjs and lib/models.mjs
// and a work has
//   run(): any | Promise<any>        enqueue one pass; its outputs (handle)
//   sync(outs): Promise<void>        wait until the device has finished them
//   read(out): Promise<Float32Array[]>   outputs, for checking
//   free(out): void                  drop outputs
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { checks, inputs, uniform, prod } from "./lib/data.mjs";
import { flopsOf } from "./lib/flops.mjs";
import { describe } from "./lib/models.mjs";
import { waitQuiet, watchLoad } from "./lib/load.mjs";

const here = new URL(".", import.meta.url);
const { values: arg } = parseArgs({
  options: {
    peer: { type: "string" },
    case: { type: "string" },
    cases: { type: "string" }, // another file of cases
    list: { type: "boolean" },
    seconds: { type: "string", default: "2.5" }, // measuring time per case
    min: { type: "string", default: "7" }, // fewest samples
    quiet: { type: "string", default: "0" }, // wait this long for idle cores
    nocheck: { type: "boolean" },
  },
});
const cases = JSON.parse(readFileSync(arg.cases ?? new URL("cases.json", here)));
if (arg.list || !arg.peer || !arg.case) {
  console.log(Object.keys(cases).join("\n"));
  process.exit(arg.list ? 0 : 2);
}
const reference = (() => {
  try {
    return JSON.parse(readFileSync(new URL("reference.json", here)));
  } catch {
    return {};
  }
})();

function dataOf(c) {
  if (c.kind !== "model") return inputs(c);
  const d = describe(c.model, c.cfg);
  const scaleOf = ({ shape, kind }) =>
    kind === "w"
      ? 1 / Math.sqrt(shape.length === 2 ? shape[0] : prod(shape.slice(1)))
      : kind === "b"
        ? 0.1
        : 0.5;
  const params = d.params.map((q, i) => {
    const data = uniform(100 + i, prod(q.shape), scaleOf(q));
    if (q.kind === "g") for (let j = 0; j < data.length; j++) data[j] += 1;
    return { ...q, data };
  });
  const t = (seed, shape) => ({ shape, data: uniform(seed, prod(shape)) });
  return { params, x: t(1, d.shapes.x), emb: t(2, d.shapes.emb), target: t(3, d.shapes.target) };
}

const median = (xs) => [...xs].sort((a, b) => a - b)[xs.length >> 1];
const r3 = (x) => (x == null ? null : +x.toPrecision(4));

// Cold compiles: Mesa would keep compiled shaders in ~/.cache otherwise.
process.env.MESA_SHADER_CACHE_DISABLE ??= "true";

const file = arg.peer.endsWith(".mjs")
  ? pathToFileURL(resolve(arg.peer))
  : new URL(`peers/${arg.peer}.mjs`, here);
const peer = (await import(file)).default;
const tInit = performance.now();
const info = await peer.init();
const init_ms = performance.now() - tInit;

for (const name of arg.case.split(",")) {
  const c = cases[name];
  if (!c) throw new Error(`no case ${name}`);
  const line = { peer: arg.peer, case: name };
  const why = peer.unsupported(c);
  if (why) {
    console.log(JSON.stringify({ ...line, skipped: why }));
    continue;
  }
  try {
    const data = dataOf(c);
    const t0 = performance.now();
    const work = await peer.build(c, data);
    const build_ms = performance.now() - t0;
    // n passes and one wait; all outputs live until then (a lazy library may
    // drop a pass whose output nobody holds).
    const one = async (n = 1) => {
      const outs = [];
      const t = performance.now();
      for (let i = 0; i < n; i++) outs.push(await work.run());
      await work.sync(outs);
      const dt = performance.now() - t;
      for (const o of outs.slice(0, -1)) work.free(o);
      return [dt, outs[n - 1]];
    };
    // First run: tracing, shader generation, pipeline compilation, wherever a peer does them.
    let [first_ms, out] = await one();
    first_ms += build_ms;
    let got;
    if (!arg.nocheck) {
      // Training cases: the losses of the first three steps.
      got = checks(await work.read(out));
      for (let i = 0; c.mode === "step" && i < 2; i++) {
        work.free(out);
        [, out] = await one();
        got.push(...checks(await work.read(out)));
      }
    }
    work.free(out);
    // Warm up, then choose how many passes to put between two waits.
    let t1 = Infinity;
    for (let i = 0; i < 3; i++) {
      const [t, o] = await one();
      work.free(o);
      t1 = Math.min(t1, t);
      if (t > 3000) break;
    }
    const inner = Math.max(1, Math.min(16, Math.round(40 / t1)));
    await waitQuiet(+arg.quiet);
    const othersUsed = watchLoad();
    const samples = [];
    const until = performance.now() + 1000 * +arg.seconds;
    while (samples.length < +arg.min || (performance.now() < until && samples.length < 200)) {
      const [t, o] = await one(inner);
      work.free(o);
      samples.push(t / inner);
      if (performance.now() > until + 20000 && samples.length >= 3) break;
    }
    const others = othersUsed();
    const flops = flopsOf(c);
    const ms_min = Math.min(...samples);
    const ms_median = median(samples);
    let err = null;
    const want = reference[name];
    if (want && got) {
      err = 0;
      got.forEach((g, i) => {
        const scale = Math.max(want[i].l2, 1e-6);
        err = Math.max(
          err,
          Math.abs(g.l2 - want[i].l2) / scale,
          Math.abs(g.sum - want[i].sum) / (scale * Math.sqrt(g.n)),
        );
      });
    }
    console.log(
      JSON.stringify({
        ...line,
        ms_median: r3(ms_median),
        ms_min: r3(ms_min),
        gflops: flops ? r3(flops / ms_min / 1e6) : null,
        first_ms: r3(first_ms),
        init_ms: r3(init_ms),
        rss_mb: Math.round(process.resourceUsage().maxRSS / 1024),
        samples: samples.length,
        inner,
        others: +others.toFixed(2), // cores used by other processes meanwhile
        rel_err: err === null ? null : +err.toExponential(1),
        ...(work.note ? { note: work.note() } : {}),
        checks: got, // size, sum and norm of each output
        device: info,
      }),
    );
    if (process.env.BENCH_VALUES) console.error(JSON.stringify({ [name]: got }));
    work.dispose?.();
  } catch (e) {
    console.log(JSON.stringify({ ...line, failed: String(e?.message ?? e).slice(0, 300) }));
    if (process.env.BENCH_DEBUG) console.error(e);
  }
}
process.exit(0);
