// The public face of DEFT: schedule, operators, h-transform, loss, samplers, training, metrics, configuration.
export { type Algorithm, type Draws, type Problem, type Step } from "./algorithms/algorithm.ts";
export { deft } from "./algorithms/ddim.ts";
export { seededDraws } from "./algorithms/draws.ts";
export { algorithms } from "./algorithms/index.ts";
export { bicubicUpsample } from "./bicubic.ts";
export { condition, conditionChannels, type ConditionOptions } from "./condition.ts";
export { configFromObject, resolveConfig, type Resolved } from "./config/resolve.ts";
export { type Config } from "./config/schema.ts";
export { splitFinetuning, subset, type ImageDataset } from "./dataset.ts";
export { restoreBatch, summarise, type EvaluationOptions, type Measures, type Restored } from "./evaluate.ts";
export { addNoise, epsilonFrom, predictX0, type Denoiser, type PredictionType } from "./denoiser.ts";
export { UserError } from "./errors.ts";
export { classifierGradient, classifierScale, guidedPredict, type ClassifierGuidance } from "./guidance.ts";
export { FineTuning, measureNoisy, type FineTuningOptions } from "./finetune.ts";
export { joined, pixelwise, type Footprint } from "./footprint.ts";
export { HTransform, type HTransformConfig } from "./htransform.ts";
export { guidance, measure, type GuidanceConvention } from "./likelihood.ts";
export { deftLoss, type LossInputs, type LossParts } from "./loss.ts";
export { boxMasks, freeFormMasks, type MaskSource } from "./masks.ts";
export { inceptionScore, topOne } from "./metrics/classifier.ts";
export { frechetDistance, kernelDistance, kidSubsets, type SubsetPair } from "./metrics/distances.ts";
export { Moments, type Features } from "./metrics/moments.ts";
export { consistency, psnr, type ImageShape } from "./metrics.ts";
export { hTransformConfig, priorConfig, scheduleOf } from "./networks.ts";
export {
  defineOperator,
  linearOperator,
  vjpByTape,
  type Convention,
  type ImageSize,
  type Operator,
  type OperatorParts,
  type Spectral,
} from "./operator.ts";
export { KernelWizard, kernelWizardConfig, type KernelWizardWeights } from "./kernel-wizard.ts";
export { bicubic } from "./operators/bicubic.ts";
export { blur, type BlurKernel, type BlurOptions } from "./operators/blur.ts";
export { color } from "./operators/color.ts";
export { compose } from "./operators/compose.ts";
export { ct, type CtOptions } from "./operators/ct.ts";
export { deblur, type NamedBlur } from "./operators/deblur.ts";
export { denoising } from "./operators/denoising.ts";
export { hdr } from "./operators/hdr.ts";
export { inpainting, type Masks } from "./operators/inpainting.ts";
export { jpeg } from "./operators/jpeg.ts";
export { nonlinearBlur } from "./operators/nonlinear-blur.ts";
export { phaseRetrieval, type PhaseOptions } from "./operators/phase-retrieval.ts";
export { quantisation } from "./operators/quantisation.ts";
export { superResolution } from "./operators/super-resolution.ts";
export { phantoms } from "./phantoms.ts";
export { Pretraining } from "./pretrain.ts";
export { Prior, type PriorOptions } from "./prior.ts";
export {
  deftPredict,
  priorPredict,
  projectedPredict,
  sampleDdim,
  type DdimOptions,
  type Predict,
} from "./sample.ts";
export {
  betas,
  ddimCoefficients,
  Schedule,
  stepPairs,
  timesteps,
  type BetaSchedule,
  type ScheduleOptions,
} from "./schedule.ts";
export { socDefaults, StochasticControl, type SocOptions, type SocProblem } from "./soc.ts";
export { ssim } from "./ssim.ts";
export { generatedMasks, layoutOf, makeTask, type Layout, type Task } from "./task.ts";
export { blend, canTile, cut, planTiles, tileOrigin, type TilePlan } from "./tiles.ts";
export { learningRate, Trainer } from "./trainer.ts";
