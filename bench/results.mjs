// npm run results: trains the h-transform of each experiment, tunes every method on held-out pictures, compares them on others, and
// writes docs/results.md. Each part is kept as soon as it is done, so a run that was stopped goes on where it was.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { format, resolveConfig } from "prettier";
import sharp from "sharp";
import { parse } from "yaml";
import { grids, KEPT, methods, ranked, rounds, SHORT, wordsOf } from "./results-grid.mjs";
import { page } from "./results-page.mjs";

const help = `npm run results -- [OPTIONS]
  --only NAMES      some of ${Object.keys(grids).join(", ")}, with commas between (all)
  --time            only times the methods of a measured task at equal network calls, three runs in turn
  --page            writes the page anew from docs/results/*.json and measures nothing
  --steps N         sampling steps at equal network calls (20)
  --long N          sampling steps that are tried besides (50)
  --tune N          held-out pictures for tuning, the first ones (6)
  --pictures N      pictures of the tables, those after them (8)
  --samples N       samples of each picture (2)
  --set WORDS       options for every training, such as algo.finetune_args.max_steps=2000
  --lpips FILE      heads of LPIPS, or a file with its trunk too; --lpips-trunk FILE: its trunk
  --adapter NAME    hardware, lavapipe, swiftshader or auto (auto, or what DEFT_ADAPTER says)`;

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");
const number = (value) => ({ type: "string", default: String(value) });
const { values: arg } = parseArgs({
  options: {
    only: { type: "string", default: Object.keys(grids).join(",") },
    time: { type: "boolean" },
    page: { type: "boolean" },
    steps: number(20),
    long: number(50),
    tune: number(6),
    pictures: number(8),
    samples: number(2),
    set: { type: "string", default: "" },
    lpips: { type: "string" },
    "lpips-trunk": { type: "string" },
    adapter: { type: "string" },
    help: { type: "boolean" },
  },
});
/** Pictures of a task on the page. */
const SHOWN = 4;
/** Runs that time the methods. */
const TIMED = 3;
const outputs = path.join(root, "outputs", "results");
const jsonOf = (task) => path.join(root, "docs", "results", `${task}.json`);
const read = (file) => JSON.parse(readFileSync(file, "utf8"));
const write = (file, value) => {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(value, null, 1)}\n`);
};

/** The commit of the working tree, with "+" where it has changes to what is measured. */
function commitOf() {
  const git = (...words) => execFileSync("git", words, { cwd: root, encoding: "utf8" }).trim();
  const changes = git("status", "--porcelain", "-uno", "--", "src", "shaders", "assets", "bench");
  return git("rev-parse", "--short", "HEAD") + (changes ? "+" : "");
}

/** Runs `deft` and shows what it prints; ends everything where it fails. */
function deft(command, words) {
  const given = arg.adapter ? [...words, "--adapter", arg.adapter] : words;
  console.log(`deft ${command} ${given.join(" ")}`);
  const child = spawn(process.execPath, ["dist/deft.js", command, ...given], { cwd: root, stdio: "inherit" });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) =>
      code === 0 ? resolve() : reject(new Error(`deft ${command} ended with ${code ?? signal}`)),
    );
  });
}

/** The configuration that `deft train` would run. */
const dryRun = (words) =>
  execFileSync(process.execPath, ["dist/deft.js", "train", ...words, "--dry-run"], {
    cwd: root,
    encoding: "utf8",
  });

const metricWords = () => [
  ...(arg.lpips ? [`metrics.lpips_path='${path.resolve(arg.lpips)}'`] : []),
  ...(arg["lpips-trunk"] ? [`metrics.lpips_trunk_path='${path.resolve(arg["lpips-trunk"])}'`] : []),
];

/** Trains an experiment, or goes on with it; a finished one is left as it is. */
async function trained(task) {
  const folder = path.join(outputs, "samples", task);
  const set = arg.set.split(" ").filter(Boolean);
  await deft("train", [
    `experiment=${task}`,
    `exp.name=${task}`,
    "exp.root=outputs/results",
    "--resume",
    ...set,
  ]);
  const stored = parse(readFileSync(path.join(folder, "config.yaml"), "utf8"));
  const wanted = parse(dryRun([`experiment=${task}`, ...set]));
  for (const group of ["algo", "likelihood", "htransform_model"])
    if (JSON.stringify(stored[group]) !== JSON.stringify(wanted[group]))
      throw new Error(
        `${folder}: trained with other options (${group}) than experiment=${task} has now; remove it`,
      );
  const summary = path.join(folder, "summary.json");
  if (!existsSync(summary)) throw new Error(`${task}: the training was stopped`);
  const { steps, seconds, parameters } = read(summary);
  const batch = Number(/batch_size: (\d+)/.exec(readFileSync(path.join(folder, "config.yaml"), "utf8"))?.[1]);
  const { alpha_bar_power: lossPower } = stored.algo.finetune_args;
  return { folder, facts: { steps, batch, seconds: seconds.train, parameters, lossPower } };
}

/** One run of `deft compare`: its JSON, taken from an earlier run of the same words where there is one. */
async function compared(task, folder, name, words) {
  const out = path.join(outputs, "samples", name);
  const file = path.join(out, "comparison.json");
  const all = [
    ...["--checkpoint", folder, "exp.root=outputs/results", `exp.name=${name}`, "exp.overwrite=true"],
    ...["exp.smoke_test=1", ...words],
  ];
  const kept = path.join(outputs, "words", `${name}.json`);
  const isDone = existsSync(file) && existsSync(kept) && read(kept).join() === all.join();
  if (!isDone) {
    await deft("compare", all);
    write(kept, all);
  }
  return { ...read(file), grid: path.join(out, "grid.png") };
}

/** Each method's tries: every setting at `steps`, the best at `long`, DEFT at fewer steps too. */
async function tuned(task, folder) {
  const [steps, long] = [Number(arg.steps), Number(arg.long)];
  const pictures = [`loader.batch_size=${arg.tune}`, "compare.first=0", "compare.num_samples=1"];
  const tries = [];
  const leftOut = {};
  const run = async (name, round, n) => {
    const able = Object.entries(round).filter(([method]) => !leftOut[method]);
    if (able.length === 0) return;
    const result = await compared(task, folder, `${task}-${name}`, [
      ...[`compare.algorithms=${able.map(([method]) => method).join(",")}`, `compare.num_steps=${n}`],
      ...able.flatMap(([method, setting]) => wordsOf(method, setting)),
      ...pictures,
    ]);
    Object.assign(leftOut, result.left_out);
    for (const { name: method, sample } of result.methods)
      tries.push({ method, setting: round[method], steps: n, psnr: sample.psnr });
  };
  for (const [k, round] of rounds(grids[task]).entries()) await run(`tune-${k}`, round, steps);
  const best = Object.fromEntries(
    methods
      .filter((method) => !leftOut[method])
      .map((method) => [
        method,
        ranked(tries, method)
          .slice(0, KEPT)
          .map(({ setting }) => setting),
      ]),
  );
  for (const [k, round] of rounds(best).entries()) await run(`long-${k}`, round, long);
  for (const n of SHORT.filter((n) => n !== steps))
    for (const [k, round] of rounds({ deft: best.deft }).entries()) await run(`short-${n}-${k}`, round, n);
  return { tries, leftOut };
}

/** The table of a comparison as the page needs it. */
const rowsOf = ({ methods: found }) =>
  found.map(
    ({ name, options, steps, samples, sample, mean, network_calls, seconds_per_image, gpu_peak_bytes }) => ({
      ...{ name, options, steps, samples, sample, mean },
      ...{ calls: network_calls, seconds: seconds_per_image, bytes: gpu_peak_bytes },
    }),
  );

/** The first pictures of a comparison's grid. */
async function savePicture(task, { grid, pictures }) {
  const { width, height } = await sharp(grid).metadata();
  const rows = Math.min(8, pictures);
  await sharp(grid)
    .extract({ left: 0, top: 0, width, height: Math.floor((height * Math.min(SHOWN, rows)) / rows) })
    .png({ palette: true, compressionLevel: 9 })
    .toFile(path.join(root, "docs", "images", `results-${task}.png`));
}

async function measure(task) {
  const commit = commitOf();
  const { folder, facts } = await trained(task);
  const { tries, leftOut } = await tuned(task, folder);
  const steps = Number(arg.steps);
  const able = methods.filter((method) => !leftOut[method]);
  const chosen = (isFair) =>
    able.map((method) => ranked(tries, method).find((t) => !isFair || t.steps === steps));
  const final = (name, picks) =>
    compared(task, folder, `${task}-${name}`, [
      `compare.algorithms=${["identity", ...picks.map(({ method }) => method)].join(",")}`,
      ...picks.flatMap(({ method, setting, steps: n }) => [
        `compare.${method}.num_steps=${n}`,
        ...wordsOf(method, setting),
      ]),
      ...[`loader.batch_size=${arg.pictures}`, `compare.first=${arg.tune}`],
      ...[`compare.num_samples=${arg.samples}`, ...metricWords()],
    ]);
  const equal = await final("equal", chosen(true));
  const best = await final("best", chosen(false));
  await savePicture(task, equal);
  write(jsonOf(task), {
    ...{ task, commit, date: new Date().toISOString(), node: process.version },
    adapter: equal.adapter,
    ...{ sigma_y: equal.sigma_y, seed: equal.seed, pictures: equal.pictures, tune: Number(arg.tune) },
    ...{ steps, training: facts, tries, left_out: leftOut },
    lpips: arg.lpips ? "v0.1, SqueezeNet 1.1" : null,
    ...{ equal: rowsOf(equal), best: rowsOf(best), timing: [] },
  });
}

/** Seconds a picture of each method, by run of the methods in turn; kept in the task's JSON. */
async function time(task) {
  if (!existsSync(jsonOf(task)))
    throw new Error(`${task}: not measured yet; run npm run results -- --only ${task}`);
  const result = read(jsonOf(task));
  const picks = result.equal.filter(({ name }) => name !== "identity");
  const timing = [];
  for (let k = 0; k < TIMED; k++) {
    const { methods: found } = await compared(
      task,
      path.join(outputs, "samples", task),
      `${task}-time-${k}`,
      [
        `compare.algorithms=${picks.map(({ name }) => name).join(",")}`,
        `compare.num_steps=${result.steps}`,
        ...picks.flatMap(({ name }) =>
          wordsOf(name, ranked(result.tries, name).find(({ steps }) => steps === result.steps).setting),
        ),
        ...[`loader.batch_size=${arg.tune}`, "compare.num_samples=1", `compare.first=${k}`],
      ],
    );
    timing.push(Object.fromEntries(found.map(({ name, seconds_per_image }) => [name, seconds_per_image])));
  }
  write(jsonOf(task), { ...result, timing });
}

async function writePage() {
  const file = path.join(root, "docs", "results.md");
  const found = Object.keys(grids)
    .map(jsonOf)
    .filter((name) => existsSync(name))
    .map(read);
  const options = { ...(await resolveConfig(file)), parser: "markdown" };
  writeFileSync(file, await format(page(found), options));
  console.log(`page: ${path.relative(root, file)}`);
}

if (arg.help) console.log(help);
else {
  const tasks = arg.only.split(",");
  const unknown = tasks.filter((task) => !grids[task]);
  if (unknown.length > 0)
    throw new Error(`--only: no such experiment; got ${unknown}; expected ${Object.keys(grids).join(", ")}`);
  if (!arg.page)
    for (const task of tasks) {
      if (!arg.time) await measure(task);
      await time(task);
      await writePage();
    }
  await writePage();
}
