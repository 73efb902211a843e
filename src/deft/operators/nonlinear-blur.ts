import {
  affine,
  clamp,
  expand,
  lincomb,
  reshape,
  slice,
  type Engine,
  type Tensor,
} from "../../tensor/index.ts";
import { UserError } from "../errors.ts";
import { KERNEL_WIZARD_STEP, type KernelWizard } from "../kernel-wizard.ts";
import { defineOperator, vjpByTape, type ImageSize, type Operator } from "../operator.ts";
import { continuation, continued } from "./padding.ts";

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
  const [c, h, w] = inShape;
  if (c !== 3) throw new UserError(`deblur_nl: images of ${c} channels; expected 3`);
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
