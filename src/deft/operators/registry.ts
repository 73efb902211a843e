// One line a degradation.
import type { DegradationKind } from "../degradation.ts";
import { bicubicKind } from "./bicubic.ts";
import { blurKind } from "./blur.ts";
import { colorKind } from "./color.ts";
import { ctKind } from "./ct.ts";
import { deblurGaussKind, deblurUniformKind } from "./deblur.ts";
import { denoisingKind } from "./denoising.ts";
import { hdrKind } from "./hdr.ts";
import { inpainting2Kind, inpaintingKind } from "./inpainting.ts";
import { jpegKind } from "./jpeg.ts";
import { nonlinearBlurKind } from "./nonlinear-blur.ts";
import { phaseRetrievalKind } from "./phase-retrieval.ts";
import { quantisationKind } from "./quantisation.ts";
import { superResolutionKind } from "./super-resolution.ts";

/** Every degradation that `algo.deg` may name, in the order in which messages list them. */
export const degradations: readonly DegradationKind[] = [
  superResolutionKind,
  bicubicKind,
  inpaintingKind,
  inpainting2Kind,
  jpegKind,
  quantisationKind,
  denoisingKind,
  deblurUniformKind,
  deblurGaussKind,
  blurKind,
  nonlinearBlurKind,
  colorKind,
  hdrKind,
  phaseRetrievalKind,
  ctKind,
];
