// What is measured: the cases of the peers' harness, and a training and a sampling step of DEFT.
import { readFileSync } from "node:fs";
import { deftCost } from "./deft.mjs";
import { inputs, prod, uniform } from "./peers/lib/data.mjs";
import { flopsOf as harnessFlops } from "./peers/lib/flops.mjs";
import { describe } from "./peers/lib/models.mjs";

const harness = JSON.parse(readFileSync(new URL("peers/cases.json", import.meta.url), "utf8"));

/** Group of a case, in the order of the table. */
const groupOf = (c) => {
  if (c.group) return c.group;
  if (c.mode === "prior") return "growth";
  if (c.kind === "deft") return c.mode === "step" ? "deft-training-step" : "deft-sampling-step";
  if (c.kind !== "model") return "kernels";
  if (c.model === "block") return "blocks";
  return c.mode === "step" ? "unet-training-step" : "unet-forward";
};

/** Sides at batch 1, and batches at the side of the shipped prior, at which a forward pass of its network is timed. */
export const growth = {
  sides: [32, 64, 96, 128, 192, 256].map((side) => ({ name: `prior_side${side}`, side, batch: 1 })),
  batches: [1, 2, 4, 8, 16, 32, 64].map((batch) => ({ name: `prior_batch${batch}`, side: 32, batch })),
};
const growthCases = [...growth.sides, ...growth.batches].map(({ name, side, batch }) => [
  name,
  { kind: "deft", mode: "prior", batch, options: [`model.image_size=${side}`] },
]);

/** ADM's network for 256×256 pictures of ImageNet (552.8 M parameters), one picture: in float32, and with a prior in float16. */
const adm256 = (mode, more = []) => ({
  kind: "deft",
  group: "adm256",
  mode,
  batch: 1,
  options: ["model=imagenet256_uncond", ...more],
});
const half = ["model.use_fp16=true"];
const large = {
  adm256_prior: adm256("prior"),
  adm256_prior_f16: adm256("prior", half),
  adm256_step: adm256("step"),
  adm256_step_f16: adm256("step", half),
};

/** Cases by name; those of DEFT take the networks and the batch of the program's default run. */
export const cases = Object.fromEntries(
  Object.entries({
    ...harness,
    deft_step: { kind: "deft", mode: "step", options: [] },
    deft_sample: { kind: "deft", mode: "sample", options: [] },
    ...Object.fromEntries(growthCases),
    ...large,
  }).map(([name, c]) => [name, { ...c, group: groupOf(c) }]),
);

/** The cases of a file in the form of peers/cases.json, by name; those of DEFT are { kind: "deft", mode, batch, options }. */
export function casesIn(file) {
  const own = JSON.parse(readFileSync(file, "utf8"));
  return Object.fromEntries(Object.entries(own).map(([name, c]) => [name, { ...c, group: groupOf(c) }]));
}

const onDemand = ["growth", "adm256"];

/** Names of the cases that `only` (names and groups with commas between) asks for; without it all that take seconds. */
export function chosenCases(only) {
  if (!only) return Object.keys(cases).filter((name) => !onDemand.includes(cases[name].group));
  return only.split(",").flatMap((word) => {
    const found = Object.keys(cases).filter((name) => name === word || cases[name].group === word);
    if (found.length > 0) return found;
    const groups = [...new Set(Object.values(cases).map((c) => c.group))];
    throw new Error(
      `--only: no case or group ${word}; expected some of ${[...groups, ...Object.keys(cases)].join(", ")}`,
    );
  });
}

/** FLOPs of a pass, those of DEFT's steps included; null where bytes rule. */
export function flopsOf(c) {
  return c.kind === "deft" ? deftCost(c) : harnessFlops(c);
}

/** Bytes that a pass moves at least: inputs read and outputs written once. Null for networks. */
export function bytesOf(c) {
  switch (c.kind) {
    case "matmul":
      return 4 * (c.m * c.k + c.k * c.n + c.m * c.n);
    case "conv":
      return 4 * (c.n * (c.ci + c.co) * c.h * c.w + c.co * c.ci * c.ks * c.ks);
    case "attn":
      return 4 * c.b * c.heads * c.t * c.d * (c.mode === "fwd" ? 4 : 12);
    case "gn_silu":
      return 4 * c.n * c.c * c.h * c.w * (c.mode === "fwd" ? 2 : 5);
    case "chain":
      return 8 * c.size;
    case "sum":
      return 4 * c.size;
    case "adam":
      return 28 * c.size;
    default:
      return null;
  }
}

/** Inputs of a case, the same as in the harness. */
export function dataOf(c) {
  if (c.kind !== "model") return inputs(c);
  const { params, shapes } = describe(c.model, c.cfg);
  const scale = ({ shape, kind }) =>
    kind === "w"
      ? 1 / Math.sqrt(shape.length === 2 ? shape[0] : prod(shape.slice(1)))
      : kind === "b"
        ? 0.1
        : 0.5;
  const tensor = (seed, shape) => ({ shape, data: uniform(seed, prod(shape)) });
  return {
    params: params.map((q, i) => {
      const values = uniform(100 + i, prod(q.shape), scale(q));
      return { ...q, data: q.kind === "g" ? values.map((v) => v + 1) : values };
    }),
    x: tensor(1, shapes.x),
    emb: tensor(2, shapes.emb),
    target: tensor(3, shapes.target),
  };
}
