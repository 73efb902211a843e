import type { DegradationKind, Resources } from "../degradation.ts";
import { UserError } from "../errors.ts";
import type { ImageSize } from "../operator.ts";
import { degradations } from "../operators/registry.ts";
import { nearest } from "./nearest.ts";

/** Where an in-painting mask comes from: drawn by the program, or read from `likelihood.forward_op.mask_filename`. */
export type MaskOrigin = "box" | "freeform" | "file";

/** One degradation of `algo.deg`, as its name says it. */
export interface Degradation {
  readonly kind: DegradationKind;
  /** The number in its word; 0 where it has none. */
  readonly n: number;
  /** Null: a mask file when one is given, else a generated free-form mask. */
  readonly mask: MaskOrigin | null;
}

/** A kind's words as messages show them: `sr{k}`, or `inp`, `inp_box` and `inp_freeform`. */
function wordsOf({ word, number, isMasked }: DegradationKind): string[] {
  if (number) return [`${word}{${number.symbol}}`];
  return isMasked ? [word, `${word}_box`, `${word}_freeform`] : [word];
}

/** All words of `algo.deg`. */
export const GRAMMAR: readonly string[] = degradations.flatMap(wordsOf);

/**
 * The degradations of `algo.deg`, in the order in which they are applied (spec, section 7); several are joined by `-`. Throws a
 * UserError that names the grammar for any other word.
 */
export function parseDegradation(deg: string): readonly Degradation[] {
  return deg.split("-").map((word) => parseOne(deg, word));
}

function parseOne(deg: string, word: string): Degradation {
  const [, base = word, masks = null] = /^([a-z0-9]+)_([a-z0-9_]+)$/.exec(word) ?? [];
  const [, name, digits = ""] = /^([a-z]+)(\d{0,4})$/.exec(word) ?? [];
  const kind = degradations.find((k) => (k.number ? k.word === name : k.word === (k.isMasked ? base : word)));
  if (!kind) {
    const known = GRAMMAR.join(", ");
    throw new UserError(
      `algo.deg: no such degradation; got ${deg}; expected ${known}; nearest is ${suggest(word)}`,
    );
  }
  const { number } = kind;
  const n = Number(digits);
  if (number && !(n >= number.least && n <= number.most))
    throw new UserError(
      `algo.deg: wrong degradation; got ${deg}; expected ${kind.word}{${number.symbol}} with ${number.meaning}, for instance ${number.example}`,
    );
  // Any other word is the name of somebody's masks, which are in a file.
  const origin = kind.isMasked ? masks : null;
  const mask = origin === null || origin === "box" || origin === "freeform" ? origin : "file";
  return { kind, n: number ? n : 0, mask };
}

function suggest(word: string): string {
  const digits = /\d+/.exec(word)?.[0] ?? "";
  const shape = nearest(word.replace(/\d+/, "{}"), GRAMMAR) ?? "sr{k}";
  return shape.replace(/\{.\}/, digits === "" ? "4" : digits);
}

/** What is applied: without parts that change nothing, unless there are no others. */
export function effectiveParts(deg: string): readonly Degradation[] {
  const parts = parseDegradation(deg);
  const others = parts.filter(({ kind }) => !kind.isIdentity);
  return others.length > 0 ? others : parts.slice(0, 1);
}

/** The word for which algorithms know defaults: that of the only part that changes a picture, wherever its mask comes from (`sr4-deno` is `sr4`). */
export function bareWord(deg: string): string {
  const [only, ...others] = effectiveParts(deg);
  return only && others.length === 0 ? `${only.kind.word}${only.kind.number ? only.n : ""}` : deg;
}

/** Shapes that the parts of a degradation are given; refuses images that do not fit, such as sides that `sr{k}` does not divide. */
export function partShapes(
  deg: string,
  image: ImageSize,
  resources: Resources | null = null,
): readonly ImageSize[] {
  const shapes: ImageSize[] = [];
  let shape = image;
  for (const { kind, n } of effectiveParts(deg)) {
    shapes.push(shape);
    try {
      shape = kind.outShape?.(shape, n, resources) ?? shape;
    } catch (error) {
      throw error instanceof UserError ? new UserError(`algo.deg: ${error.message}`) : error;
    }
  }
  return shapes;
}

/** Height and width of the masks of a degradation for such images: those of the part which takes them. */
export function maskSize(
  deg: string,
  image: ImageSize,
  resources: Resources | null = null,
): { readonly height: number; readonly width: number } {
  const at = effectiveParts(deg).findIndex(({ kind }) => kind.isMasked);
  const [, height, width] = partShapes(deg, image, resources)[at] ?? image;
  return { height, width };
}

/**
 * The likelihood (group `likelihood`) of a degradation: that of its first part which has options of its own
 * (`sr4-deno` is `sr4`), else `plain`, A x + noise with no options.
 */
export function likelihoodOf(deg: string): string {
  for (const { kind, n } of parseDegradation(deg))
    if (kind.likelihood !== undefined) return kind.likelihood.replace("{k}", String(n));
  return "plain";
}

/** The degradation that a likelihood stands for where `algo.deg` is left open. */
export function degradationOf(likelihood: string): string {
  if (likelihood === "blur") return "deblur_gauss";
  return likelihood === "plain" ? "deno" : likelihood;
}

/** What the degradation alone says of its operator. */
export interface OperatorFacts {
  /** Factor of the first reduction, `sr{k}` or `bicubic{k}`. */
  readonly scale: number | null;
  readonly isMasked: boolean;
  /** Where masks come from, when the word says so. */
  readonly mask: MaskOrigin | null;
  /** Files that it cannot do without, keys of likelihood.forward_op. */
  readonly files: ReadonlySet<string>;
}

export function operatorOf(deg: string): OperatorFacts {
  const parts = parseDegradation(deg);
  return {
    scale: parts.find(({ kind }) => kind.number?.symbol === "k")?.n ?? null,
    isMasked: parts.some(({ kind }) => kind.isMasked),
    mask: parts.find(({ mask }) => mask !== null)?.mask ?? null,
    files: new Set(parts.flatMap(({ kind }) => kind.file ?? [])),
  };
}

/**
 * Input channels of the h-transform (spec, section 3) for pictures of `channels` channels: x_t, x̂0 (with
 * `useX0hat`), what the first part adds (in-painting y and the mask, phase retrieval two estimates), the guidance.
 */
export function conditioningChannels(deg: string, channels: number, useX0hat: boolean): number {
  const own = effectiveParts(deg)[0]?.kind.ownChannels?.(channels) ?? 0;
  return channels * (useX0hat ? 3 : 2) + own;
}

/** Sizes of box masks, given for side 256, at this side (rounded, at least 1). */
export function maskSizes(
  minSize: number,
  maxSize: number,
  side: number,
): { readonly min: number; readonly max: number } {
  const at = (size: number) => Math.min(side, Math.max(1, Math.round((size * side) / 256)));
  return { min: at(minSize), max: at(maxSize) };
}
