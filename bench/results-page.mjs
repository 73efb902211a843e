// docs/results.md from the figures of each experiment.
import { wordsOf } from "./results-grid.mjs";
import { markdown, number } from "./table.mjs";

const titles = {
  sr4: "Super-resolution by 4",
  inp: "In-painting, free-form masks",
  hdr: "High dynamic range",
  phase_retrieval: "Phase retrieval",
  deblur_gauss: "Deblurring, Gaussian kernel",
  deblur_nl: "Non-linear deblurring, a network with fixed random weights",
  ct: "Computed tomography of phantoms, 60 angles",
};
const names = { deft: "DEFT", identity: "A†y" };
const nameOf = (method) => names[method] ?? method;
const decibel = (value) => `${value.toFixed(2)} dB`;

/** The page; `results` as docs/results/*.json hold them. */
export function page(results) {
  const missing = Object.keys(titles)
    .filter((task) => !results.some((result) => result.task === task))
    .map((task) => `\`${task}\``);
  return [
    "# Results on the included priors",
    `DEFT beside dps, pgdm, reddiff and ddrm on the paper's experiments${missing.length > 0 ? ` (all but ${missing.join(", ")}, which is not measured yet)` : ""}, with the two small priors that come with the program, at side 32. \`npm run results\` trains, tunes, measures and writes this page; the figures of each section are in \`docs/results/\`.`,
    "How it is done, for each task: the h-transform is trained by `deft train experiment=TASK`. Every method is then tuned on held-out pictures by the PSNR of one sample, and measured on other held-out pictures, with the same measurements and random numbers for all. PSNR is that of pictures on [0, 1]; SSIM with an 11×11 window; LPIPS by SqueezeNet 1.1; consistency is the PSNR of A x̂ against y. Network calls are those of the prior, + those of the h-transform; dps and pgdm also go back through the prior at each call, which is not counted. A mean counts what its samples took together. These are small trainings and few pictures, for tuning above all: differences of some tenths of a decibel say nothing, and a method whose best setting is the last or strongest that was tried may do better beyond it. Seconds in the tables are those of a machine that did other work at the time.",
    "## In short",
    ...overview(results),
    ...results.flatMap(section),
    "## To repeat it",
    "```bash\nnpm run results -- --long 40 --lpips FILE\n```",
    "FILE: heads and trunk of LPIPS (v0.1, SqueezeNet 1.1), or the heads with `--lpips-trunk FILE`; without it there is no column LPIPS. `--only ct` measures one task, `--set algo.finetune_args.max_steps=5000` trains longer (first remove `samples/TASK` and `model_ckpts/TASK` in `outputs/results`: a finished run is not gone on with), `--pictures`, `--samples`, `--steps` and `--long` make it larger. A run that was stopped goes on where it was.",
  ].join("\n\n");
}

const deftOf = (rows) => rows.find(({ name }) => name === "deft");
const baselines = (rows) => rows.filter(({ name }) => name !== "deft" && name !== "identity");
const psnrOf = ({ sample }) => (Number.isFinite(sample.psnr) ? sample.psnr : -Infinity);
const bestOf = (rows) => [...rows].sort((a, b) => psnrOf(b) - psnrOf(a))[0];

/** Seconds of every method by run at equal calls of the prior: those timed apart, else those of the table. */
const timesOf = ({ timing, equal }) =>
  timing.length > 0 ? timing : [Object.fromEntries(equal.map(({ name, seconds }) => [name, seconds]))];

/** Seconds of a method for each second of DEFT, the median of the runs. */
const ratio = (result, method) =>
  median(timesOf(result).map((seconds) => (seconds[method] ?? NaN) / seconds.deft));

const median = (values) => {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

function overview(results) {
  const other = (rows) => {
    const best = bestOf(baselines(rows));
    return `${psnrOf(best).toFixed(2)} (${best.name})`;
  };
  const psnr = (rows) => deftOf(rows).sample.psnr.toFixed(2);
  const table = markdown(
    [
      "task",
      "A†y",
      "DEFT, equal calls",
      "best other",
      "DEFT, own best",
      "best other",
      "dps ÷ DEFT",
      "pgdm ÷ DEFT",
    ],
    results.map((result) => {
      const { task, equal, best } = result;
      return [
        `\`${task}\``,
        ...[equal.find(({ name }) => name === "identity").sample.psnr.toFixed(2), psnr(equal), other(equal)],
        ...[psnr(best), other(best), times(ratio(result, "dps")), times(ratio(result, "pgdm"))],
      ];
    }),
  );
  return [
    "PSNR in dB of one sample, and how many times as long as DEFT dps and pgdm take for a picture at equal calls of the prior.",
    table.join("\n"),
    wins(results, "equal", "At equal calls of the prior"),
    wins(results, "best", "With each method at its own best number of steps"),
    timing(results),
  ];
}

/** A ratio of times, or a dash where it was not measured. */
const times = (value) => (Number.isFinite(value) ? value.toFixed(2) : "–");

/** Decibels that the tables do not show. */
const LEVEL = 0.005;

/** Where DEFT has the highest PSNR and where not. */
function wins(results, part, opening) {
  const won = results.filter((r) => psnrOf(deftOf(r[part])) >= psnrOf(bestOf(baselines(r[part]))));
  const lost = results.filter((r) => !won.includes(r));
  const list = (some) => some.map(({ task }) => `\`${task}\``).join(", ");
  const gaps = lost.map((r) => {
    const best = bestOf(baselines(r[part]));
    const gap = psnrOf(best) - psnrOf(deftOf(r[part]));
    return `\`${r.task}\` (${gap < LEVEL ? "level with" : `${gap.toFixed(2)} dB behind`} ${best.name})`;
  });
  const pinv = results.filter((r) => {
    const row = r[part].find(({ name }) => name === "identity");
    return row && psnrOf(row) > psnrOf(deftOf(r[part]));
  });
  return [
    `${opening}, one sample of DEFT has the highest PSNR on ${won.length > 0 ? list(won) : "no task"}${lost.length > 0 ? `; it does not win on ${gaps.join(", ")}` : ""}.`,
    pinv.length > 0 ? ` It is worse than A†y on ${list(pinv)}.` : "",
  ].join("");
}

/** Why DEFT itself takes longer on a task. */
const REASONS = {
  phase_retrieval:
    "DEFT's network sees two estimates of the picture that Fourier transforms make anew at each call, ten steps of hybrid input-output among them: a third of its time at this side",
};

function timing(results) {
  const goal = 1.6;
  const of = (method) => results.map((result) => ratio(result, method)).filter(Number.isFinite);
  const text = (method) => {
    const values = of(method);
    return `${method} takes ${median(values).toFixed(2)} times as long as DEFT (${Math.min(...values).toFixed(2)} to ${Math.max(...values).toFixed(2)})`;
  };
  const apart = results.filter(({ timing }) => timing.length > 0).map(({ task }) => `\`${task}\``);
  const source =
    apart.length === results.length
      ? "These ratios were timed apart from the tables: medians of three runs of all methods in turn"
      : `These ratios come ${apart.length > 0 ? `from runs apart on ${apart.join(", ")}, else ` : ""}from the tables, which were measured one method after the other on a machine under changing load: the range says how little a single ratio is worth, so this is a hint and no proof; \`npm run results -- --time\` on a quiet machine measures them well`;
  const isReached = ["dps", "pgdm"].every((method) => median(of(method)) >= goal);
  const below = results.filter((r) => ["dps", "pgdm"].some((method) => ratio(r, method) < goal));
  const exceptions = below.map(({ task }) => `\`${task}\`${REASONS[task] ? ` (${REASONS[task]})` : ""}`);
  const verdict = isReached
    ? `The medians of dps and pgdm are above the ${goal} times that the paper claims${below.length > 0 ? `; one of them is less on ${exceptions.join(", ")}` : ""}.`
    : `The paper claims up to ${goal}; where it is less here, the prior is small, so that the h-transform beside it is a larger part of a step.`;
  return `Sampling time at equal calls of the prior, median and range over the tasks: ${[
    "dps",
    "pgdm",
    "reddiff",
    "ddrm",
  ]
    .filter((method) => of(method).length > 0)
    .map(text)
    .join("; ")}. ${verdict} ${source}.`;
}

function section(result) {
  const { task, training, adapter, commit, date, sigma_y: sigma, tries, left_out: leftOut } = result;
  const { parameters: p, batch, steps, lossPower } = training;
  const loss =
    lossPower > 0 ? "errors counted as those of v" : "with the published loss, as `experiment=` had it then";
  const share = ((100 * p.htransform) / p.prior).toFixed(0);
  return [
    `## ${titles[task]} (\`${task}\`)`,
    `Commit ${commit}, ${date.slice(0, 10)}, ${adapter.name}, Node ${result.node}, seed ${result.seed}. Noise of y: ${sigma} on [-1, 1]. Trained for ${steps} steps of ${batch} pictures, ${loss}; the h-transform has ${share} % of the prior's parameters. Tuned on held-out pictures 1 to ${result.tune}, measured on the ${result.pictures} after them.`,
    `At equal calls of the prior, ${result.steps} steps each:`,
    tableOf(result.equal).join("\n"),
    "Each at its own best of what was tried:",
    tableOf(result.best).join("\n"),
    paragraph(result),
    // What a reader has to know beside the figures.
    ...(result.note ? [result.note] : []),
    `![Rows: held-out pictures. Columns: original, measurement, ${result.equal.map(({ name }) => nameOf(name)).join(", ")}.](images/results-${task}.png)`,
    `_Columns: original | measurement | ${result.equal.map(({ name }) => nameOf(name)).join(" | ")}, one sample each at equal calls of the prior._`,
    "What was tried, with the PSNR of one sample on the pictures for tuning:",
    triedOf(tries).join("\n"),
    ...Object.entries(leftOut).map(([method, reason]) => `Left out: ${method} (${reason}).`),
  ];
}

function tableOf(rows) {
  const hasLpips = rows.some(({ sample }) => sample.lpips !== undefined);
  const lines = rows.flatMap((row) => [
    { row, scores: row.sample, title: nameOf(row.name), times: 1 },
    ...(row.mean
      ? [{ row, scores: row.mean, title: `${nameOf(row.name)}, mean of ${row.samples}`, times: row.samples }]
      : []),
  ]);
  const figure = (value, digits) => (Number.isFinite(value) ? value.toFixed(digits) : "–");
  const best = Math.max(...lines.map(({ scores }) => scores.psnr).filter(Number.isFinite));
  return markdown(
    [
      "method",
      "steps",
      "PSNR dB",
      "SSIM",
      ...(hasLpips ? ["LPIPS"] : []),
      "consistency dB",
      "network calls",
      "s/image",
      "GPU memory MiB",
    ],
    lines.map(({ row, scores, title, times }) => [
      title,
      row.name === "identity" ? "" : String(row.steps),
      scores.psnr === best ? `**${figure(scores.psnr, 2)}**` : figure(scores.psnr, 2),
      figure(scores.ssim, 3),
      ...(hasLpips ? [figure(scores.lpips, 3)] : []),
      figure(scores.consistency, 1),
      row.calls.own > 0
        ? `${times * row.calls.prior} + ${times * row.calls.own}`
        : String(times * row.calls.prior),
      number(times * row.seconds),
      figure(row.bytes / 2 ** 20, 1),
    ]),
  );
}

/** Settings as a user writes them, without the method's name. */
const settingText = (setting) =>
  wordsOf("", setting)
    .map((word) => `\`${word.replace("compare..", "")}\``)
    .join(" ");

function triedOf(tries) {
  return markdown(
    ["method", "setting", "steps", "PSNR dB"],
    tries.map(({ method, setting, steps, psnr }) => [
      nameOf(method),
      settingText(setting),
      String(steps),
      Number.isFinite(psnr) ? psnr.toFixed(2) : "–",
    ]),
  );
}

/** Where DEFT stands, in words. */
function paragraph(result) {
  const { equal, best } = result;
  const compare = (rows, opening) => {
    const [deft, other] = [deftOf(rows), bestOf(baselines(rows))];
    const gap = psnrOf(deft) - psnrOf(other);
    const verdict =
      Math.abs(gap) < LEVEL
        ? `DEFT and the best other method, ${other.name}, are level`
        : gap > 0
          ? `DEFT is ${decibel(gap)} above the best other method, ${other.name}`
          : `DEFT does not win: it is ${decibel(-gap)} below ${other.name}`;
    return `${opening} ${verdict}.`;
  };
  const pinv = psnrOf(equal.find(({ name }) => name === "identity"));
  const over = psnrOf(deftOf(equal)) - pinv;
  const against = over >= 0 ? `${decibel(over)} above` : `${decibel(-over)} below`;
  const times = ["dps", "pgdm", "reddiff", "ddrm"]
    .map((method) => [method, ratio(result, method)])
    .filter(([, value]) => Number.isFinite(value))
    .map(([method, value]) => `${method} ${value.toFixed(2)}`);
  const spent =
    times.length > 0 ? ` Seconds for each second of DEFT at equal calls: ${times.join(", ")}.` : "";
  return `${compare(equal, "At equal calls")} ${compare(best, "At each one's own best")} One sample is ${against} A†y.${spent}`;
}
