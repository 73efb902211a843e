// Every option of a network, of the classifier and of the schedule reaches what is built from it.
import { describe, expect, test } from "vitest";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import { classifierConfig, hTransformConfig, priorConfig, scheduleOf } from "../../src/deft/networks.ts";

const resolve = (...words: string[]) => resolveConfig(["model=imagenet256_uncond", ...words]).config;
const hTransform = (...words: string[]) => hTransformConfig(resolve(...words), 9, 3);
const prior = (...words: string[]) => priorConfig(resolve(...words).model);
const classifier = (...words: string[]) =>
  classifierConfig(resolve("classifier=imagenet256", ...words).classifier, {
    ...{ imageSize: 256, inChannels: 3, classes: 1000 },
  });

/** Options that the prior and the h-transform have in common, none at its default, with the field that holds them. */
const shared: readonly (readonly [option: string, field: string, value: unknown])[] = [
  ["image_size=64", "imageSize", 64],
  ["num_channels=96", "modelChannels", 96],
  ["channel_mult=1,3", "channelMult", [1, 3]],
  ["num_res_blocks=3", "numResBlocks", 3],
  ["attention_resolutions=128,64", "attentionFactors", [2, 4]],
  ["num_heads=8", "numHeads", 8],
  ["num_heads_upsample=2", "numHeadsUpsample", 2],
  ["num_head_channels=32", "numHeadChannels", 32],
  ["use_scale_shift_norm=false", "useScaleShiftNorm", false],
  ["resblock_updown=false", "resblockUpdown", false],
  ["use_new_attention_order=true", "useNewAttentionOrder", true],
  ["dropout=0.25", "dropout", 0.25],
  ["norm_groups=16", "normGroups", 16],
];

/** `made` with the option has the value in `field`, without it another. */
function expectToReach(made: (...words: string[]) => object, word: string, field: string, value: unknown) {
  const valueOf = (network: object) => (network as Record<string, unknown>)[field];
  expect(valueOf(made()), "by default").not.toEqual(value);
  expect(valueOf(made(word)), word).toEqual(value);
}

describe("the prior's network", () => {
  test.each([
    ...shared,
    ["learn_sigma=false", "learnSigma", false],
    ["in_channels=1", "inChannels", 1],
    ["in_channels=1", "outChannels", 1],
    ["class_cond=true", "numClasses", 1000],
  ] as const)("model.%s", (option, field, value) => expectToReach(prior, `model.${option}`, field, value));

  test("num_classes counts where class_cond", () => {
    expect(prior("model.class_cond=true", "model.num_classes=7").numClasses).toBe(7);
  });
});

describe("the h-transform's network", () => {
  test.each([
    ...shared,
    ["learn_sigma=true", "learnSigma", true],
    ["use_residual=false", "useResidual", false],
    ["epsilon_based=false", "epsilonBased", false],
    ["init_scaling_bias=0.5", "initScalingBias", 0.5],
  ] as const)("htransform_model.%s", (option, field, value) =>
    // Its side is the model's.
    expectToReach(
      (...words) => hTransform(...words, ...words.filter((w) => /image_size/.test(w)).map(modelsToo)),
      `htransform_model.${option}`,
      field,
      value,
    ),
  );

  const modelsToo = (word: string): string => word.replace("htransform_model", "model");

  test("channels are those that are given, and it takes no classes", () => {
    expect(hTransform("model.class_cond=true")).toMatchObject({
      ...{ inChannels: 9, outChannels: 3, numClasses: null },
    });
  });

  test("a score is made noise by −√(1−ᾱ_t) of the run's own schedule", () => {
    const { noiseFactor } = hTransform("diffusion.beta_schedule=const", "diffusion.beta_end=0.19");
    expect(noiseFactor?.(0)).toBeCloseTo(-Math.sqrt(0.19), 6);
    expect(noiseFactor?.(1)).toBeCloseTo(-Math.sqrt(1 - 0.81 ** 2), 6);
  });
});

describe("the classifier's network", () => {
  test.each([
    ["width=64", "modelChannels", 64],
    ["depth=3", "numResBlocks", 3],
    ["attention_resolutions=16", "attentionFactors", [16]],
    ["use_scale_shift_norm=false", "useScaleShiftNorm", false],
    ["resblock_updown=false", "resblockUpdown", false],
    ["pool=adaptive", "pool", "adaptive"],
  ] as const)("classifier.%s", (option, field, value) =>
    expectToReach(classifier, `classifier.${option}`, field, value),
  );

  test("the rest is ADM's", () => {
    expect(classifier()).toMatchObject({
      ...{ imageSize: 256, inChannels: 3, outChannels: 1000, numClasses: null },
      ...{ channelMult: [1, 1, 2, 2, 4, 4], attentionFactors: [8, 16, 32], pool: "attention" },
      ...{ numHeadChannels: 64, useNewAttentionOrder: false, learnSigma: false, dropout: 0, normGroups: 32 },
    });
  });
});

describe("the schedule", () => {
  const scheduleAt = (steps: number, ...words: string[]) =>
    scheduleOf(
      resolve(`diffusion.num_diffusion_timesteps=${steps}`, `exp.start_step=${steps}`, ...words).diffusion,
    );
  /** The first, the middle and the last β of 101. */
  const betasOf = (...words: string[]) => {
    const { betas } = scheduleAt(101, ...words);
    expect([betas.length, betas[0]]).toEqual([102, 0]);
    return [betas[1], betas[51], betas[101]];
  };
  const close = (got: readonly (number | undefined)[], want: readonly number[]) =>
    want.forEach((v, i) => expect(got[i]).toBeCloseTo(v, 7));

  test("by default: linear from 1e-4 to 0.02", () => close(betasOf(), [1e-4, 0.01005, 0.02]));
  test("beta_start", () => close(betasOf("diffusion.beta_start=0.01"), [0.01, 0.015, 0.02]));
  test("beta_end", () => close(betasOf("diffusion.beta_end=0.0401"), [1e-4, 0.0201, 0.0401]));
  test("beta_schedule", () => close(betasOf("diffusion.beta_schedule=jsd"), [1 / 101, 1 / 51, 1]));
  test("num_diffusion_timesteps", () => expect(scheduleAt(117).numTimesteps).toBe(117));
});
