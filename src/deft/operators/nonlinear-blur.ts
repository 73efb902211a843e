import {
  affine,
  clamp,
  expand,
  lincomb,
  Philox,
  reshape,
  sizeOf,
  slice,
  type Engine,
  type Tensor,
} from "../../tensor/index.ts";
import type { DegradationKind } from "../degradation.ts";
import { UserError } from "../errors.ts";
import { pixelwise } from "../footprint.ts";
import {
  KERNEL_WIZARD_STEP,
  KernelWizard,
  kernelWizardConfig,
  type KernelWizardWeights,
} from "../kernel-wizard.ts";
import { defineOperator, vjpByTape, type ImageSize, type Operator } from "../operator.ts";
import { continuation, continued } from "./padding.ts";
import { ParameterSet, type Parameter } from "../../nn/parameter.ts";

/** Stream of a seed's random numbers that no step reaches. */
const CODE_STREAM = 0xffffffff;
/** Standard deviation of a random blur's code. */
const CODE_SCALE = 1.2;

/**
 * deblur_nl: y = clip(2·KW((x+1)/2, code) − 1, −1, 1) with the kernel-wizard network KW and the code of one blur, of the image's
 * shape [3,H,W]; sides that are no multiple of 128 are continued at the edge. A† = 1; guidance: the surrogate y − A x, which needs no
 * pass backwards through the network. code: f32[1, kernelChannels, 1 or ⌈H/128⌉, 1 or ⌈W/128⌉], held by the operator.
 */
export function nonlinearBlur(
  engine: Engine,
  network: KernelWizard,
  code: Tensor,
  inShape: ImageSize,
): Operator {
  const [c, h, w] = inColor(inShape);
  const [rows, columns] = [Math.ceil(h / KERNEL_WIZARD_STEP), Math.ceil(w / KERNEL_WIZARD_STEP)];
  const { kernelChannels } = network.config;
  const fits = (have: number, want: number) => have === 1 || have === want;
  if (code.dim(1) !== kernelChannels || !fits(code.dim(2), rows) || !fits(code.dim(3), columns))
    throw new UserError(
      `deblur_nl: blur code [${code.shape.join(", ")}]; expected [1, ${kernelChannels}, ${rows}, ${columns}] for images ${h}x${w}`,
    );
  const after = (side: number, parts: number) => parts * KERNEL_WIZARD_STEP - side;
  const edges = [
    continuation(engine, "replicate", h, 0, after(h, rows)),
    continuation(engine, "replicate", w, 0, after(w, columns)),
  ] as const;
  const apply = (x: Tensor) =>
    x.engine.scope(() => {
      const wide = affine(continued(x, ...edges), 0.5, 0.5);
      const out = network.forward(wide, expand(code, [x.dim(0), kernelChannels, rows, columns]));
      return clamp(affine(slice(out, [0, 0, 0, 0], [x.dim(0), c, h, w]), 2, -1), -1, 1);
    });
  const same = (y: Tensor) => reshape(y, y.shape);
  return defineOperator({
    name: "deblur_nl",
    inShape,
    outShape: inShape,
    held: [code, ...edges],
    apply,
    adjoint: same,
    pinv: same,
    vjp: (x, v) => vjpByTape(apply, x, v),
    residualGradient: (y, x) => lincomb(1, y, -1, apply(x)),
  });
}

export const nonlinearBlurKind: DegradationKind = {
  word: "deblur_nl",
  title: "Non-linear deblurring",
  effect: "blurred by a network",
  likelihood: "blur",
  file: "weights",
  outShape: inColor,
  footprint: () => ({ ...pixelwise, halo: Infinity }),
  prepare(shape, _n, { kernelWizard: weights, blurSeed }) {
    if (!weights)
      throw new UserError(
        "likelihood.forward_op.weights: not given; expected the kernel-wizard's weight file for algo.deg=deblur_nl",
      );
    const config = kernelWizardConfig(weights);
    const size = [1, config.kernelChannels, ...shape.slice(1).map((v) => Math.ceil(v / KERNEL_WIZARD_STEP))];
    const random = new Philox(blurSeed, CODE_STREAM);
    const code = Float32Array.from({ length: sizeOf(size) }, () => CODE_SCALE * random.normal());
    const loaded = new Map<Engine, { network: KernelWizard; set: ParameterSet }>();
    const load = (engine: Engine) => {
      const network = new KernelWizard(config);
      const set = new ParameterSet(engine, network.declarations.list, { trainable: false });
      for (const p of set.parameters) set.write(p, valuesOf(weights, p));
      const both = { network, set };
      loaded.set(engine, both);
      return both;
    };
    return {
      make(engine) {
        const { network } = loaded.get(engine) ?? load(engine);
        return nonlinearBlur(engine, network, engine.tensor(code, size, "blur code"), shape);
      },
      release() {
        for (const { set } of loaded.values()) set.dispose();
        loaded.clear();
      },
    };
  },
};

function inColor(shape: ImageSize): ImageSize {
  if (shape[0] === 3) return shape;
  throw new UserError(`deblur_nl: images of ${shape[0]} channels; expected 3`);
}

function valuesOf(weights: KernelWizardWeights, { name, shape }: Parameter): Float32Array<ArrayBuffer> {
  const found = weights.get(name);
  if (found?.shape.join() === shape.join()) return found.data;
  throw new UserError(
    `likelihood.forward_op.weights: ${name} is ${found ? `[${found.shape.join(", ")}]` : "missing"}; expected [${shape.join(", ")}]`,
  );
}
