// Measures of a whole set of restored pictures against the originals, by Inception's features and logits.
import { INCEPTION_CLASSES, INCEPTION_FEATURES, type Inception } from "../../nn/inception.ts";
import { slice, type Tensor } from "../../tensor/index.ts";
import { inceptionScore } from "./classifier.ts";
import { frechetDistance, kernelDistance, kidSubsets } from "./distances.ts";
import { Moments, type Features } from "./moments.ts";

/** What Inception says of n pictures, on the host: [n, 2048] and [n, 1008]. */
export interface InceptionOutputs {
  readonly features: Float32Array;
  readonly logits: Float32Array;
}

/** The part of Inception that is used. */
export type FeatureNetwork = Pick<Inception, "forward">;

export interface SetMeasures {
  /** FID, from 0 on; sets of few pictures have larger ones. */
  readonly fid: number;
  /** KID times 1000. */
  readonly kid: number;
  /** Inception score of all restored pictures, from 1 on. */
  readonly inception_score: number;
}

/** Runs Inception on pictures f32[n, 1 or 3, h, w] in [-1, 1], one at a time so that memory does not grow with the batch. */
export async function inceptionOf(inception: FeatureNetwork, pictures: Tensor): Promise<InceptionOutputs> {
  const { engine } = pictures;
  const n = pictures.dim(0);
  const [features, logits] = [
    new Float32Array(n * INCEPTION_FEATURES),
    new Float32Array(n * INCEPTION_CLASSES),
  ];
  for (let k = 0; k < n; k++) {
    const outputs = engine.noGrad(() =>
      engine.scope(() => {
        const { features, logits } = inception.forward(slice(pictures, [k], [k + 1]));
        return [features, logits] as const;
      }),
    );
    features.set(await outputs[0].read(), k * INCEPTION_FEATURES);
    logits.set(await outputs[1].read(), k * INCEPTION_CLASSES);
    for (const t of outputs) t.dispose();
  }
  return { features, logits };
}

/** FID, KID and Inception score of restored pictures given in batches; undefined for fewer than two of them. */
export function measureSet(
  original: readonly InceptionOutputs[],
  restored: readonly InceptionOutputs[],
): SetMeasures | undefined {
  const [a, b] = [joined(original, "features"), joined(restored, "features")];
  const [n, m] = [a.data.length / a.dim, b.data.length / b.dim];
  if (Math.min(n, m) < 2) return undefined;
  return {
    fid: frechetDistance(momentsOf(a), momentsOf(b)),
    kid: 1000 * kernelDistance(a, b, kidSubsets(n, m)),
    inception_score: inceptionScore(joined(restored, "logits"))[0] as number,
  };
}

function momentsOf(features: Features): Moments {
  const moments = new Moments(features.dim);
  moments.add(features);
  return moments;
}

function joined(batches: readonly InceptionOutputs[], part: keyof InceptionOutputs): Features {
  const data = new Float32Array(batches.reduce((sum, b) => sum + b[part].length, 0));
  let at = 0;
  for (const b of batches) {
    data.set(b[part], at);
    at += b[part].length;
  }
  return { data, dim: part === "features" ? INCEPTION_FEATURES : INCEPTION_CLASSES };
}
