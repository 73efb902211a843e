import { meanSquaredError, psnr, type ImageShape } from "../../../src/deft/metrics.ts";
import { frechetDistance, kernelDistance, type SubsetPair } from "../../../src/deft/metrics/distances.ts";
import { Moments, type Features } from "../../../src/deft/metrics/moments.ts";
import { structuralSimilarity } from "../../../src/deft/ssim.ts";
import { num, type Entry, type Handler } from "./entry.ts";

const psnrOf: Handler = async (entry) => {
  const [x, sample] = [entry.stored("x"), entry.stored("sample")];
  const shape = x.shape as unknown as ImageShape;
  const result = new Map<string, ArrayLike<number>>();
  for (const clampSample of [true, false]) {
    const name = clampSample ? "clamped" : "unclamped";
    result.set(`mse_${name}`, meanSquaredError(sample.data, x.data, shape, { clampSample }));
    result.set(`psnr_${name}`, psnr(sample.data, x.data, shape, { clampSample }));
  }
  return result;
};

const ssimOf: Handler = async (entry) => {
  const { config } = entry;
  const [preds, target] = [entry.stored("preds"), entry.stored("target")];
  const { full, cropped, dataRange } = structuralSimilarity(
    preds.data,
    target.data,
    preds.shape as unknown as ImageShape,
    {
      dataRange: typeof config["data_range"] === "number" ? num(config, "data_range") : null,
      kernel: num(config, "kernel", 11),
      sigma: num(config, "sigma", 1.5),
      k1: num(config, "k1", 0.01),
      k2: num(config, "k2", 0.03),
    },
  );
  return new Map<string, ArrayLike<number>>([
    ["ssim_full", full],
    ["ssim_cropped", cropped],
    ["data_range", [dataRange]],
  ]);
};

/** Batch size of the streamed moments. */
const STREAM = 16;

const fidKidOf: Handler = async (entry) => {
  const [a, b] = [featuresOf(entry, "features1"), featuresOf(entry, "features2")];
  const [first, second] = [momentsOf(a), momentsOf(b)];
  const streamed = momentsOf(a, STREAM);
  return new Map<string, ArrayLike<number>>([
    ["mu1", first.mean],
    ["sigma1", first.covariance()],
    ["mu2", second.mean],
    ["sigma2", second.covariance()],
    ["fid", [frechetDistance(first, second)]],
    ["kid", [kernelDistance(a, b, subsetsOf(entry))]],
    ["streamed_mu1", streamed.mean],
    ["streamed_sigma1", streamed.covariance()],
  ]);
};

const featuresOf = (entry: Entry, name: string): Features => {
  const { data, shape } = entry.stored(name);
  return { data, dim: shape[1] ?? 0 };
};

function momentsOf({ data, dim }: Features, batch = data.length): Moments {
  const moments = new Moments(dim);
  for (let i = 0; i < data.length; i += batch * dim)
    moments.add({ data: data.subarray(i, i + batch * dim), dim });
  return moments;
}

function subsetsOf(entry: Entry): SubsetPair[] {
  const [a, b] = [entry.stored("kid_subset1"), entry.stored("kid_subset2")];
  const m = a.shape[1] ?? 0;
  return Array.from({ length: a.shape[0] ?? 0 }, (_, k) => [
    a.data.subarray(k * m, (k + 1) * m),
    b.data.subarray(k * m, (k + 1) * m),
  ]);
}

export const metricKinds: Record<string, Handler> = { psnr: psnrOf, ssim: ssimOf, fid_kid: fidKidOf };
