// npm run bench -- --tune: the fastest kernel variant of each problem that the cases meet, and a tuning table of those where it is
// not the usual one. Each case is run with every variant and its launches kept, by problem; then the launches of the variants are
// timed in turns. So a time is that of all launches of a problem in one pass of its case.
import { Engine, openDevice } from "deft-webgpu";
import { openNodeAdapter, saveTuning } from "deft-webgpu/node";
import path from "node:path";
import { dataOf } from "./cases.mjs";
import { fastest, median } from "./compare.mjs";
import { buildDeft } from "./deft.mjs";
import { number, table } from "./table.mjs";
import { buildWork } from "./works.mjs";

const SAMPLE = 15; // ms: shorter launches are repeated
const SAMPLES = 3; // of a variant in a round
const SLOW = 2; // times as slow as the usual variant in the fastest of the first tries: measured no further
const HOPELESS = 5; // in one of them

/** A device whose choices can be set, and which tells and keeps what it launches. */
async function openBench(c, adapterName) {
  const { adapter, identity, waiting, close } = await openNodeAdapter(adapterName);
  const chosen = new Map(); // variants by problem, for the next pass
  const met = new Map(); // by problem: the variants that can run, the usual one first
  let kept = null; // launches by problem and variant, while they are kept and not run
  let launches = null; // of the problem met last
  const device = await openDevice(adapter, {
    tuning: { source: "--tune", variants: chosen },
    waiting,
    poolBytes: Infinity, // launches that are kept need their buffers
    picked(problem, variant, able) {
      if (!met.has(problem)) met.set(problem, [...new Set([variant, ...able()])]);
      if (kept === null) return;
      if (!kept.has(problem)) kept.set(problem, new Map());
      const variants = kept.get(problem);
      if (!variants.has(variant)) variants.set(variant, []);
      launches = variants.get(variant);
    },
  });
  const launch = device.queue.dispatch.bind(device.queue);
  device.queue.dispatch = (l) => {
    if (kept === null) return launch(l);
    // Parameters are good for this call alone, tensors until they are freed.
    const buffers = l.buffers.map((b) => b && { buffer: b.buffer, offset: b.offset, bytes: b.bytes });
    launches?.push({ ...l, params: l.params?.slice(), buffers });
  };
  const engine = new Engine(device);
  const work = c.kind === "deft" ? await buildDeft(engine, c) : buildWork(engine, c, dataOf(c));
  const pass = async () => {
    const outs = await work.run();
    await device.queue.idle();
    work.free(outs);
  };
  /** Launches of a pass by problem and variant; the pass before makes what is made once. */
  const keep = async () => {
    let result;
    for (let i = 0; i < 2; i++) {
      kept = new Map();
      launches = null;
      await pass();
      result = kept;
    }
    kept = null;
    return result;
  };
  const play = async (list, repeats = 1) => {
    const start = performance.now();
    for (let i = 0; i < repeats; i++) for (const l of list) launch(l);
    await device.queue.idle();
    return (performance.now() - start) / repeats;
  };
  return { identity, chosen, met, keep, pass, play, end: () => device.destroy(), close };
}

/** Launches by problem and variant of a pass with each variant. */
async function launchesOf({ chosen, met, keep, pass }) {
  await pass(); // numbers as they are in use, and every problem
  const all = new Map();
  for (let i = 0; [...met.values()].some((able) => able.length > i); i++) {
    for (const [problem, able] of met) chosen.set(problem, able[i] ?? able[0]);
    for (const [problem, variants] of await keep())
      all.set(problem, new Map([...(all.get(problem) ?? []), ...variants]));
  }
  chosen.clear();
  return all;
}

/** Times in each round, by variant, of one problem's launches, the usual variant first; slow ones are left out. */
async function timesOf(play, launches, usual, rounds) {
  const first = new Map();
  for (const [variant, list] of launches) {
    await play(list); // compiles
    let least = await play(list);
    for (let i = 1; i < SAMPLES && !(least > HOPELESS * first.get(usual)); i++)
      least = Math.min(least, await play(list));
    first.set(variant, least);
  }
  const hoped = [...launches].filter(([variant]) => first.get(variant) <= SLOW * first.get(usual));
  const repeats = Math.max(1, Math.min(50, Math.round(SAMPLE / first.get(usual))));
  const times = Object.fromEntries(hoped.map(([variant]) => [variant, []]));
  for (let round = 0; hoped.length > 1 && round < rounds; round++)
    for (const [variant, list] of hoped) {
      const samples = [];
      for (let i = 0; i < SAMPLES; i++) samples.push(await play(list, repeats));
      times[variant].push(median(samples));
    }
  return { times, first };
}

/** Rows of the table for people, and what was measured: a variant by problem, null for the usual one. */
async function tuneCase(c, { rounds, adapter, done }) {
  const bench = await openBench(c, adapter);
  const rows = [];
  const found = new Map();
  try {
    for (const [problem, launches] of await launchesOf(bench)) {
      const [usual] = bench.met.get(problem);
      const timed = [...launches].filter(([, list]) => list.length > 0);
      if (done.has(problem) || timed.length < 2 || timed[0][0] !== usual) continue;
      const { times, first } = await timesOf(bench.play, new Map(timed), usual, rounds);
      const choice = Object.keys(times).length > 1 ? fastest(usual, times) : null;
      found.set(problem, choice);
      const ms = ([variant]) =>
        `${variant} ${number(times[variant]?.length ? median(times[variant]) : first.get(variant))}`;
      rows.push([problem, timed.map(ms).join(", "), choice ?? ""]);
    }
  } finally {
    bench.end();
  }
  return { ...bench, rows, found };
}

/** Measures the cases (by name) and writes the table, after each case. */
export async function tune({ cases, rounds, adapter, file }) {
  const done = new Map();
  const names = Object.keys(cases);
  for (const name of names) {
    const { rows, found, identity, close } = await tuneCase(cases[name], { rounds, adapter, done });
    for (const [problem, choice] of found) done.set(problem, choice);
    console.log(`\n${name}: ${rows.length} problems with several variants, the usual one first; ms a pass`);
    console.log(table(["problem", "variants", "faster"], rows).join("\n"));
    const { source, variants } = await saveTuning(identity, found, file);
    console.log(`written: ${path.relative(process.cwd(), source)}, ${variants.size} choices for ${identity}`);
    if (name === names.at(-1)) close(); // ends the process soon
  }
}
