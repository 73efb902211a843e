// npm run bench: times the engine, alone or in turns with other engines. Each case runs in a process of its own, the cases in
// turns, `rounds` times. Prints a table and leaves JSON in outputs/bench/.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { format, resolveConfig } from "prettier";
import { cases, casesIn, chosenCases } from "./cases.mjs";
import { compareCosts, median, summarise } from "./compare.mjs";
import { chart, bySide, growthPage } from "./growth.mjs";
import { page } from "./page.mjs";
import { runPeers } from "./peers.mjs";
import { number, table } from "./table.mjs";
import { tune } from "./tune.mjs";

const help = `npm run bench -- [OPTIONS]
  --only NAMES      cases or groups with commas between: kernels, blocks, unet-forward, unet-training-step,
                    deft-training-step, deft-sampling-step, adm256 (minutes each), or names such as conv3_64x32
  --seconds N       measuring time of a case and round (2)
  --rounds N        runs of each case (3)
  --adapter NAME    hardware, lavapipe, swiftshader or auto (auto, or what DEFT_ADAPTER says)
  --record          keeps the run as the baseline of this adapter in bench/baseline.json
  --compare         exit code 1 if a case got slower, beside the ceiling, than the baseline by more than the spread of runs
  --peers           in turns with other engines; writes docs/performance.md
  --tune            times every kernel variant of each problem that the cases meet and writes a tuning table of this adapter,
                    with those that beat the usual one by more than the spread of the rounds
  --table FILE      where --tune writes (assets/tuning/ADAPTER.json, which the program reads); other problems in it stay
  --cases FILE      with --tune: your own cases instead, as bench/peers/cases.json has them
  --growth          times the prior against side and batch; writes docs/performance.md and its chart
  --engines NAMES   some of these: jax-js, tfjs, ort-web, ort`;

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");
const baselineFile = path.join(root, "bench", "baseline.json");
const { values: arg } = parseArgs({
  options: {
    only: { type: "string" },
    seconds: { type: "string", default: "2" },
    rounds: { type: "string", default: "3" },
    adapter: { type: "string" },
    engines: { type: "string" },
    growth: { type: "boolean" },
    record: { type: "boolean" },
    compare: { type: "boolean" },
    peers: { type: "boolean" },
    tune: { type: "boolean" },
    table: { type: "string" },
    cases: { type: "string" },
    help: { type: "boolean" },
  },
});

/** The commit of the working tree, with "+" where it has changes. */
function commitOf() {
  const git = (...words) => execFileSync("git", words, { cwd: root, encoding: "utf8" }).trim();
  try {
    return git("rev-parse", "--short", "HEAD") + (git("status", "--porcelain", "-uno") ? "+" : "");
  } catch {
    return null; // not a clone
  }
}

/** One case in a fresh process. Cold: the driver compiles every shader, so that the first run is one. */
function measure(name, cold) {
  const words = [path.join(root, "bench", "measure.mjs"), "--case", name, "--seconds", arg.seconds];
  if (arg.adapter) words.push("--adapter", arg.adapter);
  const env = {
    ...process.env,
    MESA_SHADER_CACHE_DISABLE: String(cold),
    MESA_SHADER_CACHE_DIR: path.join(root, "outputs", "bench", ".shaders"),
  };
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, words, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
    let [out, errors] = ["", ""];
    child.stdout.on("data", (data) => (out += data));
    child.stderr.on("data", (data) => (errors += data));
    child.on("error", reject);
    child.on("close", (code) => {
      const line = out.split("\n").find((text) => text.startsWith("{"));
      if (code === 0 && line) resolve(JSON.parse(line));
      else reject(new Error(`${name}: ended with ${code}; ${errors.trim().split("\n").at(-1)}`));
    });
  });
}

/** All rounds of all cases; the first round of each is cold. */
async function measureAll(names, rounds) {
  const runs = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++)
    for (const name of names) {
      if (process.stdout.isTTY) process.stdout.write(`\rround ${round + 1} of ${rounds}: ${name}\x1b[K`);
      runs[name].push(await measure(name, round === 0));
    }
  if (process.stdout.isTTY) process.stdout.write("\r\x1b[K");
  return runs;
}

/** What the rounds of a case come to. */
function resultOf(runs) {
  const of = (pick) => median(runs.map(pick));
  const [first] = runs;
  return {
    group: cases[first.case].group,
    ms: of((r) => r.ms),
    spread: summarise(runs.map((r) => 1 / r.share)).spread,
    gflops: first.gflops === null ? null : of((r) => r.gflops),
    gbps: first.gbps === null ? null : of((r) => r.gbps),
    share: of((r) => r.share),
    peak_bytes: first.peak_bytes,
    dispatches: first.dispatches,
    submits: first.submits,
    first_run_ms: first.first_run_ms,
    costs: runs.map((r) => 1 / r.share),
  };
}

function printResults(results) {
  const head = [
    "case",
    "ms",
    "spread",
    "GFLOP/s",
    "GB/s",
    "of ceiling",
    "peak MiB",
    "dispatches",
    "submits",
    "first run, ms",
  ];
  const percent = (v) => `${(100 * v).toFixed(0)} %`;
  const rows = Object.entries(results).map(([name, r]) => [
    name,
    number(r.ms),
    percent(r.spread),
    number(r.gflops),
    number(r.gbps),
    percent(r.share),
    number(r.peak_bytes / 2 ** 20),
    number(r.dispatches),
    number(r.submits),
    number(r.first_run_ms),
  ]);
  console.log(table(head, rows).join("\n"));
}

const baselines = () => (existsSync(baselineFile) ? JSON.parse(readFileSync(baselineFile, "utf8")) : {});
const writeFormatted = async (file, text) =>
  writeFileSync(file, await format(text, { ...(await resolveConfig(file)), filepath: file }));

async function record(run) {
  const { adapter, commit, date } = run;
  const costs = Object.fromEntries(
    Object.entries(run.cases).map(([name, r]) => [name, r.costs.map((v) => +v.toPrecision(4))]),
  );
  const all = baselines();
  const before = all[adapter]?.costs ?? {};
  await writeFormatted(
    baselineFile,
    JSON.stringify({ ...all, [adapter]: { commit, date, costs: { ...before, ...costs } } }),
  );
  console.log(`recorded: ${Object.keys(costs).length} cases for ${adapter} in bench/baseline.json`);
}

/** Prints what changed; true where a case is worse. */
function compare(run) {
  const baseline = baselines()[run.adapter];
  if (!baseline)
    throw new Error(
      `bench/baseline.json: no run on ${run.adapter}; record one on this adapter with --record`,
    );
  const now = Object.fromEntries(Object.entries(run.cases).map(([name, r]) => [name, r.costs]));
  const found = compareCosts(baseline.costs, now);
  const signed = (v) => `${v > 0 ? "+" : ""}${(100 * v).toFixed(0)} %`;
  const rows = found.map((c) =>
    c.before === null
      ? [c.name, "", "", "", "not in the baseline"]
      : [c.name, number(c.after / c.before), signed(c.change), signed(c.allowed), c.worse ? "WORSE" : ""],
  );
  console.log(`\nbeside ${baseline.commit} of ${baseline.date}, both as shares of the ceiling:`);
  console.log(table(["case", "cost, times", "change", "allowed", ""], rows).join("\n"));
  return found.some((c) => c.worse);
}

async function writeGrowth(run) {
  const image = path.join(root, "docs", "images", `growth-${run.kind}.svg`);
  writeFileSync(image, chart(bySide(run.cases)));
  const file = path.join(root, "docs", "performance.md");
  const text = growthPage(readFileSync(file, "utf8"), run, `images/${path.basename(image)}`);
  await writeFormatted(file, text);
  console.log(`written: docs/performance.md, ${path.relative(root, image)}`);
}

/** In turns with other engines; the page is written when all cases and engines took part. */
async function comparePeers(common) {
  const { only, seconds, adapter, engines } = arg;
  const result = await runPeers({ only, seconds, adapter, engines, rounds: common.rounds });
  if (!only && !engines) {
    const file = path.join(root, "docs", "performance.md");
    await writeFormatted(file, page(readFileSync(file, "utf8"), { ...common, ...result }));
    console.log("written: docs/performance.md");
  }
  for (const { name, engine, error } of result.inexact)
    console.log(`${name}: outputs of ${engine} are off by ${error} of the reference`);
}

async function main() {
  if (arg.help) return console.log(help);
  const rounds = Number(arg.rounds);
  if (!(Number.isInteger(rounds) && rounds >= 1))
    throw new Error(`--rounds: got ${arg.rounds}; expected a whole number`);
  if ((arg.record || arg.compare || arg.tune) && rounds < 2)
    throw new Error(
      "--rounds: --record, --compare and --tune need two at least, or there is no spread to judge by",
    );
  const common = { commit: commitOf(), date: new Date().toISOString() };
  if (arg.compare && !existsSync(baselineFile))
    throw new Error("bench/baseline.json: missing; record it with --record");
  const chosen = () => Object.fromEntries(chosenCases(arg.only).map((name) => [name, cases[name]]));
  if (arg.peers) return comparePeers({ ...common, rounds });
  if (arg.tune)
    return tune({
      cases: arg.cases ? casesIn(arg.cases) : chosen(),
      rounds,
      adapter: arg.adapter,
      file: arg.table,
    });
  const runs = await measureAll(chosenCases(arg.growth ? "growth" : arg.only), rounds);
  const every = Object.values(runs).flat();
  const ceiling = {
    gflops: median(every.map((r) => r.ceiling.gflops)),
    gbps: median(every.map((r) => r.ceiling.gbps)),
  };
  const results = Object.fromEntries(Object.entries(runs).map(([name, list]) => [name, resultOf(list)]));
  const run = {
    ...common,
    adapter: every[0].adapter,
    kind: every[0].kind,
    node: process.version,
    rounds,
    ceiling,
    cases: results,
    runs,
  };
  console.log(
    `${run.adapter}, ${run.commit}; ceiling ${number(ceiling.gflops)} GFLOP/s in registers, ${number(ceiling.gbps)} GB/s copied`,
  );
  printResults(results);
  const folder = path.join(root, "outputs", "bench");
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `${common.date.slice(0, 19).replaceAll(":", "-")}.json`);
  writeFileSync(file, JSON.stringify(run, null, 1));
  console.log(`written: ${path.relative(process.cwd(), file)}`);
  if (arg.growth) await writeGrowth(run);
  if (arg.record) await record(run);
  if (arg.compare && compare(run)) process.exitCode = 1;
}

await main().catch((error) => {
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
});
