// Training a prior on from the weights of another one.
import { priorNetwork } from "../deft/config/prior-metadata.ts";
import type { PredictionType } from "../deft/denoiser.ts";
import { openWeights, weightSource } from "../io/weights.ts";
import type { ParameterSet } from "../nn/parameter.ts";
import { loadWeights, type WeightSource } from "../nn/state.ts";
import { PRIOR } from "./prior-file.ts";

export interface StartWeights {
  readonly file: string;
  /** What the network of the file puts out. */
  readonly prediction: PredictionType;
  readonly source: WeightSource;
  close(): Promise<void>;
}

/** Opens a prior's weight file. Throws a UserError that names it. */
export async function openStart(file: string): Promise<StartWeights> {
  const weights = await openWeights(file, { option: PRIOR });
  const stated = priorNetwork(weights.metadata)["model.prediction_type"];
  const prediction = stated === "v_prediction" ? stated : "epsilon";
  return { file, prediction, source: weightSource(weights), close: () => weights.close() };
}

/**
 * Puts the file's weights into `set`; a network that is to put out something else than the file's starts with an output layer of
 * zeros, as a new one has it. Returns the line that says so. Throws a CheckpointError where the file does not fit.
 */
export async function loadStart(
  set: ParameterSet,
  { file, prediction, source }: StartWeights,
  wanted: PredictionType,
): Promise<string> {
  const renewed = prediction !== wanted;
  await loadWeights(set, renewed ? withNewOutput(source) : source, "", `${PRIOR}: ${file}`);
  return `start: the weights of ${file}${renewed ? `, its output layer anew for ${wanted}` : ""}`;
}

const withNewOutput = (source: WeightSource): WeightSource => ({
  ...source,
  read: async (name) => {
    const values = await source.read(name);
    return name.startsWith("out.2.") ? values.fill(0) : values;
  },
});
