// What a kind of degradation says of itself: its word in `algo.deg`, its options, its shapes, and how its operators are made.
import type { Engine } from "../tensor/index.ts";
import type { Footprint } from "./footprint.ts";
import type { KernelWizardWeights } from "./kernel-wizard.ts";
import type { MaskSource } from "./masks.ts";
import type { Convention, ImageSize, Operator } from "./operator.ts";
import type { BlurKernel, BlurOptions } from "./operators/blur.ts";
import type { CtOptions } from "./operators/ct.ts";
import type { PhaseOptions } from "./operators/phase-retrieval.ts";

/** The number in a word such as `sr{k}`, with its bounds. */
export interface DegradationNumber {
  readonly symbol: string;
  readonly least: number;
  readonly most: number;
  /** For messages: what it is, and a word that is right. */
  readonly meaning: string;
  readonly example: string;
}

/** Options and files of the group `likelihood`; null: not given. */
export interface Resources {
  readonly masks: MaskSource | null;
  readonly kernel: BlurKernel | null;
  readonly kernelWizard: KernelWizardWeights | null;
  readonly ct: Partial<CtOptions>;
  readonly phase: Partial<PhaseOptions>;
  readonly blur: Partial<BlurOptions>;
  /** Of the random blur's code. */
  readonly blurSeed: number;
}

/** Makes the operator of a batch; `indices` numbers its pictures, which decides on their masks. */
export type MakeOperator = (engine: Engine, indices: readonly number[]) => Operator;

export interface Prepared {
  readonly make: MakeOperator;
  /** Frees what is kept from batch to batch. */
  readonly release?: () => void;
}

export interface DegradationKind {
  /** Without its number. */
  readonly word: string;
  /** Heading of its task's report; {k} stands for the number. */
  readonly title: string;
  /** What becomes of a picture: "Each picture was …". */
  readonly effect: string;
  readonly number?: DegradationNumber;
  /** Takes masks: `word`, `word`_box and `word`_freeform are three ways to say where they come from. */
  readonly isMasked?: boolean;
  /** Changes nothing: left out of a composition. */
  readonly isIdentity?: boolean;
  /** The group `likelihood` that holds its options, its number in place of {k}; absent: `plain`. */
  readonly likelihood?: string;
  /** The file that it cannot do without, a key of likelihood.forward_op. */
  readonly file?: "kernel_filename" | "weights";
  /** Conditioning channels of its own for images of so many channels. */
  readonly ownChannels?: (channels: number) => number;
  /**
   * The measurement's shape where it is not the image's; throws a UserError for images that do not fit. Resources are null before
   * files have been read; then a shape that follows from them is the image's.
   */
  readonly outShape?: (shape: ImageSize, n: number, resources: Resources | null) => ImageSize;
  /** How the measurement lies on the image; absent: it is no picture of it (magnitudes, a sinogram), so none is read from a file. */
  readonly footprint?: (shape: ImageSize, n: number, resources: Resources) => Footprint;
  /**
   * About 1/‖A‖² where that is far from one: the factor that brings the convention's gradient Aᵀ(y − A x) to the size of the
   * picture's error.
   */
  readonly gain?: (shape: ImageSize, n: number, resources: Resources, convention: Convention) => number;
  /** What can be done once for images of one shape, and the operators of its batches. */
  readonly prepare: (shape: ImageSize, n: number, resources: Resources) => Prepared;
}
