// Degradations by themselves: values, adjoints, pseudo-inverses, spectral forms.
import { KernelWizard } from "../../../src/deft/kernel-wizard.ts";
import type { Operator, Spectral } from "../../../src/deft/operator.ts";
import { bicubicMatrices } from "../../../src/deft/operators/bicubic.ts";
import { ct } from "../../../src/deft/operators/ct.ts";
import { deblurMatrices } from "../../../src/deft/operators/deblur.ts";
import { quantisationTables } from "../../../src/deft/operators/jpeg-tables.ts";
import { jpegEncode } from "../../../src/deft/operators/jpeg.ts";
import { nonlinearBlur } from "../../../src/deft/operators/nonlinear-blur.ts";
import type { SeparableSvd } from "../../../src/deft/operators/separable.ts";
import { recompose } from "../../../src/deft/svd.ts";
import { affine, mul, pad, sum, type Tensor } from "../../../src/tensor/index.ts";
import { flag, list, num, pick, strided, text, type Entry, type Handler } from "./entry.ts";
import { load } from "./networks.ts";
import { asMeasurement, held, imageShape, operatorOf, type ImageShape } from "./operators.ts";

type Tensors = Record<string, Tensor>;

const measurement = (entry: Entry, operator: Operator, name: string): Tensor =>
  asMeasurement(operator, entry.tensor(name));

/** Hx and the gradients by x; y is a measurement in any shape. */
function mapped(entry: Entry, operator: Operator): Tensors {
  const x = entry.tensor("x");
  const out: Tensors = { Hx: operator.apply(x) };
  if (entry.tensors.has("r")) out["g_x"] = operator.vjp(x, measurement(entry, operator, "r"));
  return out;
}

/** Aᵀ, A† and the spectral form, of what the entry stores. */
function linear(entry: Entry, operator: Operator): Tensors {
  const out = mapped(entry, operator);
  const [x, y] = [entry.tensor("x"), measurement(entry, operator, "y")];
  out["Ht_y"] = operator.adjoint(y);
  out["Hpinv_y"] = operator.pinv(y);
  out["inner_Hx_y"] = sum(mul(operator.apply(x), y));
  out["inner_x_Hty"] = sum(mul(x, operator.adjoint(y)));
  const { svd } = operator;
  if (svd) Object.assign(out, spectral(entry, svd, x, y));
  return out;
}

function spectral(entry: Entry, svd: Spectral, x: Tensor, y: Tensor): Tensors {
  const [Vt_x, Ut_y] = [svd.vt(x), svd.ut(y)];
  const missing = Vt_x.dim(1) - Ut_y.dim(1);
  return {
    singulars: entry.engine.tensor(Float32Array.from(svd.singularValues)),
    Vt_x,
    V_Vt_x: svd.v(Vt_x),
    Ut_y,
    U_Ut_y: svd.u(Ut_y),
    add_zeros_Ut_y: pad(Ut_y, [[0, missing]]),
    ...(entry.tensors.has("z") ? { V_z: svd.v(entry.tensor("z")) } : {}),
  };
}

/** The matrix of one axis of a separable operator. */
const smallMatrix = (entry: Entry, matrices: SeparableSvd): Tensor =>
  entry.engine.tensor(Float32Array.from(recompose(matrices.rows, (s) => s)));

function separable(entry: Entry, operator: Operator, shape: ImageShape): Tensors {
  const factor = /^bicubic(\d+)$/.exec(operator.name)?.[1];
  const H_small = smallMatrix(
    entry,
    factor
      ? bicubicMatrices(Number(factor), shape)
      : deblurMatrices(operator.name as "deblur_uni" | "deblur_gauss", shape),
  );
  const all = linear(entry, operator);
  const Hx = all["Hx"] as Tensor;
  return { ...all, H_small, Hx_corrected: Hx, separable_blur_x: Hx, separable_x: Hx };
}

/** Singular values as blurs' entries record them: one channel's in falling order, for each channel again. */
function falling(values: ArrayLike<number>, channels: number): number[] {
  const one = Array.from(values).filter((_, i) => i % channels === 0);
  one.sort((a, b) => b - a);
  return Array.from({ length: channels }, () => one).flat();
}

/** Entries of a batch of one that keep only the pixels of a mask: [kept | missing] of the flat image. */
async function indexed(entry: Entry, shape: ImageShape): Promise<Map<string, ArrayLike<number>>> {
  const index = num(entry.config, "mask_index");
  const operator = entry.engine.scope(() => operatorOf(entry, "inp", shape, [index]));
  const mask = operator.svd?.singularValues ?? new Float32Array();
  const where = (kept: boolean) => [...mask.keys()].filter((i) => (mask[i] === 1) === kept);
  const [kept, missing] = [where(true), where(false)];
  const y = new Float32Array(mask.length);
  entry.numbers("y").forEach((v, k) => (y[kept[k] as number] = v));
  const result = await entry.compute(() => {
    const full = entry.engine.tensor(y, [1, ...shape]);
    const x = entry.tensor("x");
    const { svd } = operator;
    return {
      Hx: operator.apply(x),
      Ht_y: operator.adjoint(full),
      Hpinv_y: operator.pinv(full),
      ...(svd ? { Vt_x: svd.vt(x), V_Vt_x: svd.v(svd.vt(x)) } : {}),
    };
  });
  const take = (name: string, from: readonly number[]) =>
    result.set(
      name,
      from.map((i) => (result.get(name) as Float32Array)[i] as number),
    );
  take("Hx", kept);
  take("Vt_x", [...kept, ...missing]);
  return result
    .set(
      "singulars",
      kept.map((i) => mask[i] as number),
    )
    .set("kept_indices", kept)
    .set("missing_indices", missing);
}

const jpegCoded = (entry: Entry, deg: string, operator: Operator): Tensors => {
  const quality = Number(/\d+/.exec(deg)?.[0]);
  const x = entry.tensor("x");
  const { luma, chroma } = jpegEncode(x, quality);
  const tables = quantisationTables(quality);
  const Hx = operator.apply(x);
  return {
    Hx,
    decode: Hx,
    coeff_luma: luma,
    ...(chroma ? { coeff_chroma: chroma } : {}),
    qtable_luma: entry.engine.tensor(tables.luma),
    qtable_chroma: entry.engine.tensor(tables.chroma),
  };
};

/** The entry's operator works on images in [0, 1] as given. */
function phases(entry: Entry, operator: Operator): Tensors {
  const x = affine(entry.tensor("x"), 2, -1);
  return {
    Hx: operator.apply(x),
    g_x: affine(operator.vjp(x, entry.tensor("r")), 2, 0),
    Hpinv_y: affine(operator.pinv(entry.tensor("y")), 0.5, 0.5),
  };
}

const named: Handler = async (entry) => {
  const deg = text(entry.config, "deg");
  const shape = imageShape(entry.stored("x"));
  if ("mask_index" in entry.config) return indexed(entry, shape);
  const result = await entry.compute(() => {
    const operator = operatorOf(entry, deg, shape, list(entry.config, "indices", []));
    if (deg.startsWith("jpeg")) return jpegCoded(entry, deg, operator);
    if (deg === "phase_retrieval") return phases(entry, operator);
    if (/^(bicubic\d+|deblur_\w+)$/.test(deg)) return separable(entry, operator, shape);
    if (entry.tensors.has("y") && deg !== "in2") return linear(entry, operator);
    const out = mapped(entry, operator);
    const inverted = deg === "hdr" ? out["Hx"] : entry.tensor("x");
    out["Hpinv_y"] = operator.pinv(deg === "in2" ? measurement(entry, operator, "r") : (inverted as Tensor));
    if (operator.svd) out["singulars"] = entry.engine.tensor(Float32Array.from(operator.svd.singularValues));
    return out;
  });
  if (deg.startsWith("deblur")) result.set("singulars", falling(result.get("singulars") ?? [], shape[0]));
  return result;
};

const tomography: Handler = async (entry) => {
  const numAngles = num(entry.config, "angles");
  const result = await entry.compute(() => {
    const x = entry.tensor("x");
    const circle = flag(entry.config, "circle");
    const operator = held(entry, ct(entry.engine, imageShape(x), { numAngles, circle }));
    const y = entry.tensor("y");
    return {
      Ax: operator.apply(x),
      g_x: operator.vjp(x, entry.tensor("r")),
      A_adjoint_y: operator.adjoint(y, "deft"),
      A_dagger_y: operator.pinv(y),
    };
  });
  return result.set(
    "angles_deg",
    Array.from({ length: numAngles }, (_, i) => (180 * i) / numAngles),
  );
};

/** x = u8/127.5 − 1; g_x is the gradient of Σy²/2. */
const nonlinear: Handler = async (entry) => {
  const { config, engine } = entry;
  const network = new KernelWizard({
    features: num(config, "nf"),
    frontBlocks: num(config, "front_RBs"),
    backBlocks: num(config, "back_RBs"),
    kernelChannels: num(config, "kernel_dim"),
  });
  const { set } = await load(engine, network.declarations, pick(entry.tensors, "w."), false);
  try {
    const result = await entry.compute(() => {
      const x = affine(entry.tensor("x_u8"), 1 / 127.5, -1);
      const code = entry.tensor("kernel");
      const operator = held(entry, nonlinearBlur(engine, network, code, imageShape(x)));
      const features = network.features(affine(x, 0.5, 0.5));
      const Hx = operator.apply(x);
      return {
        Hx,
        g_x: operator.vjp(x, Hx),
        features_sample: features,
        adapter_sample: network.adapt(features, code),
      };
    });
    for (const name of ["features_sample", "adapter_sample"])
      result.set(name, strided(result.get(name) ?? [], 256));
    return result;
  } finally {
    set.dispose();
  }
};

export const operatorKinds: Record<string, Handler> = {
  operator: (entry) =>
    ("deg" in entry.config ? named : "angles" in entry.config ? tomography : nonlinear)(entry),
  jpeg_qtables: async (entry) => {
    const qualities = Array.from({ length: entry.outputShape("luma")?.[0] ?? 0 }, (_, k) => k + 1);
    return new Map([
      ["luma", qualities.flatMap((q) => quantisationTables(q).luma)],
      ["chroma", qualities.flatMap((q) => quantisationTables(q).chroma)],
    ]);
  },
};
