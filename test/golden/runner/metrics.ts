import { meanSquaredError, psnr, type ImageShape } from "../../../src/deft/metrics.ts";
import { structuralSimilarity } from "../../../src/deft/ssim.ts";
import { num, type Handler } from "./entry.ts";

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

export const metricKinds: Record<string, Handler> = { psnr: psnrOf, ssim: ssimOf };
